"""ECAPA-TDNN (Desplanques et al. 2020): 1-D Res2Net blocks with squeeze-excitation, attentive pooling."""

import torch
from torch import Tensor, nn

from sv_py.models.arguments import POOLINGS, ECAPAArguments
from sv_py.models.backbone import Backbone

SQUEEZED = 128  # bottleneck of the squeeze-excitation


def conv_relu_bn(
    inputs: int, outputs: int, kernel: int = 1, dilation: int = 1, padding_mode: str = "zeros"
) -> nn.Sequential:
    """A convolution that keeps the length, ReLU, batch norm."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, padding=padding, dilation=dilation, padding_mode=padding_mode),
        nn.ReLU(inplace=True),
        nn.BatchNorm1d(outputs),
    )


class Res2Conv(nn.Module):
    """Channels in ``scale`` groups: each but one is convolved after adding the result of the one before."""

    def __init__(self, arguments: ECAPAArguments, dilation: int):
        super().__init__()
        self.width = arguments.channels // arguments.scale
        self.keeps_first = arguments.kept == "first"
        self.convs = nn.ModuleList(
            conv_relu_bn(self.width, self.width, 3, dilation, arguments.padding) for _ in range(arguments.scale - 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        groups = list(x.split(self.width, 1))
        kept = groups.pop(0 if self.keeps_first else -1)
        outputs = []
        for conv, group in zip(self.convs, groups, strict=True):
            outputs.append(conv(group + outputs[-1] if outputs else group))
        return torch.cat([kept, *outputs] if self.keeps_first else [*outputs, kept], 1)


class SqueezeExcitation(nn.Module):
    """Scales every channel by a gate computed from all channels' means over time."""

    def __init__(self, channels: int):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool1d(1),
            nn.Conv1d(channels, SQUEEZED, 1),
            nn.ReLU(inplace=True),
            nn.Conv1d(SQUEEZED, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        return x * self.gate(x)


class Block(nn.Module):
    """SE-Res2Net block: 1 x 1, Res2, 1 x 1, squeeze-excitation, and a shortcut around them."""

    def __init__(self, arguments: ECAPAArguments, dilation: int):
        super().__init__()
        channels = arguments.channels
        self.layers = nn.Sequential(
            conv_relu_bn(channels, channels),
            Res2Conv(arguments, dilation),
            conv_relu_bn(channels, channels),
            SqueezeExcitation(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        return x + self.layers(x)


class ECAPA(Backbone):
    """A convolution, three blocks of dilation 2, 3 and 4 whose outputs are pooled together, a linear layer."""

    def __init__(self, arguments: ECAPAArguments, feature_dim: int):
        super().__init__()
        channels, pooled, pooling = arguments.channels, arguments.pooled_channels, arguments.pooling
        self.embedding_dim = arguments.embedding_dim
        self.min_frames = 5 if arguments.padding == "reflect" else 1  # a reflection takes fewer frames than there are
        self.summed = arguments.summed
        self.conv = conv_relu_bn(feature_dim, channels, 5, 1, arguments.padding)
        self.blocks = nn.ModuleList(Block(arguments, dilation) for dilation in (2, 3, 4))
        self.aggregate = nn.Sequential(nn.Conv1d(3 * channels, pooled, 1), nn.ReLU(inplace=True))
        if arguments.pooled_norm:
            self.aggregate.append(nn.BatchNorm1d(pooled))
        self.pooling = POOLINGS.build(pooling.name, pooling.args, channels=pooled, rows=1)
        self.embedding = nn.Sequential(
            nn.BatchNorm1d(self.pooling.output_dim),
            nn.Linear(self.pooling.output_dim, arguments.embedding_dim),
        )
        if arguments.embedding_norm:
            self.embedding.append(nn.BatchNorm1d(arguments.embedding_dim))

    def forward(self, feats: Tensor) -> Tensor:
        """Features (B, T, F) -> embeddings (B, E)."""
        x = self.conv(feats.transpose(1, 2))
        outputs = []
        for block in self.blocks:
            outputs.append(block(x))
            x = x + outputs[-1] if self.summed else outputs[-1]
        x = self.aggregate(torch.cat(outputs, 1))
        return self.embedding(self.pooling(x.unsqueeze(2)))
