"""The schema of an experiment: what a YAML may say, with defaults. Torch-free.

Paths and resources come from the shell, facts about data (speakers, feature dimension) from the data;
only hyper-parameters stand here.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from sv_py.augmentation import AUGMENTATIONS
from sv_py.augmentation.arguments import check_probability, speed_ratio
from sv_py.cli import InputError
from sv_py.data import SAMPLERS
from sv_py.features import FRONTENDS
from sv_py.losses import HEADS, LOSSES
from sv_py.models import BACKBONES
from sv_py.registry import Part, part, parts
from sv_py.scoring import BACKENDS, CALIBRATIONS, NORMS
from sv_py.scoring.arguments import MODELS
from sv_py.train import OPTIMIZERS

ROLES = ("train", "extra")  # of training sets: phases name them, the shell binds them to data dirs


def _at_least(section: Any, least: int, *names: str) -> None:
    for name in names:
        if getattr(section, name) < least:
            raise InputError(f"{name} must be at least {least}, is {getattr(section, name)}")


@dataclass(frozen=True)
class Features:
    """What the network sees of an utterance, in training and extraction alike."""

    frontend: Part | None = part(FRONTENDS, optional=True)  # with data.source audio; stored features have theirs
    cmn: str = "utterance"  # subtract each bin's mean: none | utterance (over what the network sees) | sliding
    cmn_window: int = 300  # frames of the sliding window, centred
    vad: bool = False  # drop what is not speech, before crops and means

    def __post_init__(self):
        if self.cmn not in ("none", "utterance", "sliding"):
            raise InputError(f"cmn is none, utterance or sliding, not '{self.cmn}'")
        _at_least(self, 1, "cmn_window")


@dataclass(frozen=True)
class Data:
    """Where training crops are read, and how the shuffle goes about it."""

    source: str = "feats"  # feats: stored features | audio: shards of audio, features and augmentation on the fly
    fetch: str = "slices"  # slices: read each crop by itself | shards: whole shards ahead of time (network disks)
    window: int = 0  # so many shards are shuffled together, and with fetch shards read ahead; 0: all
    max_bad: int = 0  # utterances that may prove unreadable before the run ends
    shared_speakers: str = "error"  # a speaker in two training sets: error | merge: one class

    def __post_init__(self):
        if self.shared_speakers not in ("error", "merge"):
            raise InputError(f"shared_speakers is error or merge, not '{self.shared_speakers}'")
        if self.source not in ("feats", "audio"):
            raise InputError(f"source is feats or audio, not '{self.source}'")
        if self.fetch not in ("slices", "shards"):
            raise InputError(f"fetch is slices or shards, not '{self.fetch}'")
        _at_least(self, 0, "window", "max_bad")
        if self.fetch == "shards" and self.window == 0:
            raise InputError("fetch shards needs a window: so many shards at a time")


@dataclass(frozen=True)
class HoldOut:
    """Which utterances train, and which speakers are held out to watch the error rate (stage 3)."""

    min_frames: int = 50  # shorter utterances do not train; with features.vad, those with less speech
    min_utts: int = 1  # nor do speakers with fewer utterances
    dev_speakers: int = 16  # speakers taken out of training; those with one utterance never are
    dev_trials: int = 2000  # at most so many target and so many non-target dev trials
    valid_share: float = (
        0.0  # of each training speaker's utterances, rounded up: they show the loss on what is not learnt
    )
    seed: int = 0  # chooses speakers, utterances and trials

    def __post_init__(self):
        if not 0 <= self.valid_share < 1:
            raise InputError(f"valid_share must be at least 0 and below 1, is {self.valid_share}")
        _at_least(self, 0, "min_frames", "seed")
        _at_least(self, 1, "min_utts", "dev_trials")
        _at_least(self, 2, "dev_speakers")


@dataclass(frozen=True)
class Rate:
    """Learning rate by samples seen: linear warm-up to ``peak``, times a decay to ``final``."""

    peak: float = 0.1  # the highest rate
    final: float = 1e-4  # the rate at the end of the phase; of steps, the rate below which none leads; not of constant
    warmup: float = 1.0  # length of the warm-up in epochs
    decay: str = "exponential"  # exponential | cosine | step | constant
    hold: float = 0.0  # epochs before the decay begins; 0: the warm-up is a part of it
    every: float = 10.0  # of steps: epochs from one to the next
    factor: float = 0.1  # of steps: what each multiplies the rate by

    def __post_init__(self):
        if self.decay not in ("exponential", "cosine", "step", "constant"):
            raise InputError(f"decay is exponential, cosine, step or constant, not '{self.decay}'")
        if self.hold < 0:
            raise InputError(f"hold must not be negative, is {self.hold}")
        if self.every <= 0:
            raise InputError(f"every must be positive, is {self.every}")
        if not 0 < self.factor < 1:
            raise InputError(f"factor must be above 0 and below 1, is {self.factor}")
        final = self.peak if self.decay == "constant" else self.final
        if not 0 < final <= self.peak:
            raise InputError(f"rates must be 0 < final <= peak, not final {final}, peak {self.peak}")
        if self.warmup < 0:
            raise InputError(f"warmup must not be negative, is {self.warmup}")


@dataclass(frozen=True)
class Mask:
    """SpecAugment without warping, on the normalised features of training crops: stripes of zeros.

    Widths are uniform from 0 to the longest, places uniform (Park et al., Interspeech 2019).
    """

    probability: float = 1.0  # of being applied to a crop
    time: int = 0  # longest stripe of frames; 0: none
    time_stripes: int = 1  # how many of them; they may overlap
    frequency: int = 0  # widest stripe of bins; 0: none
    frequency_stripes: int = 1  # how many of them

    def __post_init__(self):
        _at_least(self, 0, "time", "frequency")
        _at_least(self, 1, "time_stripes", "frequency_stripes")
        check_probability(self.probability)


@dataclass(frozen=True)
class Augment:
    """What is done to the waveforms of training crops (docs/augmentation.md); a preset's name stands for its keys."""

    speed: tuple[float, ...] = ()  # further speeds, such as 0.9 and 1.1: each makes every speaker a new one
    speed_expand: bool = False  # each utterance at every speed in every epoch, instead of at one drawn at random
    waveform: tuple[Part, ...] = parts(lambda: AUGMENTATIONS)  # applied in this order

    def __post_init__(self):
        for factor in self.speed:
            speed_ratio(factor)
        if 1 in self.speed or len(set(self.speed)) < len(self.speed):
            raise InputError(f"speed lists different factors, without 1, not {list(self.speed)}")
        if self.speed_expand and not self.speed:
            raise InputError("speed_expand needs speeds")


