"""Backbones: features (B, T, F) -> speaker embeddings (B, E).

Built as ``BACKBONES.build(name, arguments, feature_dim=F)``, a `Backbone` of ``sv_py/models/backbone.py``, whose
``forward(feats)`` treats every utterance of a batch alike: a batch holds equal lengths, never padding.
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
