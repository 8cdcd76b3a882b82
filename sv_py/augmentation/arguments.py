"""Arguments of the augmentations; imports no torch, so that a YAML is checked at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from sv_py.cli import InputError, near_miss
from sv_py.registry import Part, Table, parts

# What a user binds to data dirs; `train` is the training set itself.
ROLES = ("noise", "music", "speech", "rir", "train")


def table() -> Table:
    """The table of the package, which holds the classes below, two of which hold entries of it."""
    from sv_py.augmentation import AUGMENTATIONS

    return AUGMENTATIONS


def roles_of(entries: Iterable[Part]) -> set[str]:
    """The roles from which these augmentations take sounds, at any depth."""
    found: set[str] = set()
    for entry in entries:
        found |= roles_of(getattr(entry.args, "parts", ()))
        found |= {entry.args.source} if hasattr(entry.args, "source") else set()
    return found


def parse_bindings(texts: Iterable[str]) -> dict[str, Path]:
    """role -> data dir, of values `ROLE=DIR` of --augment-set. Raises InputError for one that cannot be."""
    bindings: dict[str, Path] = {}
    known = [role for role in ROLES if role != "train"]
    for text in texts:
        role, equals, folder = text.partition("=")
        if not equals or not folder:
            raise InputError(f"--augment-set {text}: expected ROLE=DIR")
        if role not in known:
            what = "is the training set itself" if role == "train" else f"is no role{near_miss(role, known)}"
            raise InputError(f"--augment-set {text}: '{role}' {what}; known: {', '.join(known)}")
        if role in bindings:
            raise InputError(f"--augment-set {text}: '{role}' a second time")
        bindings[role] = Path(folder)
    return bindings


def speed_ratio(factor: float) -> Fraction:
    """A speed as a fraction of whole numbers, 0.9 as 9/10: input samples per output sample. Raises InputError."""
    if not 0.5 <= factor <= 2 or round(factor, 3) != factor:
        raise InputError(f"a speed is between 0.5 and 2, with at most three decimals, not {factor}")
    return Fraction(round(1000 * factor), 1000)


def check_probability(value: float) -> None:
    """Raise InputError unless something happens with this probability."""
    if not 0 < value <= 1:
        raise InputError(f"probability must be above 0 and at most 1, is {value:g}")


@dataclass(frozen=True)
class _Augmentation:
    probability: float = 1.0  # of being applied to a crop

    def __post_init__(self):
        check_probability(self.probability)


@dataclass(frozen=True)
class NoiseArguments(_Augmentation):
    """Sounds of a source are added, each at a level of its own below the speech. Raises InputError."""

    source: str = "noise"  # role of the data dir that they are taken from
    snr: tuple[float, float] = (0.0, 15.0)  # dB: least and most, for each sound by itself
    count: tuple[int, int] = (1, 1)  # least and most sounds at once

    def __post_init__(self):
        super().__post_init__()
        _check_source(self.source)
        _check_range("snr", self.snr, -100, 100, "dB")
        _check_range("count", self.count, 1, 64)


@dataclass(frozen=True)
class MusicArguments(NoiseArguments):
    """As `noise`, with music."""

    source: str = "music"
    snr: tuple[float, float] = (5.0, 15.0)


@dataclass(frozen=True)
class SpeechArguments(NoiseArguments):
    """As `noise`, with one other speaker."""

    source: str = "speech"
    snr: tuple[float, float] = (10.0, 30.0)


@dataclass(frozen=True)
class BabbleArguments(NoiseArguments):
    """As `noise`, with several other speakers."""

    source: str = "train"
    snr: tuple[float, float] = (13.0, 20.0)
    count: tuple[int, int] = (3, 8)


@dataclass(frozen=True)
class ReverbArguments(_Augmentation):
    """Convolution with a room's impulse response. Raises InputError."""

    source: str = "rir"  # role of the data dir that the responses are taken from

    def __post_init__(self):
        super().__post_init__()
        _check_source(self.source)


