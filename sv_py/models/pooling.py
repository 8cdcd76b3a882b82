"""Pooling over time: maps (B, C, F, T) -> one vector (B, output_dim) per utterance.

Statistics come as all means first, then all standard deviations; those of single rows in the order of
``x.flatten(1, 2)``. Defined and with finite gradients from one frame on and for constant input (digital silence).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.models.arguments import ASPArguments, MQMHASTPArguments, StatisticsArguments
from sv_py.models.layers import at_least


def mean_and_deviation(x: Tensor) -> Tensor:
    """(B, C, T) -> (B, 2C): mean and sqrt(unbiased variance + 1e-7); one frame has variance 0, not NaN."""
    frames = x.shape[-1]
    variance = frames / at_least(frames - 1, 1) * x.var(-1, correction=0)
    return torch.cat([x.mean(-1), torch.sqrt(variance + 1e-7)], 1)


def weighted_statistics(x: Tensor, scores: Tensor, floor: float) -> Tensor:
    """(B, ..., T) and scores, whose softmax over T gives weights -> (B, 2N): N means, then N deviations.

    Both broadcast to N values for each utterance and frame; ``floor`` is the least variance.
    """
    # Not in half precision, where the difference of two sums would leave nothing of a variance below a large mean.
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))
    weighted = weights * x
    mean = weighted.sum(-1)
    # Fewer passes over the map than the centred form; the floor covers what rounding takes from the difference.
    variance = (weighted * x).sum(-1) - mean.square()
    return torch.cat([mean.flatten(1), variance.clamp(min=floor).sqrt().flatten(1)], 1)


class TAP(nn.Module):
    """Temporal average pooling."""

    def __init__(self, arguments: StatisticsArguments, channels: int, rows: int):
        super().__init__()
        self.output_dim = channels * rows

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C F)."""
        return x.flatten(1, 2).mean(-1)


class TSP(nn.Module):
    """Temporal statistics pooling."""

    def __init__(self, arguments: StatisticsArguments, channels: int, rows: int):
        super().__init__()
        self.output_dim = 2 * channels * rows

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, 2 C F)."""
        return mean_and_deviation(x.flatten(1, 2))


class GSP(nn.Module):
    """Global statistics pooling: over time and frequency at once."""

    def __init__(self, arguments: StatisticsArguments, channels: int, rows: int):
        super().__init__()
        self.output_dim = 2 * channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, 2 C)."""
        return mean_and_deviation(x.flatten(2))


class ASP(nn.Module):
    """Attentive statistics pooling (Okabe et al. 2018): weights over time, one set per channel, from a small network.

    With ``context`` (Desplanques et al. 2020) that network also sees the channels' plain statistics.
    """

    def __init__(self, arguments: ASPArguments, channels: int, rows: int):
        super().__init__()
        inputs, hidden = channels * rows, arguments.attention_channels
        self.output_dim = 2 * inputs
        self.context, self.floor = arguments.context, arguments.floor
        self.reduce = nn.Conv1d(3 * inputs if self.context else inputs, hidden, 1)
        self.bottleneck = nn.Sequential()
        if "relu_bn" in arguments.bottleneck:
            self.bottleneck.extend([nn.ReLU(inplace=True), nn.BatchNorm1d(hidden)])
        if "tanh" in arguments.bottleneck:
            self.bottleneck.append(nn.Tanh())
        self.expand = nn.Conv1d(hidden, inputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, 2 C F)."""
        x = x.flatten(1, 2)
        return weighted_statistics(x, self.expand(self.bottleneck(self._reduced(x))), self.floor)

    def _reduced(self, x: Tensor) -> Tensor:
        if not self.context:
            return self.reduce(x)
        # reduce([x; mean; deviation]), but the statistics are the same in every frame: multiply them once.
        frame, statistics = self.reduce.weight.squeeze(-1).split([x.shape[1], 2 * x.shape[1]], 1)
        offset = F.linear(mean_and_deviation(x), statistics, self.reduce.bias)
        return F.conv1d(x, frame.unsqueeze(-1)) + offset.unsqueeze(-1)


class MQMHASTP(nn.Module):
    """Multi-query multi-head attentive statistics pooling (Zhao et al. 2022).

    The channels are split among H heads; for each of Q queries every head weighs its own channels over time. Raises
    InputError if the heads do not divide the channels.
    """

    def __init__(self, arguments: MQMHASTPArguments, channels: int, rows: int):
        super().__init__()
        inputs, hidden = channels * rows, arguments.attention_channels
        self.heads, self.floor = arguments.heads, arguments.floor
        arguments.check(inputs)
        self.output_dim = 2 * arguments.queries * inputs
        weights = inputs if arguments.per_channel else self.heads
        # The heads are the groups of a convolution.
        self.queries = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(inputs, self.heads * hidden, 1, groups=self.heads),
                nn.Tanh(),
                nn.Conv1d(self.heads * hidden, weights, 1, groups=self.heads),
            )
            for _ in range(arguments.queries)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, 2 Q C F), queries outermost among the means and among the deviations."""
        x = x.flatten(1, 2)
        scores = torch.stack([query(x).unflatten(1, (self.heads, -1)) for query in self.queries], 1)
        return weighted_statistics(x.unflatten(1, (1, self.heads, -1)), scores, self.floor)
