"""ResNet for speaker embeddings (He et al. 2016; Zeinali et al. 2019): a 2-D network over (frequency, time)."""

import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.models.arguments import POOLINGS, ResNetArguments
from sv_py.models.attention import attention
from sv_py.models.backbone import Backbone, store_channels_last
from sv_py.models.layers import shortcut


class Block(nn.Module):
    """Convolutions, attention, and a shortcut around both; ``stride`` goes along both axes."""

    expansion: int  # outputs per channel of the stage
    attention: nn.Module
    shortcut: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, F, T) -> (B, expansion channels, ceil(F / stride), ceil(T / stride))."""
        y = self.attention(self._convolved(x))
        y += self.shortcut(x)
        return F.relu(y, inplace=True)

    def _convolved(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class BasicBlock(Block):
    """Two 3 x 3 convolutions."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int | tuple[int, int], attention: nn.Module):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut, self.attention = shortcut(inputs, channels, stride), attention

    def _convolved(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.bn2(self.conv2(y))


class Bottleneck(Block):
    """1 x 1, 3 x 3 with the stride, and 1 x 1 to four times the channels."""

    expansion = 4

    def __init__(self, inputs: int, channels: int, stride: int, attention: nn.Module):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.shortcut, self.attention = shortcut(inputs, 4 * channels, stride), attention

    def _convolved(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return self.bn3(self.conv3(y))


class ResNet(Backbone):
    """Stages of residual blocks with strides 1, 2, 2, ...; pooling over time; one linear layer."""

    def __init__(self, arguments: ResNetArguments, feature_dim: int):
        super().__init__()
        self.embedding_dim = arguments.embedding_dim
        self.conv = nn.Conv2d(1, arguments.width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(arguments.width)
        block = {"basic": BasicBlock, "bottleneck": Bottleneck}[arguments.block]
        inputs, rows = arguments.width, feature_dim
        self.stages = nn.Sequential()
        for number, blocks in enumerate(arguments.blocks):
            channels, stride = arguments.width * 2**number, 1 if number == 0 else 2
            rows = -(-rows // stride)
            stage = nn.Sequential()
            for i in range(blocks):
                stage.append(block(inputs, channels, stride if i == 0 else 1, attention(arguments, rows)))
                inputs = block.expansion * channels
            self.stages.append(stage)
        pooling = arguments.pooling
        self.pooling = POOLINGS.build(pooling.name, pooling.args, channels=inputs, rows=rows)
        self.embedding = nn.Linear(self.pooling.output_dim, arguments.embedding_dim)
        store_channels_last(self)

    def forward(self, feats: Tensor) -> Tensor:
        """Features (B, T, F) -> embeddings (B, E)."""
        x = feats.transpose(1, 2).unsqueeze(1)
        x = F.relu(self.bn(self.conv(x)), inplace=True)
        return self.embedding(self.pooling(self.stages(x)))