@dataclass(frozen=True)
class RoomsArguments(_Augmentation):
    """Convolution with the responses of simulated rooms: boxes, of which so many are drawn once. Raises InputError."""

    rooms: int = 500  # different rooms, the same in every run
    width: tuple[float, float] = (3.0, 10.0)  # m: least and most, as of all that follow
    depth: tuple[float, float] = (3.0, 10.0)  # m
    height: tuple[float, float] = (2.4, 4.0)  # m
    rt60: tuple[float, float] = (0.1, 0.6)  # s until the sound has decayed by 60 dB
    distance: tuple[float, float] = (0.3, 3.0)  # m between mouth and microphone, as far as there is room

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.rooms <= 10000:
            raise InputError(f"rooms must be between 1 and 10000, is {self.rooms}")
        for name in ("width", "depth", "height"):
            _check_range(name, getattr(self, name), 2, 50, "m")
        _check_range("rt60", self.rt60, 0.05, 1, "s")
        _check_range("distance", self.distance, 0.1, 50, "m")


@dataclass(frozen=True)
class GainArguments(_Augmentation):
    """Amplification. Raises InputError."""

    gain: tuple[float, float] = (-10.0, 10.0)  # dB: least and most

    def __post_init__(self):
        super().__post_init__()
        _check_range("gain", self.gain, -100, 100, "dB")


@dataclass(frozen=True)
class TempoArguments(_Augmentation):
    """Faster or slower speech of the same pitch. Raises InputError."""

    factor: tuple[float, float] = (0.9, 1.1)  # least and most; above 1: faster

    def __post_init__(self):
        super().__post_init__()
        _check_range("factor", self.factor, 0.5, 2)


@dataclass(frozen=True)
class TelephoneArguments(_Augmentation):
    """The band of a telephone, and its quantisation. Raises InputError."""

    band: tuple[float, float] = (300.0, 3400.0)  # Hz: lower and upper edge
    mu_law: bool = True  # 8 kHz and the 8 bits of G.711 mu-law; without, only the band

    def __post_init__(self):
        super().__post_init__()
        _check_range("band", self.band, 0, 4000, "Hz")
        if self.band[0] == self.band[1]:
            raise InputError(f"band is [lower, upper] edge in Hz, not {list(self.band)}")


@dataclass(frozen=True)
class ClippingArguments(_Augmentation):
    """The loudest samples are cut off at one level. Raises InputError."""

    share: tuple[float, float] = (0.01, 0.1)  # of the samples: least and most

    def __post_init__(self):
        super().__post_init__()
        _check_range("share", self.share, 0, 0.9)


@dataclass(frozen=True)
class OneOfArguments(_Augmentation):
    """One augmentation of several. Raises InputError."""

    parts: tuple[Part, ...] = parts(table)  # which
    weights: tuple[float, ...] = ()  # how often each is chosen, in proportion; left out: all alike

    def __post_init__(self):
        super().__post_init__()
        if not self.parts:
            raise InputError("parts: at least one is needed")
        if self.weights and (len(self.weights) != len(self.parts) or min(self.weights) <= 0):
            raise InputError(f"weights are {len(self.parts)} positive numbers, one for each part")


@dataclass(frozen=True)
class AllOfArguments(_Augmentation):
    """Several augmentations, one after the other. Raises InputError."""

    parts: tuple[Part, ...] = parts(table)  # which, in this order

    def __post_init__(self):
        super().__post_init__()
        if not self.parts:
            raise InputError("parts: at least one is needed")


def _check_source(source: str) -> None:
    if source not in ROLES:
        raise InputError(f"unknown source '{source}'{near_miss(source, ROLES)}; known: {', '.join(ROLES)}")


def _check_range(name: str, values: tuple[float, float], least: float, most: float, unit: str = "") -> None:
    if not least <= values[0] <= values[1] <= most:
        raise InputError(
            f"{name} is [least, most] between {least:g} and {most:g} {unit}".rstrip() + f", not {list(values)}"
        )
