"""What every backbone is."""

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
