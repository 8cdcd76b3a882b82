"""ReDimNet2: stages of 2-D convolutions whose maps are reshaped to one dimension, where they are added up.

Yakovlev and Okhotnikov, "ReDimNet2: scaling speaker verification via time-pooled dimension reshaping", Interspeech
2026, in the layout of the authors' published models.

Maps are (B, T, K) with K = F C constant: where a stage halves the rows F, it doubles the channels C. The values of a
frame are ordered by row, then by channel, so that (B, C, T, F) in channels-last order is the same memory.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.cli import InputError
from sv_py.models.arguments import POOLINGS, ReDimNet2Arguments
from sv_py.models.backbone import Backbone, store_channels_last

HEADS = 4  # of the self-attention
KERNELS = (7, 19, 31, 59)  # frames of the convolutions before it
EPSILON = 1e-6  # of the layer norms, and of a stage's last batch norm


class WeightedSum(nn.Module):
    """Sum of maps with weights between 0 and 1, one set for each value of a frame; at first all are equal."""

    def __init__(self, maps: int, width: int):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(maps, width))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """As many maps (B, T, K) as there are weights -> (B, T, K)."""
        first, *others = self.weights.softmax(0)
        total = first * maps[0]
        for weight, x in zip(others, maps[1:], strict=True):
            total = torch.addcmul(total, weight, x)
        return total


class Block(nn.Module):
    """Two depthwise separable 3 x 3 convolutions and a shortcut."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            *separable(channels), nn.ReLU(inplace=True), nn.BatchNorm2d(channels),
            *separable(channels), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, F) -> (B, C, T, F)."""
        return F.relu(self.layers(x) + x, inplace=True)


class TimeConvolution(nn.Module):
    """A depthwise convolution over time, batch norm, GELU, a linear layer, and a shortcut."""

    def __init__(self, width: int, kernel: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width),
            nn.BatchNorm1d(width),
            nn.GELU(),
            nn.Conv1d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, T) -> (B, H, T)."""
        return x + self.layers(x)


