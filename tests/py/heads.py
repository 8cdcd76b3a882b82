"""Small losses and heads for tests of them."""

from typing import Any

import torch
from torch import Tensor

from sv_py.losses import HEADS, LOSSES
from sv_py.losses.head import Head

DIM, SPEAKERS = 6, [f"speaker{i}" for i in range(7)]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("softmax", {}),
    ("aam_softmax", {}),
    ("aam_softmax", {"sub_centres": 3}),
    ("aam_softmax", {"sub_centres": 2, "inter_topk": 2, "inter_topk_margin": 0.3}),
    ("am_softmax", {"inter_topk": 50}),
    ("margin_softmax", {"m1": 1.5, "m2": 0.1, "m3": 0.05}),
    ("sphereface2", {}),
    ("sphereface2", {"margin_type": "A", "t": 2.0}),
]


def label(variant: object) -> str:
    """The name of a variant in the report of a test."""
    name, arguments = variant
    return "-".join([name, *(f"{key}={value}" for key, value in arguments.items())])


def make_loss(name: str, scale: float | None = 8.0, **arguments: Any):
    """A loss; scale 8, where it has one, so that no speaker's share of the softmax is lost in rounding."""
    kind = LOSSES.arguments(name)
    if scale is not None and "scale" in kind.__dataclass_fields__:
        arguments["scale"] = scale
    return LOSSES.build(name, kind(**arguments))


def make_head(loss, kind: str = "full", speakers=SPEAKERS, seed: int = 0, dim: int = DIM, **arguments: Any) -> Head:
    """A head in float64."""
    head = HEADS.build(
        kind, HEADS.arguments(kind)(**arguments), loss=loss, embedding_dim=dim, speakers=speakers, seed=seed
    )
    return head.double()


def batch(size: int = 8, seed: int = 1, dim: int = DIM, speakers: int = len(SPEAKERS)) -> tuple[Tensor, Tensor]:
    """Embeddings (size, dim) float64 and labels (size,)."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(size, dim, generator=generator, dtype=torch.float64)
    return embeddings, torch.randint(speakers, (size,), generator=generator)
