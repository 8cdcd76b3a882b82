"""What every backbone is."""

import torch
from torch import Tensor, nn


class Backbone(nn.Module):
    """Features (B, T, F) -> speaker embeddings (B, E).

    - ``embedding_dim`` is the E of its output;
    - ``min_frames``, the shortest T that it takes: shorter input is repeated before it comes here;
    - ``head_dim``, the width of what the classifier of the training sees, if layers stand between both.
    """

    embedding_dim: int
    min_frames: int = 1

    @property
    def head_dim(self) -> int:
        """The width of ``project``'s output."""
        return self.embedding_dim

    def project(self, embeddings: Tensor) -> Tensor:
        """Embeddings (B, E) -> what the classifier sees (B, head_dim); the layers of training alone, if it has any."""
        return embeddings


def repeated(values: Tensor, least: int) -> Tensor:
    """``values`` (B, N, ...), repeated along N to ``least`` if they are fewer. An export keeps N open."""
    if least == 1:
        return values
    count = values.shape[1]
    places = torch.arange(torch.sym_max(count, least), device=values.device)
    return values[:, places % torch.full((), count, device=values.device)]


def store_channels_last(network: nn.Module) -> None:
    """Let 2-D convolutions work with the channels last in memory: two thirds of the time per training step on a CPU.

    Not where a strided 1 x 1 convolution has fewer than 16 inputs: in that layout oneDNN (torch 2.11) writes beyond the
    end of a buffer when it computes the gradient of such weights.
    """
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    if not any(c.kernel_size == (1, 1) and c.stride != (1, 1) and c.in_channels < 16 for c in convolutions):
        network.to(memory_format=torch.channels_last)
