"""Losses and heads: embeddings (B, D) and speaker numbers (B,) -> the loss to minimise.

A *head* has a trained row for each speaker and computes similarities of embeddings to rows; a *loss* is a function of
these. Built as ``LOSSES.build(name, arguments)``, a `Loss` of ``sv_py/losses/base.py``, and as ``HEADS.build(name,
arguments, loss=loss, embedding_dim=D, speakers=names, seed=seed)``, a `Head` of ``sv_py/losses/head.py``.
"""

from sv_py.losses.arguments import (
    AAMArguments,
    AMArguments,
    FullArguments,
    MarginArguments,
    SampledArguments,
    ShardedArguments,
    SoftmaxArguments,
    SphereFace2Arguments,
)
from sv_py.registry import Table

LOSSES = Table(
    "loss",
    {
        "softmax": (SoftmaxArguments, "sv_py.losses.softmax:Softmax"),
        "aam_softmax": (AAMArguments, "sv_py.losses.margin:MarginSoftmax"),
        "am_softmax": (AMArguments, "sv_py.losses.margin:MarginSoftmax"),
        "margin_softmax": (MarginArguments, "sv_py.losses.margin:MarginSoftmax"),
        "sphereface2": (SphereFace2Arguments, "sv_py.losses.sphereface2:SphereFace2"),
    },
)
HEADS = Table(
    "head",
    {
        "full": (FullArguments, "sv_py.losses.head:Head"),
        "sampled": (SampledArguments, "sv_py.losses.sampled:SampledHead"),
        "sharded": (ShardedArguments, "sv_py.losses.sharded:sharded_head"),
    },
)
