"""Attention inside residual blocks: gates on maps (B, C, F, T)."""

import torch
from torch import Tensor, nn

from sv_py.models.arguments import ResNetArguments
from sv_py.models.layers import at_least

LAMBDA = 1e-4  # regulariser of SimAM's variance


class SimAM(nn.Module):
    """Parameter-free attention (Yang et al. 2021, eq. 5): what differs most from its channel's mean passes most.

    With the variance v of a channel over its map, the gate of a place is sigmoid((x - mean)^2 / (4 (v + 1e-4)) + 0.5).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C, F, T); the gate of a map of one place is sigmoid(0.5)."""
        difference = x - x.mean((2, 3), keepdim=True)
        deviation = difference * difference
        places = x.shape[2] * x.shape[3]
        # No sum and no power, which autocast on a GPU takes in float32, and with them all maps that follow.
        variance = deviation.mean((2, 3), keepdim=True) * (places / at_least(places - 1, 1))
        return x * torch.sigmoid(deviation / (4 * (variance + LAMBDA)) + 0.5)


class FrequencySE(nn.Module):
    """Frequency-wise squeeze-excitation (Thienpondt et al. 2021): a gate per row, from the means of all rows."""

    def __init__(self, rows: int, hidden: int):
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(rows, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, rows),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C, F, T)."""
        return x * self.gate(x.mean((1, 3)))[:, None, :, None]


def attention(arguments: ResNetArguments, rows: int) -> nn.Module:
    """The attention that ``arguments`` name, for maps of so many rows."""
    if arguments.attention == "simam":
        return SimAM()
    if arguments.attention == "fwse":
        return FrequencySE(rows, arguments.attention_channels)
    return nn.Identity()
