"""Layers that several backbones have."""

from torch import nn


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int | tuple[int, int] = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A 2-D convolution that keeps the size but for its stride, without bias; batch norm."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)


def shortcut(inputs: int, outputs: int, stride: int | tuple[int, int]) -> nn.Module:
    """The identity, or a projection where the shape changes."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(*conv_bn(inputs, outputs, 1, stride))