class Attention(nn.Module):
    """Self-attention and a feed-forward layer, each with a shortcut and followed by layer norm."""

    def __init__(self, width: int):
        super().__init__()
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, EPSILON)
        self.feed_forward = nn.Sequential(nn.Linear(width, width), nn.GELU("tanh"), nn.Linear(width, width))
        self.final_norm = nn.LayerNorm(width, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H) -> (B, T, H)."""
        queries, keys, values = self.queries_keys_values(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
        x = self.norm(x + self.output(attended))
        return self.final_norm(x + self.feed_forward(x))


class TimeContext(nn.Module):
    """Convolutions over time and self-attention on a projection to ``hidden`` values, and a shortcut around them."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.reduce = nn.Sequential(nn.Linear(width, hidden), nn.LayerNorm(hidden, EPSILON))
        self.convolutions = nn.Sequential(*(TimeConvolution(hidden, kernel) for kernel in KERNELS))
        self.attention = Attention(hidden)
        self.expand = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, K) -> (B, T, K)."""
        y = self.convolutions(self.reduce(x).transpose(1, 2)).transpose(1, 2)
        return x + self.expand(self.attention(y))


class MapNorm(nn.GroupNorm):
    """Group norm of maps (B, T, K), over time and groups of neighbouring values."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, K) -> (B, T, K)."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class Stage(nn.Module):
    """2-D convolutions at a lower rate, context over time, the full rate again: maps (B, T, K) -> (B, T, K).

    ``channels`` are those of the input; ``pool`` frames and ``stride`` rows become one. The blocks are ``expansion``
    times as wide as the output.
    """

    def __init__(self, channels: int, stride: int, pool: int, blocks: int, expansion: float, context: nn.Module):
        super().__init__()
        self.channels, self.pool = channels, pool
        outputs = channels * stride
        wide, kernel = max(1, int(outputs * expansion)), (pool, stride)
        self.layers = nn.Sequential(nn.Conv2d(channels, wide, kernel, kernel, groups=math.gcd(channels, wide)))
        self.layers.extend(Block(wide) for _ in range(blocks))
        if expansion != 1:
            self.layers.extend([nn.Conv2d(wide, outputs, 1), nn.BatchNorm2d(outputs, EPSILON)])
        store_channels_last(self.layers)
        self.context = context

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, K) -> (B, T, K)."""
        x = self.context(to_1d(self.layers(to_2d(x, self.channels))))
        return x.repeat_interleave(self.pool, 1)


class ReDimNet2(Backbone):
    """A stem; stages, each of which sees a weighted sum of all maps before it; attentive pooling of the last sum.

    Frames are cut to a multiple of the last stage's pool. Raises InputError for numbers of bins that do not divide.
    """

    def __init__(self, arguments: ReDimNet2Arguments, feature_dim: int):
        super().__init__()
        _check(arguments, feature_dim)
        self.embedding_dim = arguments.embedding_dim
        self.min_frames = math.prod(arguments.time_strides)
        channels, rows, pool = arguments.channels, feature_dim, 1
        width = channels * rows
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.stem_norm = nn.LayerNorm(channels, EPSILON)
        self.stages, self.sums, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for number, (stride, time_stride, blocks, expansion, reduction) in enumerate(arguments.stages, 1):
            pool *= time_stride
            context = TimeContext(width, width // reduction)
            self.stages.append(Stage(channels, stride, pool, blocks, expansion, context))
            self.sums.append(WeightedSum(number + 1, width))
            channels, rows = channels * stride, rows // stride
        for _ in range(len(self.stages) + 1):
            self.norms.append(MapNorm(arguments.channels, width) if arguments.group_norm else nn.Identity())
        self.channels = channels
        self.output = nn.Identity()
        if arguments.output_channels:
            self.output = nn.Conv2d(channels, arguments.output_channels, 1)
            channels = arguments.output_channels
        self.pooling = POOLINGS.build(arguments.pooling.name, arguments.pooling.args, channels=channels, rows=rows)
        self.embedding = nn.Sequential(
            nn.BatchNorm1d(self.pooling.output_dim),
            nn.Linear(self.pooling.output_dim, arguments.embedding_dim),
        )

    def forward(self, feats: Tensor) -> Tensor:
        """Features (B, T, F) -> embeddings (B, E)."""
        x = feats.narrow(1, 0, feats.shape[1] // self.min_frames * self.min_frames)
        x = self.stem_norm(self.stem(x.unsqueeze(1)).permute(0, 2, 3, 1)).flatten(2)
        first, *norms = self.norms
        x = first(x)
        maps = [x]
        for stage, norm, total in zip(self.stages, norms, self.sums, strict=True):
            maps.append(norm(stage(x)))
            x = total(maps)
        x = self.output(to_2d(x, self.channels))
        return self.embedding(self.pooling(x.transpose(2, 3)))


def to_2d(x: Tensor, channels: int) -> Tensor:
    """(B, T, F C) -> (B, C, T, F), without a copy."""
    return x.unflatten(2, (-1, channels)).permute(0, 3, 1, 2)


def to_1d(x: Tensor) -> Tensor:
    """(B, C, T, F) -> (B, T, F C), without a copy if ``x`` is in channels-last order."""
    return x.permute(0, 2, 3, 1).flatten(2)


def separable(channels: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    """A 3 x 3 convolution of each channel by itself, then a 1 x 1 convolution over all."""
    return nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False), nn.Conv2d(channels, channels, 1)


def _check(arguments: ReDimNet2Arguments, feature_dim: int) -> None:
    divisor = math.prod(arguments.frequency_strides)
    if feature_dim % divisor:
        raise InputError(f"redimnet2: {feature_dim} bins are no multiple of {divisor}, the product of its strides")
    width = arguments.channels * feature_dim
    for reduction in arguments.reductions:
        hidden = width // reduction
        if hidden < 1 or hidden % HEADS:
            raise InputError(
                f"redimnet2: {feature_dim} bins x {arguments.channels} channels / {reduction} make {hidden} values, "
                f"which {HEADS} heads of attention cannot share"
            )
