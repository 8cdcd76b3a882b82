"""Backbones: features (B, T, F) -> speaker embeddings (B, E).

Built as ``BACKBONES.build(name, arguments, feature_dim=F)``, a `Backbone` of ``sv_py/models/backbone.py``, whose
``forward(feats)`` treats every utterance of a batch alike: a batch holds equal lengths, never padding.
"""

from sv_py.models.arguments import (
    POOLINGS,
    BiLSTMArguments,
    CAMPPlusArguments,
    ECAPAArguments,
    ERes2NetV2Arguments,
    ReDimNet2Arguments,
    ResNetArguments,
    ThinResNetArguments,
    XVectorArguments,
)
from sv_py.registry import Table

__all__ = ["BACKBONES", "POOLINGS"]

BACKBONES = Table(
    "backbone",
    {
        "resnet": (ResNetArguments, "sv_py.models.resnet:ResNet"),
        "ecapa_tdnn": (ECAPAArguments, "sv_py.models.ecapa:ECAPA"),
        "bilstm": (BiLSTMArguments, "sv_py.models.bilstm:BiLSTM"),
        "thin_resnet": (ThinResNetArguments, "sv_py.models.thin_resnet:ThinResNet"),
        "xvector": (XVectorArguments, "sv_py.models.xvector:XVector"),
        "campplus": (CAMPPlusArguments, "sv_py.models.campplus:CAMPPlus"),
        "eres2netv2": (ERes2NetV2Arguments, "sv_py.models.eres2net:ERes2NetV2"),
        "redimnet2": (ReDimNet2Arguments, "sv_py.models.redimnet:ReDimNet2"),
    },
)
