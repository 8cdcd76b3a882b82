"""Arguments of the scoring back ends, of score normalisation and of calibration. Torch-free."""

from dataclasses import dataclass
from typing import ClassVar

from sv_py.cli import InputError, near_miss

MODELS = ("embeddings", "scores")
MEANS = ("none", "global", "domain")
ADAPTATIONS = ("none", "scaling", "coral")
COHORTS = ("speakers", "utterances")
MEASURES = ("duration", "speech_duration", "snr", "magnitude", "magnitude_l1", "impostor_mean", "impostor_std")
FORMS = ("min", "max", "difference")


def _not_below(arguments: object, least: int, *names: str) -> None:
    for name in names:
        if getattr(arguments, name) < least:
            raise InputError(f"{name} must be at least {least}, is {getattr(arguments, name)}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{name} is one of {', '.join(known)}, not '{value}'{near_miss(value, known)}")


@dataclass(frozen=True)
class CosineArguments:
    """Cosine of two embeddings."""

    mean: str = "none"  # what is subtracted first: none | global: mean of what it is fitted to | domain: of its domain
    block: int = 1024  # trials scored at once; small blocks stay in the cache

    def __post_init__(self):
        _one_of("mean", self.mean, MEANS)
        _not_below(self, 1, "block")


@dataclass(frozen=True)
class DotArguments(CosineArguments):
    """Dot product of two embeddings: lengths count."""


@dataclass(frozen=True)
class PldaArguments:
    """Log-likelihood ratio of the two-covariance model, after LDA, whitening and length normalisation."""

    mean: str = "global"  # what is subtracted first: global: mean of what it is fitted to | domain: of its domain
    lda_dim: int = 0  # dimensions that LDA keeps; 0: no LDA
    whiten: bool = True  # make the covariance of all embeddings the identity
    length_norm: bool = True  # then bring all to one length
    iterations: int = 10  # of EM
    adapt: str = "none"  # to embeddings of another domain, without speakers: none | scaling | coral
    within_covar_scale: float = 0.3  # scaling: share of the domain's excess of variance within speakers
    between_covar_scale: float = 0.7  # scaling: share between speakers
    coral_weight: float = 0.5  # coral: weight of the domain's covariance beside that of what is fitted to; 1: no other
    block: int = 1024  # trials scored at once; small blocks stay in the cache

    def __post_init__(self):
        _one_of("mean", self.mean, MEANS[1:])
        _one_of("adapt", self.adapt, ADAPTATIONS)
        _not_below(self, 0, "lda_dim", "iterations", "within_covar_scale", "between_covar_scale")
        _not_below(self, 1, "block")
        if not 0 < self.coral_weight <= 1:
            raise InputError(f"coral_weight lies above 0 and is at most 1, not {self.coral_weight}")
        if self.adapt != "none" and self.mean != "global":
            raise InputError(f"adapt: {self.adapt} takes the mean of the domain's embeddings: mean: global")


@dataclass(frozen=True)
class NormArguments:
    """Score normalisation by the scores against a cohort of impostors."""

    cohort: str = "speakers"  # its vectors: speakers: their mean embeddings | utterances
    top: tuple[int, ...] = (0,)  # highest cohort scores that count; 0: all; of several numbers each has its own scores

    def __post_init__(self):
        _one_of("cohort", self.cohort, COHORTS)
        if not self.top or len(set(self.top)) < len(self.top) or min(self.top) < 0 or 1 in self.top:
            raise InputError(f"top has different numbers, each 0 or at least 2, not {list(self.top)}")


@dataclass(frozen=True)
class AsNormArguments(NormArguments):
    """Adaptive symmetric normalisation: the mean over both sides, each with its own highest cohort scores."""

    top: tuple[int, ...] = (300,)


@dataclass(frozen=True)
class SNormArguments(NormArguments):
    """Symmetric normalisation: the mean of Z-norm and T-norm."""


@dataclass(frozen=True)
class ZNormArguments(NormArguments):
    """Normalisation of the enrolment side only."""


@dataclass(frozen=True)
class TNormArguments(NormArguments):
    """Normalisation of the test side only."""


@dataclass(frozen=True)
class CalibrationArguments:
    """Calibration: scores become log-likelihood ratios by logistic regression on trials of training speakers."""

    measures: ClassVar[tuple[str, ...]] = ()
    forms: ClassVar[tuple[str, ...]] = ("min", "max")

    share: float = 0.3  # of each cohort speaker's utterances, kept out of the cohort for these trials
    trials_per_kind: int = 5000  # of each of target and non-target, and of each pair of durations
    short: tuple[float, float] = (2.0, 6.0)  # seconds of a short utterance, least and most
    long: float = 6.0  # seconds above which an utterance is long
    prior: float = 0.5  # of a target trial in the regression's cost
    seed: int = 0  # of the trials

    def __post_init__(self):
        if not 0 < self.share < 1:
            raise InputError(f"share lies between 0 and 1, and is {self.share}")
        if self.trials_per_kind < 1:
            raise InputError(f"trials_per_kind must be at least 1, is {self.trials_per_kind}")
        if self.seed < 0:
            raise InputError(f"seed must be at least 0, is {self.seed}")
        if not 0 <= self.short[0] < self.short[1] <= self.long:
            raise InputError(f"short is [least, most] and ends before long, {self.long}, not {list(self.short)}")
        if not 0 < self.prior < 1:
            raise InputError(f"prior lies between 0 and 1, and is {self.prior}")


@dataclass(frozen=True)
class LinearArguments(CalibrationArguments):
    """Of the score alone: the order of the trials stays."""


@dataclass(frozen=True)
class QmfArguments(CalibrationArguments):
    """Of the score and of quality measures of both sides."""

    measures: tuple[str, ...] = ("duration", "magnitude", "impostor_mean")
    forms: tuple[str, ...] = ("min", "max")  # of both sides' values; two of min, max and difference hold the third

    def __post_init__(self):
        super().__post_init__()
        if not self.measures or len(set(self.measures)) < len(self.measures):
            raise InputError(f"measures lists different ones, not {list(self.measures)}")
        for measure in self.measures:
            _one_of("measures", measure, MEASURES)
        if not self.forms or len(set(self.forms)) < len(self.forms):
            raise InputError(f"forms lists different ones, not {list(self.forms)}")
        for form in self.forms:
            _one_of("forms", form, FORMS)
