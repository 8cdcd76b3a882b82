"""ECAPA-TDNN (Desplanques et al. 2020): 1-D Res2Net blocks with squeeze-excitation, attentive pooling."""

import torch
from torch import Tensor, nn

from sv_py.models.arguments import ECAPAArguments
from sv_py.models.backbone import Backbone
from sv_py.models.pooling import ASP

SQUEEZED = 128  # bottleneck of the squeeze-excitation


def conv_relu_bn(inputs: int, outputs: int, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps the length, ReLU, batch norm."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, padding=padding, dilation=dilation),
        nn.ReLU(inplace=True),
        nn.BatchNorm1d(outputs),
    )


class Res2Conv(nn.Module):
    """Channels in ``scale`` groups: each but the last is convolved after adding the result of the one before."""

    def __init__(self, channels: int, scale: int, dilation: int):
        super().__init__()
        self.width = channels // scale
        self.convs = nn.ModuleList(conv_relu_bn(self.width, self.width, 3, dilation) for _ in range(scale - 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        *groups, last = x.split(self.width, 1)
        outputs = []
        for conv, group in zip(self.convs, groups, strict=True):
            outputs.append(conv(group + outputs[-1] if outputs else group))
        return torch.cat([*outputs, last], 1)


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

    def __init__(self, channels: int, scale: int, dilation: int):
        super().__init__()
        self.layers = nn.Sequential(
            conv_relu_bn(channels, channels),
            Res2Conv(channels, scale, dilation),
            conv_relu_bn(channels, channels),
            SqueezeExcitation(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        return x + self.layers(x)


class ECAPA(Backbone):
    """Three blocks of dilation 2, 3, 4; each sees the sum of all that came before it."""

    def __init__(self, arguments: ECAPAArguments, feature_dim: int):
        super().__init__()
        channels, pooled = arguments.channels, arguments.pooled_channels
        self.embedding_dim = arguments.embedding_dim
        self.conv = conv_relu_bn(feature_dim, channels, 5)
        self.blocks = nn.ModuleList(Block(channels, arguments.scale, dilation) for dilation in (2, 3, 4))
        self.aggregate = nn.Sequential(nn.Conv1d(3 * channels, pooled, 1), nn.ReLU(inplace=True))
        self.pooling = ASP(pooled, arguments.attention_channels, context=True)
        self.embedding = nn.Sequential(
            nn.BatchNorm1d(2 * pooled),
            nn.Linear(2 * pooled, arguments.embedding_dim),
            nn.BatchNorm1d(arguments.embedding_dim),
        )

    def forward(self, feats: Tensor) -> Tensor:
        """Features (B, T, F) -> embeddings (B, E)."""
        x = self.conv(feats.transpose(1, 2))
        outputs = []
        for block in self.blocks:
            outputs.append(block(x))
            x = x + outputs[-1]
        return self.embedding(self.pooling(self.aggregate(torch.cat(outputs, 1))))
