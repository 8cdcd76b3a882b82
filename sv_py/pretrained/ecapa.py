"""ECAPA-TDNNs of SpeechBrain, WeSpeaker and VoxBlink2: one network under three sets of names."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sv_py.pretrained.layout import Layout, count, shape_of
from sv_py.pretrained.resnet import attentive_statistics


@dataclass(frozen=True)
class Names:
    """Their modules, each with ours; in ``blocks``, of which there are three, # of their name and of ours is a number.

    ``first``: the number of the first block.
    """

    outside: dict[str, str]
    block: str
    first: int
    inside: dict[str, str]


_GROUP = "layers.1.convs.#"  # of our blocks
SPEECHBRAIN = Names(
    outside={
        "blocks.0.conv.conv": "conv.0", "blocks.0.norm.norm": "conv.2",
        "mfa.conv.conv": "aggregate.0", "mfa.norm.norm": "aggregate.2",
        "asp.tdnn.conv.conv": "pooling.reduce", "asp.tdnn.norm.norm": "pooling.bottleneck.1",
        "asp.conv.conv": "pooling.expand", "asp_bn.norm": "embedding.0", "fc.conv": "embedding.1",
    },
    block="blocks.{}", first=1,
    inside={
        "tdnn1.conv.conv": "layers.0.0", "tdnn1.norm.norm": "layers.0.2",
        "res2net_block.blocks.#.conv.conv": f"{_GROUP}.0", "res2net_block.blocks.#.norm.norm": f"{_GROUP}.2",
        "tdnn2.conv.conv": "layers.2.0", "tdnn2.norm.norm": "layers.2.2",
        "se_block.conv1.conv": "layers.3.gate.1", "se_block.conv2.conv": "layers.3.gate.3",
    },
)  # fmt: skip
WESPEAKER = Names(
    outside={
        "layer1.conv": "conv.0", "layer1.bn": "conv.2", "conv": "aggregate.0",
        "pool.linear1": "pooling.reduce", "pool.linear2": "pooling.expand",
        "bn": "embedding.0", "linear": "embedding.1", "bn2": "embedding.2",
    },
    block="layer{}.se_res2block", first=2,
    inside={
        "0.conv": "layers.0.0", "0.bn": "layers.0.2", "1.convs.#": f"{_GROUP}.0", "1.bns.#": f"{_GROUP}.2",
        "2.conv": "layers.2.0", "2.bn": "layers.2.2", "3.linear1": "layers.3.gate.1", "3.linear2": "layers.3.gate.3",
    },
)  # fmt: skip
VOXBLINK2 = Names(
    outside={
        "conv1": "conv.0", "bn1": "conv.2", "layer4": "aggregate.0",
        "attention.0": "pooling.reduce", "attention.2": "pooling.bottleneck.1", "attention.4": "pooling.expand",
        "bn5": "embedding.0", "fc6": "embedding.1", "bn6": "embedding.2",
    },
    block="layer{}", first=1,
    inside={
        "conv1": "layers.0.0", "bn1": "layers.0.2", "convs.#": f"{_GROUP}.0", "bns.#": f"{_GROUP}.2",
        "conv3": "layers.2.0", "bn3": "layers.2.2", "se.se.1": "layers.3.gate.1", "se.se.3": "layers.3.gate.3",
    },
)  # fmt: skip


def ecapa(
    weights: dict[str, Tensor], features: dict[str, Any], names: Names, args: dict[str, Any], pooling: dict[str, Any]
) -> Layout:
    """The layout of an ECAPA-TDNN; ``args`` of the network and of its ``pooling`` are what shapes cannot tell."""
    theirs = {ours: name for name, ours in names.outside.items()}
    rules = list(names.outside.items())
    for block in range(3):
        prefix = names.block.format(names.first + block)
        rules += [(f"{prefix}.{old}", f"blocks.{block}.{new}") for old, new in names.inside.items()]
    first = names.block.format(names.first)
    groups = next(name for name, ours in names.inside.items() if ours == f"{_GROUP}.0")
    embedding = f"{theirs['embedding.1']}.weight"  # a convolution of SpeechBrain's, a linear layer of others
    channels, bins, _ = shape_of(weights, f"{theirs['conv.0']}.weight", 3)
    features["frontend"]["args"]["num_mel_bins"] = bins
    known = {
        "channels": channels,
        "scale": 1 + count(weights, f"{first}.{groups}"),
        "pooled_channels": shape_of(weights, f"{theirs['aggregate.0']}.weight", 3)[0],
        "pooled_norm": f"{theirs.get('aggregate.2')}.weight" in weights,
        "pooling": attentive_statistics(weights, theirs["pooling.reduce"], theirs["pooling.expand"], **pooling),
        "embedding_dim": shape_of(weights, embedding, 3 if names is SPEECHBRAIN else 2)[0],
        "embedding_norm": f"{theirs.get('embedding.2')}.weight" in weights,
    }
    return Layout({"name": "ecapa_tdnn", "args": known | args}, features, rules)
