"""How large and how costly a model is."""

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count(model: nn.Module, frames: int, feature_dim: int) -> tuple[int, int]:
    """Parameters, and multiply-adds to embed one utterance of ``frames`` frames.

    Counts convolutions and matrix products only, as is usual. Runs on the meta device: nothing is computed.
    """
    model = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, frames, feature_dim, device="meta"))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2
