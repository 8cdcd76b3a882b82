"""How many 2-second crops a second does each backbone of conf/ embed, and train on, in float32 and in bfloat16?

A batch is 32 crops of 200 frames, unless --batch says otherwise: the deepest networks need more memory for 32 than a
small machine has. A training step is forward, backward and SGD with the additive angular margin head of 5,994
speakers. For ResNet34 and ECAPA-TDNN the same layouts are also written in the usual way, below, and trained by a plain
loop; SpeechBrain's ECAPA-TDNN is brought by pip, or lies in the folder SPEECHBRAIN. Everything that is compared is
timed in turn, and the best of up to three times counts. Arguments: stems of conf/ instead of the light ones, --all.
Prints one JSON line per figure.
"""

import argparse
import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.config import load
from sv_py.describe import front_end
from sv_py.features import FRONTENDS
from sv_py.losses import HEADS, LOSSES
from sv_py.models import BACKBONES
from sv_py.train import OPTIMIZERS

FRAMES, SPEAKERS = 200, 5994
ROUNDS, PATIENCE = 3, 15.0  # times that everything is called, and seconds after which heavy networks are called no more
CONF = Path(__file__).resolve().parents[1] / "conf"
LIGHT = [
    "resnet34", "ecapa_tdnn_512", "ecapa_tdnn_1024", "ecapa_tdnn_speechbrain", "bilstm", "thin_resnet34_ghostvlad",
    "xvector", "campplus", "eres2netv2", "redimnet2_b0",
]  # fmt: skip
SPEECHBRAIN = ("speechbrain==1.1.2", "hyperpyyaml==1.2.3", "ruamel.yaml==0.18.6")


