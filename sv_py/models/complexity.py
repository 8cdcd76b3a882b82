"""How large and how costly a model is."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count(model: nn.Module, frames: int, feature_dim: int) -> tuple[int, int]:
    """Parameters, and multiply-adds to embed one utterance of ``frames`` frames.

    Counts convolutions and matrix products only, as is usual. Runs on the meta device: nothing is computed.
    """
    model = copy.deepcopy(model).to("meta").eval()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.LSTM):
            model.set_submodule(name, _LSTMProducts(module))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, frames, feature_dim, device="meta"))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


class _LSTMProducts(nn.Module):
    """The matrix products of a one-layer LSTM with the batch first; frame by frame it takes seconds to count them."""

    def __init__(self, lstm: nn.LSTM):
        super().__init__()
        self.lstm = lstm

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs and states of the LSTM's shapes, whose values mean nothing."""
        width, directions = self.lstm.hidden_size, len(self.lstm.all_weights)
        states = x.new_empty(*x.shape[:2], width)
        for input_weight, state_weight, *_ in self.lstm.all_weights:
            F.linear(x, input_weight)
            F.linear(states, state_weight)
        last = x.new_empty(directions, x.shape[0], width)
        return torch.cat([states] * directions, dim=2), (last, last)
