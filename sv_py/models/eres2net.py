"""ERes2NetV2: a residual network of Res2Net blocks that fuses features by attention, within blocks and across stages.

Chen, Zheng, Wang, Cheng et al., "ERes2NetV2: boosting short-duration speaker verification performance with
computational efficiency", Interspeech 2024, in the layout of 3D-Speaker's published models.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.models.arguments import POOLINGS, ERes2NetV2Arguments
from sv_py.models.backbone import Backbone, store_channels_last
from sv_py.models.layers import conv_bn, shortcut

CEILING = 20.0  # of the ReLUs of the blocks
SQUEEZE = 4  # channels of a fusion per channel of its bottleneck


class Fusion(nn.Module):
    """Attentional feature fusion: (1 + a) x + (1 - a) y, where a in (-1, 1) is computed from both at each place."""

    def __init__(self, channels: int):
        super().__init__()
        hidden = max(1, channels // SQUEEZE)
        self.attention = nn.Sequential(
            nn.Conv2d(2 * channels, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.SiLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.BatchNorm2d(channels),
            nn.Tanh(),
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Twice (B, C, F, T) -> (B, C, F, T)."""
        return x + y + self.attention(torch.cat([x, y], 1)) * (x - y)


class Res2Block(nn.Module):
    """1 x 1, a chain of 3 x 3 over groups of channels, 1 x 1, and a shortcut.

    Each group but the first is convolved after the result of the one before was added to it, or fused with it.
    """

    def __init__(self, inputs: int, channels: int, stride: int, arguments: ERes2NetV2Arguments, fused: bool):
        super().__init__()
        scale, outputs = arguments.scale, arguments.expansion * channels
        self.width = channels * arguments.base_width // 64
        self.reduce = nn.Sequential(*conv_bn(inputs, scale * self.width, 1, stride), relu())
        self.convs = nn.ModuleList(nn.Sequential(*conv_bn(self.width, self.width, 3), relu()) for _ in range(scale))
        self.fusions = nn.ModuleList(Fusion(self.width) if fused else Sum() for _ in range(scale - 1))
        self.expand = nn.Sequential(*conv_bn(scale * self.width, outputs, 1))
        self.shortcut = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, F, T) -> (B, expansion channels, ceil(F / stride), ceil(T / stride))."""
        first, *others = self.reduce(x).split(self.width, 1)
        results = [self.convs[0](first)]
        for conv, fusion, group in zip(self.convs[1:], self.fusions, others, strict=True):
            results.append(conv(fusion(results[-1], group)))
        y = self.expand(torch.cat(results, 1))
        y += self.shortcut(x)
        return F.hardtanh(y, 0.0, CEILING, inplace=True)


class Sum(nn.Module):
    """x + y."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum."""
        return x + y


class ERes2NetV2(Backbone):
    """Four stages with strides 1, 2, 2, 2, the last two of fusing blocks; the third's output is fused into the last."""

    def __init__(self, arguments: ERes2NetV2Arguments, feature_dim: int):
        super().__init__()
        self.embedding_dim = arguments.embedding_dim
        inputs, rows = arguments.width, feature_dim
        self.stem = nn.Sequential(*conv_bn(1, inputs, 3), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList()
        for number, blocks in enumerate(arguments.blocks):
            channels, stride = arguments.width * 2**number, 1 if number == 0 else 2
            stage = nn.Sequential()
            for block in range(blocks):
                stage.append(Res2Block(inputs, channels, stride if block == 0 else 1, arguments, fused=number >= 2))
                inputs = arguments.expansion * channels
            self.stages.append(stage)
            rows = -(-rows // stride)
        self.downsample = nn.Conv2d(inputs // 2, inputs, 3, 2, 1, bias=False)
        self.fusion = Fusion(inputs)
        self.pooling = POOLINGS.build(arguments.pooling.name, arguments.pooling.args, channels=inputs, rows=rows)
        self.embedding = nn.Linear(self.pooling.output_dim, arguments.embedding_dim)
        store_channels_last(self)

    def forward(self, feats: Tensor) -> Tensor:
        """Features (B, T, F) -> embeddings (B, E)."""
        x = self.stem(feats.transpose(1, 2).unsqueeze(1))
        *first, last = self.stages
        for stage in first:
            x = stage(x)
        return self.embedding(self.pooling(self.fusion(last(x), self.downsample(x))))


def relu() -> nn.Hardtanh:
    """A ReLU that is cut off above."""
    return nn.Hardtanh(0.0, CEILING, inplace=True)
