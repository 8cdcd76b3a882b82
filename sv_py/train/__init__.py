"""Training: one loop for every backbone. The optimisers' table stands here."""

from sv_py.registry import Table
from sv_py.train.arguments import AdamArguments, AdamWArguments, SGDArguments

OPTIMIZERS = Table(
    "optimizer",
    {
        "sgd": (SGDArguments, "sv_py.train.optimizers:sgd"),
        "adam": (AdamArguments, "sv_py.train.optimizers:adam"),
        "adamw": (AdamWArguments, "sv_py.train.optimizers:adamw"),
    },
)
