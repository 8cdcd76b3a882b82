"""Arguments of losses and heads; imports no torch, so that a YAML is checked at once.

A loss with one margin has it as the argument ``margin``, which a phase may replace; ``margins`` says what all of a loss
come to. What has none has no ``margins``.
"""

import math
from dataclasses import dataclass

from sv_py.cli import InputError


@dataclass(frozen=True)
class SoftmaxArguments:
    """Plain softmax of W x + b; nothing to choose."""


@dataclass(frozen=True, kw_only=True)
class _ScaledArguments:
    """What all softmax losses of cosines have, besides their margins. Raises InputError for values out of range."""

    scale: float = 32.0  # factor of the cosines before the softmax
    sub_centres: int = 1  # rows of each speaker, of which the nearest counts
    inter_topk: int = 0  # so many of the nearest other speakers are pushed away harder
    inter_topk_margin: float = 0.06  # radians taken off the angles to them

    def __post_init__(self):
        _check_scale(self.scale)
        _check_angle("inter_topk_margin", self.inter_topk_margin)
        if self.sub_centres < 1:
            raise InputError(f"sub_centres must be at least 1, not {self.sub_centres}")
        if self.inter_topk < 0:
            raise InputError(f"inter_topk must not be negative, is {self.inter_topk}")


@dataclass(frozen=True, kw_only=True)
class AAMArguments(_ScaledArguments):
    """Additive angular margin softmax, ArcFace."""

    margin: float = 0.2  # radians added to the angle between an embedding and its speaker

    def __post_init__(self):
        super().__post_init__()
        _check_angle("margin", self.margin)

    @property
    def margins(self) -> tuple[float, float, float]:
        """As factor, angle and cosine."""
        return 1.0, self.margin, 0.0


@dataclass(frozen=True, kw_only=True)
class AMArguments(_ScaledArguments):
    """Additive margin softmax, CosFace."""

    margin: float = 0.2  # taken off the cosine between an embedding and its speaker

    def __post_init__(self):
        super().__post_init__()
        _check_cosine("margin", self.margin)

    @property
    def margins(self) -> tuple[float, float, float]:
        """As factor, angle and cosine."""
        return 1.0, 0.0, self.margin


@dataclass(frozen=True, kw_only=True)
class MarginArguments(_ScaledArguments):
    """Combined margin cos(m1 * angle + m2) - m3: SphereFace, ArcFace, CosFace and their mixtures."""

    m1: float = 1.0  # factor of the angle between an embedding and its speaker; 1: none
    m2: float = 0.0  # radians added to it
    m3: float = 0.0  # taken off the cosine of that

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.m1 < math.inf:
            raise InputError(f"m1 must be at least 1, not {self.m1}")
        _check_angle("m2", self.m2)
        _check_cosine("m3", self.m3)

    @property
    def margins(self) -> tuple[float, float, float]:
        """As factor, angle and cosine."""
        return self.m1, self.m2, self.m3


@dataclass(frozen=True)
class SphereFace2Arguments:
    """SphereFace2: a yes or no for each speaker. Raises InputError for values out of range."""

    margin: float = 0.2  # between yes and no, on either side
    margin_type: str = "C"  # C: of the transformed cosine | A: of the angle, in radians
    scale: float = 32.0  # factor of the transformed cosines
    t: float = 3.0  # exponent that spreads the similar ones: 2 ((cos + 1) / 2)^t - 1; 1: as they are
    balance: float = 0.7  # weight of the speaker itself; the others have 1 - balance

    def __post_init__(self):
        _check_scale(self.scale)
        if self.margin_type not in ("A", "C"):
            raise InputError(f"margin_type is A or C, not '{self.margin_type}'")
        (_check_angle if self.margin_type == "A" else _check_cosine)("margin", self.margin)
        if not 1 <= self.t < math.inf:
            raise InputError(f"t must be at least 1, not {self.t}")
        if not 0 < self.balance < 1:
            raise InputError(f"balance must be between 0 and 1, not {self.balance}")

    @property
    def margins(self) -> tuple[float]:
        """The one."""
        return (self.margin,)


@dataclass(frozen=True)
class FullArguments:
    """All rows in every step; nothing to choose."""


@dataclass(frozen=True)
class SampledArguments:
    """Some of the rows in every step. Raises InputError for a rate that is none."""

    rate: float = 0.1  # share of the speakers in a step: those of the batch, filled up with others at random

    def __post_init__(self):
        if not 0 < self.rate <= 1:
            raise InputError(f"rate must be above 0 and at most 1, not {self.rate}")


@dataclass(frozen=True)
class ShardedArguments(SampledArguments):
    """Rows divided among the processes of a training. Raises InputError for a rate that is none."""

    rate: float = 1.0  # share of a process's speakers in a step; 1: all


def _check_scale(value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"scale must be positive, not {value}")


def _check_angle(name: str, value: float) -> None:
    if not 0 <= value < math.pi / 2:
        raise InputError(f"{name} must be at least 0 and below pi/2 radians, not {value}")


def _check_cosine(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise InputError(f"{name} must be at least 0 and below 1, not {value}")
