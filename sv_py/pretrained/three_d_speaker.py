"""3D-Speaker's checkpoints (Chen et al. 2024): CAM++ and ERes2NetV2."""

from typing import Any

from torch import Tensor

from sv_py.cli import InputError, first_few
from sv_py.pretrained.campplus import campplus
from sv_py.pretrained.layout import Layout, count, shape_of

_BLOCK = {
    "conv1": "reduce.0", "bn1": "reduce.1", "convs.#": "convs.#.0", "bns.#": "convs.#.1", "conv3": "expand.0",
    "bn3": "expand.1", "shortcut.#": "shortcut.#", "fuse_models.#.local_att.#": "fusions.#.attention.#",
}  # fmt: skip
_STAGES = 4


def layout(weights: dict[str, Tensor]) -> Layout:
    """What the weights are. Raises InputError for another network."""
    features: dict[str, Any] = {"frontend": {"name": "kaldi_fbank", "args": {}}}
    if "xvector.tdnn.linear.weight" in weights:
        return campplus(weights, features)
    if "fuse34.local_att.0.weight" in weights and "layer1.0.bns.1.weight" in weights:
        return _eres2netv2(weights, features)
    raise InputError(f"neither CAM++ nor ERes2NetV2 of 3D-Speaker; it begins with {first_few(weights)}")


def _eres2netv2(weights: dict[str, Tensor], features: dict[str, Any]) -> Layout:
    if "seg_2.weight" in weights:
        raise InputError("two_emb_layer: a network with two embedding layers, which is not known here")
    width = shape_of(weights, "conv1.weight", 4)[0]
    expansion = shape_of(weights, "layer1.0.conv3.weight", 4)[0] // width
    embedding_dim, pooled = shape_of(weights, "seg_1.weight", 2)
    features["frontend"]["args"]["num_mel_bins"] = pooled * 8 // (2 * 8 * width * expansion)
    rules = [
        ("conv1", "stem.0"), ("bn1", "stem.1"), ("layer3_ds", "downsample"), ("seg_1", "embedding"),
        ("fuse34.local_att.#", "fusion.attention.#"),
    ]  # fmt: skip
    for stage in range(_STAGES):
        rules += [(f"layer{stage + 1}.#.{old}", f"stages.{stage}.#.{new}") for old, new in _BLOCK.items()]
    args = {
        "width": width,
        "blocks": [count(weights, f"layer{stage + 1}.#.") for stage in range(_STAGES)],
        "base_width": -(-shape_of(weights, "layer4.0.convs.0.weight", 4)[0] * 64 // (8 * width)),  # theirs rounds down
        "scale": count(weights, "layer1.0.convs.#"),
        "expansion": expansion,
        "embedding_dim": embedding_dim,
    }
    return Layout({"name": "eres2netv2", "args": args}, features, rules)
