"""Scoring of trials: back ends (`sv_py.scoring.backend`), normalisation of their scores and calibration."""

from sv_py.registry import Table
from sv_py.scoring.arguments import (
    AsNormArguments,
    CosineArguments,
    DotArguments,
    LinearArguments,
    PldaArguments,
    QmfArguments,
    SNormArguments,
    TNormArguments,
    ZNormArguments,
)

BACKENDS = Table(
    "scoring back end",
    {
        "cosine": (CosineArguments, "sv_py.scoring.cosine:Cosine"),
        "dot": (DotArguments, "sv_py.scoring.cosine:Dot"),
        "plda": (PldaArguments, "sv_py.scoring.plda:Plda"),
    },
)

NORMS = Table(
    "score normalisation",
    {
        "as_norm": (AsNormArguments, "sv_py.scoring.norm:SymmetricNorm"),
        "s_norm": (SNormArguments, "sv_py.scoring.norm:SymmetricNorm"),
        "z_norm": (ZNormArguments, "sv_py.scoring.norm:EnrolNorm"),
        "t_norm": (TNormArguments, "sv_py.scoring.norm:TestNorm"),
    },
)

CALIBRATIONS = Table(
    "calibration",
    {
        "linear": (LinearArguments, "sv_py.scoring.calibration:LogisticCalibration"),
        "qmf": (QmfArguments, "sv_py.scoring.calibration:LogisticCalibration"),
    },
)
