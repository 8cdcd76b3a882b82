"""Pooling over time: maps (B, C, T) -> statistics (B, 2C), the means first, then the standard deviations.

Defined and with finite gradients from one frame on and for constant input (digital silence).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def mean_and_deviation(x: Tensor) -> Tensor:
    """(B, C, T) -> (B, 2C): mean and sqrt(unbiased variance + 1e-7); one frame has variance 0, not NaN."""
    variance = x.var(-1, correction=min(1, x.shape[-1] - 1))
    return torch.cat([x.mean(-1), torch.sqrt(variance + 1e-7)], 1)


class TSP(nn.Module):
    """Temporal statistics pooling."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, 2C)."""
        return mean_and_deviation(x)


class ASP(nn.Module):
    """Attentive statistics pooling: weights over time, one set per channel, from a small network.

    With ``context`` (ECAPA-TDNN) that network also sees the channels' plain statistics, and a tanh bounds its
    bottleneck.
    """

    def __init__(self, channels: int, attention_channels: int = 128, context: bool = False):
        super().__init__()
        self.context = context
        self.reduce = nn.Conv1d(3 * channels if context else channels, attention_channels, 1)
        self.norm = nn.BatchNorm1d(attention_channels)
        self.expand = nn.Conv1d(attention_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, 2C)."""
        weights = self.expand(self._bottleneck(x)).softmax(-1)
        weighted = weights * x
        mean = weighted.sum(-1)
        # Fewer passes over the map than the centred form; the floor covers what rounding takes from the difference.
        variance = (weighted * x).sum(-1) - mean.square()
        return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], 1)

    def _bottleneck(self, x: Tensor) -> Tensor:
        if not self.context:
            return self.norm(F.relu(self.reduce(x)))
        # reduce([x; mean; deviation]), but the statistics are the same in every frame: multiply them once.
        frame, statistics = self.reduce.weight.squeeze(-1).split([x.shape[1], 2 * x.shape[1]], 1)
        offset = F.linear(mean_and_deviation(x), statistics, self.reduce.bias)
        hidden = F.conv1d(x, frame.unsqueeze(-1)) + offset.unsqueeze(-1)
        return self.norm(F.relu(hidden)).tanh()
