"""CAM++: a densely connected TDNN behind 2-D convolutions, whose layers are masked by their context.

Wang, Zheng, Chen, Cheng and Chen, "CAM++: a fast and efficient network for speaker verification using context-aware
masking", Interspeech 2023, in the layout of 3D-Speaker's published models.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.models.arguments import POOLINGS, CAMPPlusArguments
from sv_py.models.backbone import Backbone, store_channels_last
from sv_py.models.layers import conv_bn
from sv_py.models.resnet import BasicBlock

HALVED = (2, 1)  # stride of the 2-D convolutions that halve the frequency axis


class ContextMask(nn.Module):
    """Gates (B, gates, T) from the mean of all frames plus that of the segment that a frame lies in.

    All frames of a segment have the same gates, so they are computed once for each segment.
    """

    def __init__(self, channels: int, gates: int, segment: int):
        super().__init__()
        self.segment = segment
        self.layers = nn.Sequential(
            nn.Conv1d(channels, channels // 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv1d(channels // 2, gates, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, T) -> (B, gates, T), between 0 and 1."""
        gates = self.layers(x.mean(-1, keepdim=True) + self._means(x))
        return gates.repeat_interleave(self.segment, -1)[..., : x.shape[-1]]

    def _means(self, x: Tensor) -> Tensor:
        """The mean of each segment, of which the last may be short.

        Not by avg_pool1d's ceil_mode: ONNX Runtime up to 1.20 divides the last one's sum by a whole segment's length.
        """
        filled = x.new_ones(1, 1, x.shape[-1])
        sums, shares = (F.avg_pool1d(F.pad(y, (0, self.segment - 1)), self.segment) for y in (x, filled))
        return sums / shares


class DenseLayer(nn.Module):
    """A bottleneck, and a dilated convolution of it under the mask of the bottleneck's context."""

    def __init__(self, inputs: int, arguments: CAMPPlusArguments, dilation: int):
        super().__init__()
        hidden, growth = arguments.bottleneck, arguments.growth
        self.bottleneck = nn.Sequential(*bn_relu(inputs), nn.Conv1d(inputs, hidden, 1, bias=False), *bn_relu(hidden))
        self.conv = nn.Conv1d(hidden, growth, 3, padding=dilation, dilation=dilation, bias=False)
        self.mask = ContextMask(hidden, growth, arguments.segment)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, T) -> (B, growth, T)."""
        x = self.bottleneck(x)
        return self.conv(x) * self.mask(x)


class DenseBlock(nn.Module):
    """Layers that see the block's input and what all layers before them gave; then half as many channels."""

    def __init__(self, inputs: int, layers: int, arguments: CAMPPlusArguments, dilation: int):
        super().__init__()
        growth = arguments.growth
        self.layers = nn.ModuleList(DenseLayer(inputs + i * growth, arguments, dilation) for i in range(layers))
        channels = inputs + layers * growth
        self.outputs = channels // 2
        self.transit = nn.Sequential(*bn_relu(channels), nn.Conv1d(channels, self.outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, T) -> (B, outputs, T)."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return self.transit(x)


class CAMPPlus(Backbone):
    """2-D convolutions that divide the bins by 8, a TDNN layer that halves the frames, dense blocks, pooling."""

    def __init__(self, arguments: CAMPPlusArguments, feature_dim: int):
        super().__init__()
        self.embedding_dim = arguments.embedding_dim
        stem, channels = arguments.stem_channels, arguments.channels
        blocks = [BasicBlock(stem, stem, stride, nn.Identity()) for stride in (HALVED, 1, HALVED, 1)]
        self.head = nn.Sequential(
            *conv_bn(1, stem, 3), nn.ReLU(inplace=True),
            *blocks,
            *conv_bn(stem, stem, 3, HALVED), nn.ReLU(inplace=True),
        )  # fmt: skip
        store_channels_last(self.head)
        rows = -(-feature_dim // 8)
        self.tdnn = nn.Sequential(nn.Conv1d(stem * rows, channels, 5, 2, 2, bias=False), *bn_relu(channels))
        self.blocks = nn.Sequential()
        for layers, dilation in zip(arguments.layers, arguments.dilations, strict=True):
            self.blocks.append(DenseBlock(channels, layers, arguments, dilation))
            channels = self.blocks[-1].outputs
        self.blocks.extend(bn_relu(channels))
        self.pooling = POOLINGS.build(arguments.pooling.name, arguments.pooling.args, channels=channels, rows=1)
        self.embedding = nn.Sequential(
            nn.Linear(self.pooling.output_dim, arguments.embedding_dim, bias=False),
            nn.BatchNorm1d(arguments.embedding_dim, affine=False),
        )
        if arguments.rectified:
            self.embedding.append(nn.ReLU())
        self.apply(_initialise)

    def forward(self, feats: Tensor) -> Tensor:
        """Features (B, T, F) -> embeddings (B, E)."""
        x = self.head(feats.transpose(1, 2).unsqueeze(1)).flatten(1, 2)
        x = self.blocks(self.tdnn(x))
        return self.embedding(self.pooling(x.unsqueeze(2)))


def bn_relu(channels: int) -> tuple[nn.Module, nn.Module]:
    """Batch norm and ReLU."""
    return nn.BatchNorm1d(channels), nn.ReLU(inplace=True)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.kaiming_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
