"""ResNets of WeSpeaker and VoxBlink2: their shapes say which."""

from typing import Any

from torch import Tensor

from sv_py.cli import InputError
from sv_py.pretrained.layout import Layout, count, shape_of

USUAL_BINS = 80  # mel filters of all that is published
_STAGES = 4
_SHRINKS = 2 ** (_STAGES - 1)  # rows of the features that become one

_POOLING_RULES = [
    ("pooling.attention.0", "pooling.reduce"),
    ("pooling.attention.2", "pooling.bottleneck.1"),
    ("pooling.attention.3", "pooling.expand"),
    ("pool.linear1", "pooling.reduce"),
    ("pool.linear2", "pooling.expand"),
]


def resnet(
    weights: dict[str, Tensor], features: dict[str, Any], front: str = "", embedding: str = "seg_1", attention: str = ""
) -> Layout:
    """The layout of a ResNet whose trunk's names begin with ``front`` and whose last layer is ``embedding``.

    ``attention``: if empty, SimAM, which has no weights, is assumed of basic blocks with attentive pooling.
    """
    width = shape_of(weights, f"{front}conv1.weight", 4)[0]
    shape_of(weights, f"{front}layer{_STAGES}.0.conv1.weight", 4)
    blocks = [count(weights, f"{front}layer{stage + 1}.#.") for stage in range(_STAGES)]
    bottleneck = f"{front}layer1.0.conv3.weight" in weights
    embedding_dim, pooled = shape_of(weights, f"{embedding}.weight", 2)
    pooling, rows, assumed = _pooling(weights, width * _SHRINKS * (4 if bottleneck else 1), pooled)
    features["frontend"]["args"]["num_mel_bins"] = rows * _SHRINKS
    if not attention:
        attention = "simam" if pooling["name"] == "asp" and not bottleneck else "none"
        assumed.append(f"model.args.attention={attention}, from block and pooling: SimAM has no weights")
    args = {
        "width": width, "blocks": blocks, "block": "bottleneck" if bottleneck else "basic", "attention": attention,
        "pooling": pooling, "embedding_dim": embedding_dim,
    }  # fmt: skip
    rules = [(f"{front}conv1", "conv"), (f"{front}bn1", "bn"), *_POOLING_RULES, (embedding, "embedding")]
    for stage in range(_STAGES):
        theirs, ours = f"{front}layer{stage + 1}.#", f"stages.{stage}.#"
        rules += [(f"{theirs}.{part}#", f"{ours}.{part}#") for part in ("conv", "bn")]
        rules += [(f"{theirs}.{part}.#", f"{ours}.shortcut.#") for part in ("shortcut", "downsample")]
    return Layout({"name": "resnet", "args": args}, features, rules, assumed=assumed)


def attentive_statistics(weights: dict[str, Tensor], reduce: str, expand: str, **args: Any) -> dict[str, Any]:
    """Attentive statistics pooling with the two layers of these names; whether it sees context is in their shapes."""
    hidden, inputs, _ = shape_of(weights, f"{reduce}.weight", 3)
    context = inputs == 3 * shape_of(weights, f"{expand}.weight", 3)[0]
    return {"name": "asp", "args": {"attention_channels": hidden, "context": context} | args}


def _pooling(weights: dict[str, Tensor], channels: int, pooled: int) -> tuple[dict[str, Any], int, list[str]]:
    """The pooling of ``channels`` to ``pooled`` values; the rows of the map, the usual if unknown; what is assumed."""
    usual = USUAL_BINS // _SHRINKS
    for reduce, expand, args in (
        ("pooling.attention.0", "pooling.attention.3", {"bottleneck": "relu_bn", "floor": 1e-5}),
        ("pool.linear1", "pool.linear2", {"bottleneck": "tanh", "floor": 1e-7}),
    ):
        if f"{reduce}.weight" in weights:
            return attentive_statistics(weights, reduce, expand, **args), pooled // (2 * channels), []
    if pooled == 2 * channels:
        return {"name": "gsp"}, usual, [f"features.frontend.args.num_mel_bins={USUAL_BINS}: statistics of all rows"]
    if pooled == channels * usual:
        other = f"tsp has them of {USUAL_BINS // 2} bins"
        assumed = f"model.args.pooling={{name: tap}}: as many values as {USUAL_BINS} bins give, but {other}"
        return {"name": "tap"}, usual, [assumed]
    if pooled % (2 * channels):
        raise InputError(f"a pooling that is not known here, of {channels} channels to {pooled} values")
    return {"name": "tsp"}, pooled // (2 * channels), []