@dataclass(frozen=True)
class Result:
    """Which weights a phase ends with: the mean of ``average`` epochs' weights, the last or the best ones."""

    of: str = "last"  # last | best
    average: int = 1  # epochs
    by: str = "dev_eer"  # what is lowest in the best epoch: dev_eer | dev_min_dcf | valid_loss
    patience: int = 0  # epochs in a row without a better one that end the phase; 0: any number
    ema: float = 0.0  # an epoch's weights are an exponential moving average: how much a step keeps of it; 0: none

    def __post_init__(self):
        if self.of not in ("last", "best"):
            raise InputError(f"of is last or best, not '{self.of}'")
        if self.by not in ("dev_eer", "dev_min_dcf", "valid_loss"):
            raise InputError(f"by is dev_eer, dev_min_dcf or valid_loss, not '{self.by}'")
        if not 0 <= self.ema < 1:
            raise InputError(f"ema must be at least 0 and below 1, is {self.ema}")
        _at_least(self, 1, "average")
        _at_least(self, 0, "patience")


@dataclass(frozen=True)
class Phase:
    """One training run that starts from the last one's weights."""

    name: str  # names the phase's folder
    epochs: int  # passes over the data, counted in samples
    batch_size: int = 64  # utterances in a step, of all processes together
    micro_batch: int = 0  # of them, those that a process takes at once, with batch norms of their own; 0: all
    sets: tuple[str, ...] = ("train",)  # roles of the training sets: train | extra
    mix: tuple[float, ...] = ()  # crops of one set to those of the other; none: as many as they have utterances
    crop: int | tuple[int, int] = 200  # frames of a training crop, or [least, most]; shorter utterances are repeated
    crops_per_utt: float = 1.0  # crops of an epoch, per utterance of the data
    sampler: Part = part(SAMPLERS, "uniform")  # which utterances they are taken from
    margin: float | None = None  # margin of the loss, if not that of loss.args
    inter_topk_margin: float | None = None  # likewise, of the penalty; 0: none, as in large-margin fine-tuning
    margin_ramp: tuple[float, float] | None = None  # epochs between which all margins grow from none to full
    margin_growth: str = "linear"  # meanwhile: linear | exponential: fast, then slowly
    speakers: str = "known"  # rows of the head: known: this phase's speakers and those before | own: this phase's alone
    new_rows: str = "mean"  # rows of new speakers, once something is trained: mean: of their embeddings | random
    freeze: tuple[str, ...] = ()  # patterns of the network's parameters that stay as they are, such as front.*
    rate: Rate = field(default_factory=Rate)
    result: Result = field(default_factory=Result)
    augment: Augment = field(default_factory=Augment)
    mask: Mask = field(default_factory=Mask)

    def __post_init__(self):
        _at_least(self, 1, "epochs", "batch_size")
        least, most = self.crop_range
        if not 1 <= least <= most:
            raise InputError(f"crop is a number of frames, or [least, most], not {self.crop}")
        if self.crops_per_utt <= 0:
            raise InputError(f"crops_per_utt must be positive, is {self.crops_per_utt}")
        if self.margin_ramp is not None and not 0 <= self.margin_ramp[0] <= self.margin_ramp[1]:
            raise InputError(f"margin_ramp is [first, last] with 0 <= first <= last, not {list(self.margin_ramp)}")
        if self.micro_batch < 0 or self.batch_size % self.micro_size:
            raise InputError(f"micro_batch divides batch_size, {self.batch_size}, and {self.micro_batch} does not")
        if not self.sets or len(set(self.sets)) < len(self.sets) or not set(self.sets) <= set(ROLES):
            raise InputError(f"sets lists different ones of {', '.join(ROLES)}, not {list(self.sets)}")
        if self.mix and (len(self.mix) != len(self.sets) or min(self.mix) <= 0):
            raise InputError(f"mix has a positive number for each of {len(self.sets)} sets, not {list(self.mix)}")
        if self.margin_growth not in ("linear", "exponential"):
            raise InputError(f"margin_growth is linear or exponential, not '{self.margin_growth}'")
        if self.speakers not in ("known", "own"):
            raise InputError(f"speakers is known or own, not '{self.speakers}'")
        if self.new_rows not in ("mean", "random"):
            raise InputError(f"new_rows is mean or random, not '{self.new_rows}'")
        if not self.name.replace("_", "").isalnum():
            raise InputError(f"a phase's name is a folder: letters, digits and '_' only, not '{self.name}'")
        self.sampler.args.check(self.micro_size)

    @property
    def micro_size(self) -> int:
        """Utterances of a micro-batch."""
        return self.micro_batch or self.batch_size

    @property
    def micro_batches(self) -> int:
        """Micro-batches of a step."""
        return self.batch_size // self.micro_size

    @property
    def margins(self) -> dict[str, float]:
        """Arguments of the loss that this phase replaces."""
        own = {"margin": self.margin, "inter_topk_margin": self.inter_topk_margin}
        return {name: value for name, value in own.items() if value is not None}

    @property
    def crop_range(self) -> tuple[int, int]:
        """The least and the most frames of a crop."""
        return self.crop if isinstance(self.crop, tuple) else (self.crop, self.crop)