class PlainBlock(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, F, T) -> (B, outputs, F / stride, T / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class PlainResNet34(nn.Module):
    """ResNet34 with 32 channels and statistics pooling."""

    def __init__(self):
        super().__init__()
        layers, inputs = [nn.Conv2d(1, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()], 32
        for number, blocks in enumerate((3, 4, 6, 3)):
            for i in range(blocks):
                outputs = 32 * 2**number
                layers.append(PlainBlock(inputs, outputs, 2 if number and i == 0 else 1))
                inputs = outputs
        self.layers, self.embedding = nn.Sequential(*layers), nn.Linear(5120, 256)
        self.head_dim = 256

    def forward(self, feats: Tensor) -> Tensor:
        """(B, T, 80) -> (B, 256)."""
        x = self.layers(feats.transpose(1, 2).unsqueeze(1)).flatten(1, 2)
        return self.embedding(torch.cat((x.mean(-1), (x.var(-1) + 1e-7).sqrt()), dim=1))


class PlainLayer(nn.Sequential):
    """Convolution, ReLU, batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1):
        conv = nn.Conv1d(inputs, outputs, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        super().__init__(conv, nn.ReLU(), nn.BatchNorm1d(outputs))


class PlainSERes2Block(nn.Module):
    """1 x 1, Res2 of eight groups, 1 x 1, squeeze-excitation."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.first, self.last = PlainLayer(channels, channels), PlainLayer(channels, channels)
        self.convs = nn.ModuleList(PlainLayer(channels // 8, channels // 8, 3, dilation) for _ in range(7))
        self.gate = nn.Sequential(nn.Linear(channels, 128), nn.ReLU(), nn.Linear(128, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        groups, outputs, y = torch.chunk(self.first(x), 8, dim=1), [], 0
        for group, conv in zip(groups, self.convs, strict=False):
            y = conv(group + y)
            outputs.append(y)
        y = self.last(torch.cat((*outputs, groups[7]), dim=1))
        return x + y * self.gate(y.mean(dim=2)).unsqueeze(2)


class PlainECAPA(nn.Module):
    """ECAPA-TDNN of 1024 channels."""

    def __init__(self):
        super().__init__()
        self.first = PlainLayer(80, 1024, 5)
        self.blocks = nn.ModuleList(PlainSERes2Block(1024, dilation) for dilation in (2, 3, 4))
        self.aggregate = nn.Conv1d(3072, 1536, 1)
        self.attention = nn.Sequential(
            nn.Conv1d(4608, 128, 1), nn.ReLU(), nn.BatchNorm1d(128), nn.Tanh(), nn.Conv1d(128, 1536, 1), nn.Softmax(2)
        )
        self.embedding = nn.Sequential(nn.BatchNorm1d(3072), nn.Linear(3072, 192), nn.BatchNorm1d(192))
        self.head_dim = 192

    def forward(self, feats: Tensor) -> Tensor:
        """(B, T, 80) -> (B, 192)."""
        x, outputs = self.first(feats.transpose(1, 2)), []
        for block in self.blocks:
            outputs.append(block(x))
            x = x + outputs[-1]
        x = F.relu(self.aggregate(torch.cat(outputs, dim=1)))
        mean, deviation = x.mean(2, keepdim=True).expand_as(x), (x.var(2, keepdim=True) + 1e-7).sqrt().expand_as(x)
        weights = self.attention(torch.cat((x, mean, deviation), dim=1))
        mean = (weights * x).sum(2)
        variance = (weights * x**2).sum(2) - mean**2
        return self.embedding(torch.cat((mean, variance.clamp(min=1e-7).sqrt()), dim=1))


class PlainHead(nn.Module):
    """Additive angular margin softmax."""

    def __init__(self, embedding_dim: int):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(SPEAKERS, embedding_dim)))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss."""
        cosine = F.linear(F.normalize(embeddings), F.normalize(self.weight))
        shifted = (cosine.clamp(-1 + 1e-7, 1 - 1e-7).acos() + 0.2).cos()
        return F.cross_entropy(32 * torch.where(F.one_hot(labels, SPEAKERS).bool(), shifted, cosine), labels)


class Work:
    """A network with its head and its optimiser; ``precision`` is that of autocast."""

    def __init__(
        self, network: nn.Module, head: Callable, optimizers: list, batch: int, feature_dim: int, bfloat16: bool = False
    ):
        self.network, self.head, self.optimizers, self.bfloat16 = network.train(), head, optimizers, bfloat16
        torch.manual_seed(0)
        self.feats, self.labels = torch.randn(batch, FRAMES, feature_dim), torch.randint(SPEAKERS, (batch,))

    def embed(self) -> Tensor:
        """The embeddings of the batch, as what the head sees."""
        with torch.autocast("cpu", torch.bfloat16) if self.bfloat16 else contextlib.nullcontext():
            x = self.network(self.feats)
            return (self.network.project(x) if hasattr(self.network, "project") else x).float()

    def train(self) -> None:
        """A training step."""
        loss = self.head(self.embed(), self.labels)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()

    @torch.inference_mode()
    def infer(self) -> None:
        """The forward pass of extraction."""
        self.network.eval()
        self.embed()
        self.network.train()


def of_conf(stem: str, batch: int, bfloat16: bool) -> Work:
    """The experiment conf/<stem>.yaml."""
    config = load(CONF / f"{stem}.yaml")
    feature_dim = FRONTENDS.build(*front_end(config, None)).feature_dim
    network = BACKBONES.build(config.model.name, config.model.args, feature_dim=feature_dim)
    loss = LOSSES.build("aam_softmax", LOSSES.arguments("aam_softmax")())
    arguments = HEADS.arguments("full")()
    names = [f"id{i:05d}" for i in range(SPEAKERS)]
    head = HEADS.build("full", arguments, loss=loss, embedding_dim=network.head_dim, speakers=names, seed=0)
    arguments = OPTIMIZERS.arguments("sgd")()
    optimizers = [OPTIMIZERS.build("sgd", arguments, parameters=part.parameters()) for part in (network, head)]
    return Work(network, lambda x, labels: head(x, labels)[0], optimizers, batch, feature_dim, bfloat16)


def plain(network: nn.Module, batch: int) -> Work:
    """A network with a plain head and plain SGD."""
    head = PlainHead(network.head_dim)
    parameters = [*network.parameters(), *head.parameters()]
    return Work(network, head, [torch.optim.SGD(parameters, lr=0.0, momentum=0.9, weight_decay=1e-4)], batch, 80)


def speechbrain(folder: str) -> nn.Module:
    """SpeechBrain's ECAPA-TDNN of 1024 channels, from ``folder``."""
    sys.path.append(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = importlib.import_module("speechbrain.lobes.models.ECAPA_TDNN")

    class Network(nn.Module):
        head_dim = 192

        def __init__(self):
            super().__init__()
            channels = [1024, 1024, 1024, 1024, 3072]
            self.network = package.ECAPA_TDNN(80, channels=channels, attention_channels=128, lin_neurons=192)

        def forward(self, feats: Tensor) -> Tensor:
            return self.network(feats).squeeze(1)

    return Network()


def fetch_speechbrain(folder: str) -> str | None:
    """The folder that SPEECHBRAIN names, or else ``folder`` with the package in it; None if pip cannot bring it."""
    if place := os.environ.get("SPEECHBRAIN"):
        return place
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, *SPEECHBRAIN]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode == 0:
        return folder
    print("bench/backbones.py: goes on without SpeechBrain", file=sys.stderr)
    return None


def seconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The best time of each call; they are called in turn, so that all are disturbed alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    begin = time.perf_counter()
    for number in range(1 + ROUNDS):  # the first is to warm up
        if number > 1 and time.perf_counter() - begin > PATIENCE:
            break
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: min(values[1:]) for name, values in times.items()}


def figures(stem: str, batch: int, peers: dict[str, Work]) -> Iterator[tuple[str, float, str]]:
    """(figure, value, unit) of a layout."""
    works = {"float32": of_conf(stem, batch, False), "bfloat16": of_conf(stem, batch, True)} | peers
    forward = seconds({name: work.infer for name, work in works.items()})
    step = seconds({name: work.train for name, work in works.items()})
    for name in works:
        yield f"{stem}, {name}: forward", batch / forward[name], "utt/s"
        yield f"{stem}, {name}: training", batch / step[name], "utt/s"
    for peer in peers:
        for name in ("float32", "bfloat16"):
            yield f"{stem}, {name}: training over that of {peer}", step[peer] / step[name], "1"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stems", nargs="*", default=LIGHT, help="of conf/*.yaml")
    parser.add_argument("--all", action="store_true", help="every YAML of conf/, for half an hour")
    parser.add_argument("--batch", type=int, default=32, help="crops of a batch")
    args = parser.parse_args()
    stems = sorted(path.stem for path in CONF.glob("*.yaml") if "mini" not in path.stem) if args.all else args.stems
    with tempfile.TemporaryDirectory() as folder:
        for stem in stems:
            peers = {}
            if stem == "resnet34":
                peers = {"a plain loop": plain(PlainResNet34(), args.batch)}
            elif stem == "ecapa_tdnn_1024":
                peers = {"a plain loop": plain(PlainECAPA(), args.batch)}
                if place := fetch_speechbrain(folder):
                    peers["SpeechBrain's"] = plain(speechbrain(place), args.batch)
            for figure, value, unit in figures(stem, args.batch, peers):
                line = {"bench": "backbones", "figure": figure, "value": round(value, 2), "unit": unit}
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
