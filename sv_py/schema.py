"""The schema of an experiment: what a YAML may say, with defaults. Torch-free.

Paths and resources come from the shell, facts about data (speakers, feature dimension) from the data;
only hyper-parameters stand here.
"""

from dataclasses import dataclass, field
from typing import Any

from sv_py.cli import InputError
from sv_py.losses import LOSSES
from sv_py.models import BACKBONES
from sv_py.registry import Table
from sv_py.scoring import BACKENDS
from sv_py.train import OPTIMIZERS


@dataclass(frozen=True)
class Part:
    """An entry of a table with its arguments: `name: ecapa_tdnn` and `args: {channels: 512}`."""

    name: str
    args: Any


def _part(table: Table, default: str | None = None) -> Any:
    """A field that holds a Part of ``table``."""
    if default is None:
        return field(metadata={"table": table})
    return field(default_factory=lambda: Part(default, table.arguments(default)()), metadata={"table": table})


def _at_least(section: Any, least: int, *names: str) -> None:
    for name in names:
        if getattr(section, name) < least:
            raise InputError(f"{name} must be at least {least}, is {getattr(section, name)}")


@dataclass(frozen=True)
class Features:
    """What happens to stored features between ark and network, in training and extraction alike."""

    cmn: bool = True  # subtract each bin's mean over the frames that the network sees
    vad: bool = False  # drop the frames that vad.scp marks as silence, before crops and means


@dataclass(frozen=True)
class HoldOut:
    """Which utterances train, and which speakers are held out to watch the error rate (stage 3)."""

    min_frames: int = 50  # shorter utterances do not train
    min_utts: int = 1  # nor do speakers with fewer utterances
    dev_speakers: int = 16  # speakers taken out of training; those with one utterance never are
    dev_trials: int = 2000  # at most so many target and so many non-target dev trials
    seed: int = 0  # chooses speakers and trials

    def __post_init__(self):
        _at_least(self, 0, "min_frames", "seed")
        _at_least(self, 1, "min_utts", "dev_trials")
        _at_least(self, 2, "dev_speakers")


@dataclass(frozen=True)
class Rate:
    """Learning rate by samples seen: linear warm-up to ``peak``, then a decay to ``final`` at the phase's end."""

    peak: float = 0.1  # the highest rate
    final: float = 1e-4  # the rate at the end of the phase
    warmup: float = 1.0  # length of the warm-up in epochs
    decay: str = "exponential"  # exponential | cosine | constant

    def __post_init__(self):
        if self.decay not in ("exponential", "cosine", "constant"):
            raise InputError(f"decay is exponential, cosine or constant, not '{self.decay}'")
        if not 0 < self.final <= self.peak:
            raise InputError(f"rates must be 0 < final <= peak, not final {self.final}, peak {self.peak}")
        if self.warmup < 0:
            raise InputError(f"warmup must not be negative, is {self.warmup}")


@dataclass(frozen=True)
class Mask:
    """SpecAugment without warping, on the normalised features of training crops: mean-valued stripes."""

    time: int = 0  # longest stripe of frames; 0: none
    frequency: int = 0  # widest stripe of bins; 0: none

    def __post_init__(self):
        _at_least(self, 0, "time", "frequency")


@dataclass(frozen=True)
class Phase:
    """One training run that starts from the last one's weights."""

    name: str  # names the phase's folder
    epochs: int  # passes over the data, counted in samples
    batch_size: int = 64  # utterances in a step
    crop: int = 200  # frames of a training crop; shorter utterances are repeated
    crops_per_utt: float = 1.0  # an epoch visits each utterance so many times on average...
    crops_by_length: bool = False  # ...in proportion to its length, instead of all alike
    margin: float | None = None  # margin of the loss, if not that of loss.args
    margin_ramp: tuple[float, float] | None = None  # epochs between which the margin grows from 0
    rate: Rate = field(default_factory=Rate)
    mask: Mask = field(default_factory=Mask)

    def __post_init__(self):
        _at_least(self, 1, "epochs", "batch_size", "crop")
        if self.crops_per_utt <= 0:
            raise InputError(f"crops_per_utt must be positive, is {self.crops_per_utt}")
        if self.margin_ramp is not None and not 0 <= self.margin_ramp[0] <= self.margin_ramp[1]:
            raise InputError(f"margin_ramp is [first, last] with 0 <= first <= last, not {list(self.margin_ramp)}")
        if not self.name.replace("_", "").isalnum():
            raise InputError(f"a phase's name is a folder: letters, digits and '_' only, not '{self.name}'")


@dataclass(frozen=True)
class Scoring:
    """How trials are scored and what is reported."""

    backend: Part = _part(BACKENDS, "cosine")
    bootstrap: int = 500  # replicates for the 95 % intervals; 0: none

    def __post_init__(self):
        _at_least(self, 0, "bootstrap")


@dataclass(frozen=True)
class Config:
    """One experiment."""

    model: Part = _part(BACKBONES)
    loss: Part = _part(LOSSES, "aam_softmax")
    optimizer: Part = _part(OPTIMIZERS, "sgd")
    phases: tuple[Phase, ...] = ()
    features: Features = field(default_factory=Features)
    hold_out: HoldOut = field(default_factory=HoldOut)
    scoring: Scoring = field(default_factory=Scoring)
    seed: int = 0  # initial weights, order of the data, crops, masks

    def __post_init__(self):
        names = [phase.name for phase in self.phases]
        if not names:
            raise InputError("phases: at least one is needed")
        if len(set(names)) < len(names):
            raise InputError(f"phases: a name twice: {', '.join(names)}")
        _at_least(self, 0, "seed")


# Which keys each stage depends on: a stamp hashes only its own, so a change of margin leaves features valid.
SECTIONS = {
    "hold_out": ("hold_out",),
    "train": ("model", "loss", "optimizer", "phases", "features", "seed"),
    "scoring": ("scoring",),
}
