"""Backbones: features (B, T, F) -> speaker embeddings (B, E).

A backbone is an ``nn.Module`` built as ``BACKBONES.build(name, arguments, feature_dim=F)`` with

- ``embedding_dim``, the E of its output;
- ``min_frames``, the shortest T that it takes (shorter input raises);
- ``forward(feats)``, which treats every utterance of a batch alike: a batch holds equal lengths, never padding.
"""

from sv_py.models.arguments import ECAPAArguments, ResNetArguments
from sv_py.registry import Table

BACKBONES = Table(
    "backbone",
    {
        "resnet34": (ResNetArguments, "sv_py.models.resnet:ResNet"),
        "ecapa_tdnn": (ECAPAArguments, "sv_py.models.ecapa:ECAPA"),
    },
)
