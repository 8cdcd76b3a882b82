"""Layers that several backbones have."""

import torch
from torch import nn


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int | tuple[int, int] = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A 2-D convolution that keeps the size but for its stride, without bias; batch norm."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)


def at_least(number: int, least: int) -> int:
    """The larger one; of a length that an exported network leaves open, a part of its graph."""
    # torch.compile traces the one and not the other, torch.export the other and not the one
    return max(number, least) if isinstance(number, int) else torch.sym_max(number, least)


def shortcut(inputs: int, outputs: int, stride: int | tuple[int, int]) -> nn.Module:
    """The identity, or a projection where the shape changes."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(*conv_bn(inputs, outputs, 1, stride))