@dataclass(frozen=True)
class Compute:
    """How a training step is computed."""

    autocast: str = "none"  # type of most products: none: float32 | bf16 | fp16, with a loss scale
    tf32: bool = True  # GPU: float32 products may round their factors to 10 bits
    deterministic: bool = (
        False  # GPU: only kernels that give the same bits each time, which are slower; a CPU always does
    )
    compile: bool = False  # torch.compile the network; needs a C++ compiler

    def __post_init__(self):
        if self.autocast not in ("none", "bf16", "fp16"):
            raise InputError(f"autocast is none, bf16 or fp16, not '{self.autocast}'")


@dataclass(frozen=True)
class Scoring:
    """How trials are scored and what is reported."""

    backend: Part = part(BACKENDS, "cosine")
    models: str = "embeddings"  # a model of several utterances scores as the mean of its: embeddings | scores
    norm: Part | None = part(NORMS, optional=True)
    calibration: Part | None = part(CALIBRATIONS, optional=True)
    bootstrap: int = 1000  # replicates for the 95 % intervals; 0: none

    def __post_init__(self):
        _at_least(self, 0, "bootstrap")
        if self.models not in MODELS:
            raise InputError(f"models is one of {', '.join(MODELS)}, not '{self.models}'")
        measures = self.calibration.args.measures if self.calibration else ()
        impostors = [measure for measure in measures if measure.startswith("impostor_")]
        if impostors and not self.norm:
            raise InputError(f"calibration.args.measures has {impostors[0]}, which only a norm's cohort gives")


