"""Thin ResNet-34 (Xie et al., "Utterance-level aggregation for speaker recognition in the wild", ICASSP 2019)."""

import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.cli import InputError
from sv_py.models.arguments import POOLINGS, ThinResNetArguments
from sv_py.models.backbone import Backbone, store_channels_last
from sv_py.models.layers import conv_bn


class Bottleneck(nn.Module):
    """Convolutions 1 x 1, 3 x 3 and 1 x 1 and a shortcut; ``stride`` is that of the first, along both axes."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int, projected: bool):
        super().__init__()
        self.layers = nn.Sequential(
            *conv_bn(inputs, width, 1, stride),
            nn.ReLU(inplace=True),
            *conv_bn(width, width, 3),
            nn.ReLU(inplace=True),
            *conv_bn(width, outputs, 1),
        )
        self.shortcut = nn.Sequential(*conv_bn(inputs, outputs, 1, stride)) if projected else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, F, T) -> (B, outputs, ceil(F / stride), ceil(T / stride))."""
        return F.relu(self.layers(x) + self.shortcut(x), inplace=True)


class ThinResNet(Backbone):
    """Stages of bottleneck blocks between two max-pools, pooling over time, one linear layer with ReLU.

    Of F bins and T frames, F // 2 and T // 2 enter the first stage and every next one halves them, rounding up; the
    last max-pool halves the rows again: 257 bins become 7 rows. Raises InputError for too few bins.
    """

    min_frames = 2

    def __init__(self, arguments: ThinResNetArguments, feature_dim: int):
        super().__init__()
        self.embedding_dim = arguments.embedding_dim
        channels, rows = arguments.stem_channels, feature_dim // 2
        self.trunk = nn.Sequential(*conv_bn(1, channels, 7), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        stages = zip(arguments.widths, arguments.channels, arguments.blocks, strict=True)
        for number, (width, outputs, blocks) in enumerate(stages):
            stride = 1 if number == 0 else 2
            for block in range(blocks):
                self.trunk.append(Bottleneck(channels, width, outputs, stride if block == 0 else 1, block == 0))
                channels = outputs
            rows = -(-rows // stride)
        self.trunk.append(nn.MaxPool2d((3, 1), (2, 1)))
        rows = (rows - 1) // 2
        if rows < 1:
            raise InputError(f"{feature_dim} bins are too few for a thin_resnet of {len(arguments.blocks)} stages")
        self.pooling = POOLINGS.build(arguments.pooling.name, arguments.pooling.args, channels=channels, rows=rows)
        self.embedding = nn.Linear(self.pooling.output_dim, arguments.embedding_dim)
        for part in (self.trunk, self.embedding):
            part.apply(_orthogonal)
        store_channels_last(self)

    def forward(self, feats: Tensor) -> Tensor:
        """Features (B, T, F) -> embeddings (B, E)."""
        x = self.trunk(feats.transpose(1, 2).unsqueeze(1))
        return F.relu(self.embedding(self.pooling(x)))


def _orthogonal(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.orthogonal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
