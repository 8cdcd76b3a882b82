"""Networks of others in miniature, written as they publish them: the names of their weights, and what they compute."""

import torch
import torch.nn.functional as F
from torch import nn


def settle(network: nn.Module) -> nn.Module:
    """Random running statistics and weights of batch norms, so that no error hides behind zeros and ones."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.2, 0.2)
    return network.eval()


def conv2d(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class ResidualBlock(nn.Module):
    """Basic, or with ``deep`` a bottleneck; ``simam`` and the shortcut's name are VoxBlink2's."""

    def __init__(self, inputs, channels, stride, deep, simam, shortcut):
        super().__init__()
        outputs = 4 * channels if deep else channels
        self.deep, self.simam, self.name = deep, simam, shortcut
        self.conv1 = conv2d(inputs, channels, 1 if deep else 3, 1 if deep else stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv2d(channels, channels, 3, stride if deep else 1)
        self.bn2 = nn.BatchNorm2d(channels)
        if deep:
            self.conv3, self.bn3 = conv2d(channels, outputs, 1), nn.BatchNorm2d(outputs)
        projected = stride != 1 or inputs != outputs
        projection = [conv2d(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)]
        setattr(self, shortcut, nn.Sequential(*(projection if projected else [])))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.deep:
            y = self.bn3(self.conv3(F.relu(y)))
        if self.simam:
            d = (y - y.mean((2, 3), keepdim=True)) ** 2
            v = d.sum((2, 3), keepdim=True) / (y.shape[2] * y.shape[3] - 1)
            y = y * torch.sigmoid(d / (4 * (v + 1e-4)) + 0.5)
        return F.relu(y + getattr(self, self.name)(x))


class Trunk(nn.Module):
    def __init__(self, width=4, blocks=(3, 4, 6, 3), deep=False, simam=False, shortcut="shortcut"):
        super().__init__()
        self.conv1, self.bn1, inputs = conv2d(1, width, 3), nn.BatchNorm2d(width), width
        for stage, number in enumerate(blocks):
            channels, layers = width * 2**stage, []
            for block in range(number):
                stride = 2 if stage and not block else 1
                layers.append(ResidualBlock(inputs, channels, stride, deep, simam, shortcut))
                inputs = 4 * channels if deep else channels
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.channels = inputs

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return x


def statistics(x):
    """Mean and deviation over the last axis."""
    return torch.cat([x.mean(-1).flatten(1), torch.sqrt(x.var(-1) + 1e-7).flatten(1)], 1)


class WeSpeakerResNet(Trunk):
    def __init__(self, pooling="TSTP", **trunk):
        super().__init__(**trunk)
        rows = 10 * self.channels
        if pooling == "ASTP":
            self.pool = nn.Module()
            self.pool.linear1, self.pool.linear2 = nn.Conv1d(3 * rows, 8, 1), nn.Conv1d(8, rows, 1)
        self.seg_1 = nn.Linear(rows if pooling == "TAP" else 2 * rows, 12)
        self.pooling = pooling

    def forward(self, feats):
        x = super().forward(feats.transpose(1, 2)[:, None])
        if self.pooling == "TAP":
            return self.seg_1(x.mean(-1).flatten(1))
        if self.pooling == "TSTP":
            return self.seg_1(statistics(x))
        x = x.flatten(1, 2)
        context = statistics(x)[..., None].expand(-1, -1, x.shape[-1])
        w = self.pool.linear2(torch.tanh(self.pool.linear1(torch.cat([x, context], 1)))).softmax(2)
        mean = (w * x).sum(2)
        return self.seg_1(torch.cat([mean, ((w * x**2).sum(2) - mean**2).clamp(min=1e-7).sqrt()], 1))


class VoxBlink2ResNet(nn.Module):
    """Features in: their front end is left out of what it computes, but not of its weights."""

    def __init__(self, pooling, **trunk):
        super().__init__()
        self.front = Trunk(**{"shortcut": "shortcut" if trunk.get("deep") else "downsample"} | trunk)
        rows = 10 * self.front.channels
        self.pooling = nn.Module()
        if pooling == "ASP":
            self.pooling.attention = nn.Sequential(
                nn.Conv1d(rows, 8, 1), nn.ReLU(), nn.BatchNorm1d(8), nn.Conv1d(8, rows, 1), nn.Softmax(2)
            )
        self.bottleneck = nn.Linear(2 * (self.front.channels if pooling == "GSP" else rows), 12)
        self.kind = pooling

    def forward(self, feats):
        x = self.front(feats.transpose(1, 2)[:, None])
        if self.kind == "GSP":
            return self.bottleneck(torch.cat([x.flatten(2).mean(2), x.flatten(2).std(2)], 1))
        x = x.flatten(1, 2)
        if self.kind == "TSP":
            return self.bottleneck(statistics(x))
        w = self.pooling.attention(x)
        mean = (w * x).sum(2)
        return self.bottleneck(torch.cat([mean, ((w * x**2).sum(2) - mean**2).clamp(min=1e-5).sqrt()], 1))


class Bottle2neck(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        width = channels // 8
        self.conv1, self.bn1 = nn.Conv1d(channels, channels, 1), nn.BatchNorm1d(channels)
        self.convs = nn.ModuleList(nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation) for _ in range(7))
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(7))
        self.conv3, self.bn3 = nn.Conv1d(channels, channels, 1), nn.BatchNorm1d(channels)
        self.se = nn.Module()
        self.se.se = nn.Sequential(
            nn.AdaptiveAvgPool1d(1), nn.Conv1d(channels, 128, 1), nn.ReLU(), nn.Conv1d(128, channels, 1), nn.Sigmoid()
        )

    def forward(self, x):
        groups = self.bn1(F.relu(self.conv1(x))).chunk(8, 1)
        done = []
        for conv, bn, group in zip(self.convs, self.bns, groups, strict=False):
            done.append(bn(F.relu(conv(done[-1] + group if done else group))))
        y = self.bn3(F.relu(self.conv3(torch.cat([*done, groups[7]], 1))))
        return y * self.se.se(y) + x


class VoxBlink2ECAPA(nn.Module):
    """Features in, as `VoxBlink2ResNet`."""

    def __init__(self, channels=16):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(80, channels, 5, padding=2), nn.BatchNorm1d(channels)
        self.layer1, self.layer2, self.layer3 = (Bottle2neck(channels, dilation) for dilation in (2, 3, 4))
        self.layer4 = nn.Conv1d(3 * channels, 24, 1)
        self.attention = nn.Sequential(
            nn.Conv1d(72, 8, 1), nn.ReLU(), nn.BatchNorm1d(8), nn.Tanh(), nn.Conv1d(8, 24, 1), nn.Softmax(2)
        )
        self.bn5, self.fc6, self.bn6 = nn.BatchNorm1d(48), nn.Linear(48, 12), nn.BatchNorm1d(12)

    def forward(self, feats):
        x = self.bn1(F.relu(self.conv1(feats.transpose(1, 2))))
        x1 = self.layer1(x)
        x2 = self.layer2(x + x1)
        x3 = self.layer3(x + x1 + x2)
        x = F.relu(self.layer4(torch.cat((x1, x2, x3), 1)))
        mean, deviation = x.mean(2, keepdim=True), x.var(2, keepdim=True).clamp(min=1e-4).sqrt()
        w = self.attention(torch.cat((x, mean.expand_as(x), deviation.expand_as(x)), 1))
        mean = (x * w).sum(2)
        deviation = ((x**2 * w).sum(2) - mean**2).clamp(min=1e-4).sqrt()
        return self.bn6(self.fc6(self.bn5(torch.cat((mean, deviation), 1))))


class Layers(nn.Module):
    """Modules by name; what they compute is not needed."""

    def __init__(self, **modules):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)


class WeSpeakerECAPA(nn.Module):
    def __init__(self, context, embedding_norm, channels=16):
        super().__init__()
        self.context, width = context, channels // 8
        self.layer1 = Layers(conv=nn.Conv1d(80, channels, 5, padding=2), bn=nn.BatchNorm1d(channels))
        for number, dilation in ((2, 2), (3, 3), (4, 4)):
            convs = nn.ModuleList(nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation) for _ in range(7))
            block = nn.Sequential(
                Layers(conv=nn.Conv1d(channels, channels, 1), bn=nn.BatchNorm1d(channels)),
                Layers(convs=convs, bns=nn.ModuleList(nn.BatchNorm1d(width) for _ in range(7))),
                Layers(conv=nn.Conv1d(channels, channels, 1), bn=nn.BatchNorm1d(channels)),
                Layers(linear1=nn.Linear(channels, 128), linear2=nn.Linear(128, channels)),
            )
            setattr(self, f"layer{number}", Layers(se_res2block=block))
        self.conv = nn.Conv1d(3 * channels, 24, 1)
        self.pool = Layers(linear1=nn.Conv1d(72 if context else 24, 8, 1), linear2=nn.Conv1d(8, 24, 1))
        self.bn, self.linear = nn.BatchNorm1d(48), nn.Linear(48, 12)
        self.bn2 = nn.BatchNorm1d(12) if embedding_norm else nn.Identity()

    def forward(self, feats):
        outputs = [self.layer1.bn(F.relu(self.layer1.conv(feats.transpose(1, 2))))]
        for number in (2, 3, 4):
            first, res2, last, gate = getattr(self, f"layer{number}").se_res2block
            groups = first.bn(F.relu(first.conv(outputs[-1]))).chunk(8, 1)
            done = []
            for conv, bn, group in zip(res2.convs, res2.bns, groups, strict=False):
                done.append(bn(F.relu(conv(done[-1] + group if done else group))))
            y = last.bn(F.relu(last.conv(torch.cat([*done, groups[7]], 1))))
            scale = torch.sigmoid(gate.linear2(F.relu(gate.linear1(y.mean(2)))))
            outputs.append(outputs[-1] + y * scale[..., None])
        x = F.relu(self.conv(torch.cat(outputs[1:], 1)))
        seen = torch.cat([x, statistics(x)[..., None].expand(-1, -1, x.shape[2])], 1) if self.context else x
        w = self.pool.linear2(torch.tanh(self.pool.linear1(seen))).softmax(2)
        mean = (w * x).sum(2)
        deviation = ((w * x**2).sum(2) - mean**2).clamp(min=1e-7).sqrt()
        return self.bn2(self.linear(self.bn(torch.cat([mean, deviation], 1))))


class Fusion(nn.Module):
    def __init__(self, channels):
        super().__init__()
        hidden = channels // 4
        self.local_att = nn.Sequential(
            nn.Conv2d(2 * channels, hidden, 1), nn.BatchNorm2d(hidden), nn.SiLU(), nn.Conv2d(hidden, channels, 1),
            nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x, y):
        a = 1 + torch.tanh(self.local_att(torch.cat([x, y], 1)))
        return x * a + y * (2 - a)


class Res2Block(nn.Module):
    def __init__(self, inputs, channels, stride, base, scale, expansion, fused):
        super().__init__()
        self.width, outputs = channels * base // 64, channels * expansion
        self.conv1, self.bn1 = conv2d(inputs, self.width * scale, 1, stride), nn.BatchNorm2d(self.width * scale)
        self.convs = nn.ModuleList(conv2d(self.width, self.width, 3) for _ in range(scale))
        self.bns = nn.ModuleList(nn.BatchNorm2d(self.width) for _ in range(scale))
        if fused:
            self.fuse_models = nn.ModuleList(Fusion(self.width) for _ in range(scale - 1))
        self.conv3, self.bn3 = conv2d(self.width * scale, outputs, 1), nn.BatchNorm2d(outputs)
        projected = stride != 1 or inputs != outputs
        projection = [conv2d(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*(projection if projected else []))

    def forward(self, x):
        groups = F.hardtanh(self.bn1(self.conv1(x)), 0, 20).split(self.width, 1)
        done = []
        for i, (conv, bn, group) in enumerate(zip(self.convs, self.bns, groups, strict=True)):
            if done:
                group = self.fuse_models[i - 1](done[-1], group) if hasattr(self, "fuse_models") else done[-1] + group
            done.append(F.hardtanh(bn(conv(group)), 0, 20))
        return F.hardtanh(self.bn3(self.conv3(torch.cat(done, 1))) + self.shortcut(x), 0, 20)


class ERes2NetV2(nn.Module):
    def __init__(self, width=16, blocks=(1, 1, 2, 1), base=26, scale=2, expansion=2):
        super().__init__()
        self.conv1, self.bn1, inputs = conv2d(1, width, 3), nn.BatchNorm2d(width), width
        for stage, number in enumerate(blocks):
            channels, layers = width * 2**stage, []
            for block in range(number):
                stride = 2 if stage and not block else 1
                layers.append(Res2Block(inputs, channels, stride, base, scale, expansion, stage >= 2))
                inputs = channels * expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.layer3_ds = conv2d(inputs // 2, inputs, 3, 2)
        self.fuse34 = Fusion(inputs)
        self.seg_1 = nn.Linear(20 * inputs, 12)

    def forward(self, feats):
        x = F.relu(self.bn1(self.conv1(feats.transpose(1, 2)[:, None])))
        third = self.layer3(self.layer2(self.layer1(x)))
        return self.seg_1(statistics(self.fuse34(self.layer4(third), self.layer3_ds(third)).flatten(1, 2)))