@dataclass(frozen=True)
class Config:
    """One experiment."""

    model: Part = part(BACKBONES)
    loss: Part = part(LOSSES, "aam_softmax")
    head: Part = part(HEADS, "full")
    optimizer: Part = part(OPTIMIZERS, "sgd")
    grad_clip: float = 0.0  # the longest gradient of a step; longer ones are shortened; 0: any
    phases: tuple[Phase, ...] = ()  # none: a model that was trained elsewhere
    features: Features = field(default_factory=Features)
    data: Data = field(default_factory=Data)
    hold_out: HoldOut = field(default_factory=HoldOut)
    compute: Compute = field(default_factory=Compute)
    scoring: Scoring = field(default_factory=Scoring)
    seed: int = 0  # initial weights, order of the data, crops, masks, dropout

    def __post_init__(self):
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise InputError(f"phases: a name twice: {', '.join(names)}")
        if self.data.source == "audio" and self.features.frontend is None:
            raise InputError("features.frontend: needed with data.source audio")
        if self.data.source == "feats" and self.features.frontend is not None:
            raise InputError("features.frontend: stored features have theirs; it goes with data.source audio")
        for i, phase in enumerate(self.phases):
            if self.data.source == "feats" and (phase.augment.speed or phase.augment.waveform):
                raise InputError(f"phases.{i}.augment: augmentation needs waveforms: data.source audio")
            if self.data.fetch == "shards" and phase.sampler.args.makes_batches:
                raise InputError(f"phases.{i}.sampler: takes utterances from all shards at once: data.fetch slices")
            if phase.mix and phase.sampler.args.makes_batches:
                raise InputError(
                    f"phases.{i}.mix: the sampler {phase.sampler.name} makes batches of speakers of all sets"
                )
            if phase.result.by == "valid_loss":
                self._check_valid_loss(i)
            self._check_margins(i, phase)
        if self.grad_clip < 0:
            raise InputError(f"grad_clip must not be negative, is {self.grad_clip}")
        _at_least(self, 0, "seed")
        if self.seed >= 1 << 63:
            raise InputError(f"seed must be below 2^63, is {self.seed}")

    def _check_valid_loss(self, i: int) -> None:
        if not self.hold_out.valid_share:
            raise InputError(f"phases.{i}.result.by: valid_loss needs utterances held out: hold_out.valid_share")
        since = max((k for k in range(i + 1) if self.phases[k].speakers == "own"), default=0)
        if self.data.shared_speakers == "error" and all("train" not in p.sets for p in self.phases[since : i + 1]):
            raise InputError(f"phases.{i}.result.by: valid_loss is of the set train, whose speakers have no row there")

    def _check_margins(self, i: int, phase: Phase) -> None:
        if phase.margin_ramp is not None and not hasattr(self.loss.args, "margins"):
            raise InputError(f"phases.{i}.margin_ramp: the loss {self.loss.name} has no margin")
        for name, value in phase.margins.items():
            if not hasattr(self.loss.args, name):
                raise InputError(f"phases.{i}.{name}: the loss {self.loss.name} has no argument '{name}'")
            try:
                replace(self.loss.args, **{name: value})
            except InputError as error:
                raise InputError(f"phases.{i}.{name}: {error}") from None


# Which keys each stage depends on: a stamp hashes only its own, so a change of margin leaves features valid. Of `data`,
# what changes no batch may change while an experiment trains: how shards are read, and how much may be unreadable.
SECTIONS = {
    "hold_out": ("hold_out",),
    "train": (
        "model",
        "loss",
        "head",
        "optimizer",
        "grad_clip",
        "phases",
        "features",
        "data.source",
        "data.window",
        "data.shared_speakers",
        "compute",
        "seed",
    ),
    "scoring": ("scoring.backend", "scoring.models"),
    "norm": ("scoring.norm", "scoring.calibration"),  # calibration takes utterances out of the cohort
    "calibration": ("scoring.calibration",),
    "metrics": ("scoring.bootstrap",),
}
