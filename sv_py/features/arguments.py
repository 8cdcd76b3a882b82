"""Options of the front ends, under Kaldi's names where Kaldi has them, and the text of a feats.id. Torch-free."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from sv_py.cli import InputError
from sv_py.io.conf import describe_part, parse_part, read_part


def _one_of(option: str, value: str, *known: str) -> None:
    if value not in known:
        raise InputError(f"{option} is {', '.join(known[:-1])} or {known[-1]}, not '{value}'")


def _not_negative(arguments: object, *names: str) -> None:
    for name in names:
        if getattr(arguments, name) < 0:
            raise InputError(f"{name.replace('_', '-')} must not be negative, is {getattr(arguments, name):g}")


@dataclass(frozen=True)
class FrameArguments:
    """How a signal is cut into frames."""

    sample_frequency: float = 16000.0  # Hz; audio of another rate is an error
    frame_length: float = 25.0  # ms
    frame_shift: float = 10.0  # ms

    def __post_init__(self):
        if self.sample_frequency != int(self.sample_frequency):
            raise InputError(f"sample-frequency is a whole number of Hz, not {self.sample_frequency:g}")
        if self.length < 2 or self.shift < 1:
            raise InputError("frame-length must be two samples or more, frame-shift one or more")

    @property
    def length(self) -> int:
        """Samples of a frame; truncated, as Kaldi does."""
        return int(self.sample_frequency * self.frame_length / 1000)

    @property
    def shift(self) -> int:
        """Samples from a frame to the next."""
        return int(self.sample_frequency * self.frame_shift / 1000)


def kaldi_num_frames(num_samples: int, length: int, shift: int, snip_edges: bool) -> int:
    """Frames of a signal, as Kaldi counts them: those that fit whole into it, or one per shift, rounded."""
    if not snip_edges:
        return (num_samples + shift // 2) // shift
    return 0 if num_samples < length else 1 + (num_samples - length) // shift


@dataclass(frozen=True)
class MelArguments(FrameArguments):
    """Frames, and filters on the mel scale."""

    num_mel_bins: int = 80  # Kaldi: 23
    low_freq: float = 20.0  # Hz
    high_freq: float = 0.0  # Hz; 0 or less: so far below the Nyquist frequency

    def __post_init__(self):
        super().__post_init__()
        nyquist = self.sample_frequency / 2
        if not 0 <= self.low_freq < self.highest <= nyquist:
            raise InputError(
                f"need 0 <= low-freq < high-freq <= {nyquist:g} Hz, not {self.low_freq:g} and {self.highest:g}"
            )
        if self.num_mel_bins < 4:
            raise InputError(f"num-mel-bins must be at least 4, is {self.num_mel_bins}")

    @property
    def highest(self) -> float:
        """Where the last filter ends, in Hz."""
        return self.high_freq if self.high_freq > 0 else self.sample_frequency / 2 + self.high_freq


@dataclass(frozen=True)
class KaldiFbankArguments(MelArguments):
    """Kaldi's compute-fbank-feats: names, meanings and defaults are Kaldi's, but for num_mel_bins and dither."""

    dither: float = 0.0  # Kaldi: 1; deviation of the noise that is added, on the scale of 16-bit integers, in training
    preemphasis_coefficient: float = 0.97  # y[t] = x[t] - c x[t-1]
    remove_dc_offset: bool = True  # subtract each frame's mean
    window_type: str = "povey"  # povey | hamming | hanning | rectangular
    round_to_power_of_two: bool = True  # length of the FFT
    snip_edges: bool = True  # only frames that fit whole into the signal
    use_log_fbank: bool = True  # log of the filters' energies
    use_power: bool = True  # power, not magnitude spectrum
    use_energy: bool = False  # the log energy of the frame as the first value
    raw_energy: bool = True  # energy before pre-emphasis and window, not after them
    energy_floor: float = 0.0  # least energy; 0: none
    htk_compat: bool = False  # the energy as the last value

    def __post_init__(self):
        super().__post_init__()
        _one_of("window-type", self.window_type, "povey", "hamming", "hanning", "rectangular")
        _not_negative(self, "dither", "energy_floor")
        if not 0 <= self.preemphasis_coefficient <= 1:
            raise InputError(f"preemphasis-coefficient is between 0 and 1, not {self.preemphasis_coefficient:g}")


def _check_fft(arguments: FrameArguments) -> None:
    if arguments.n_fft < arguments.length:
        raise InputError(f"n-fft must hold a frame of {arguments.length} samples, is {arguments.n_fft}")


@dataclass(frozen=True)
class MelSpectrogramArguments(MelArguments):
    """The front end of VoxBlink2's models: torchaudio's mel spectrogram of a normalised waveform."""

    low_freq: float = 0.0  # Hz
    n_fft: int = 512  # samples; frames are padded to as many
    preemphasis_coefficient: float = 0.97  # y[t] = x[t] - c x[t-1], over the whole waveform
    normalise: str = "std"  # of the waveform: std (mean 0, deviation 1) | max (largest value 1) | none
    log_offset: float = 1e-6  # added before the logarithm

    def __post_init__(self):
        super().__post_init__()
        _check_fft(self)
        _one_of("normalise", self.normalise, "std", "max", "none")
        if not 0 <= self.preemphasis_coefficient <= 1:
            raise InputError(f"preemphasis-coefficient is between 0 and 1, not {self.preemphasis_coefficient:g}")
        if self.log_offset <= 0:
            raise InputError(f"log-offset must be positive, is {self.log_offset:g}")


@dataclass(frozen=True)
class LogMelArguments(MelArguments):
    """The front end of ZHAW's BiLSTM: log10(1 + c x) of librosa's mel power spectrogram, standardised per bin."""

    frame_length: float = 64.0  # ms
    num_mel_bins: int = 128
    low_freq: float = 0.0  # Hz
    n_fft: int = 1024  # samples; frames are padded to as many
    compression: float = 10000.0  # c
    standardise: bool = True  # each bin to mean 0 and deviation 1 over the waveform

    def __post_init__(self):
        super().__post_init__()
        _check_fft(self)
        if self.compression <= 0:
            raise InputError(f"compression must be positive, is {self.compression:g}")


@dataclass(frozen=True)
class SpectrogramArguments(FrameArguments):
    """The front end of Thin ResNet: magnitudes of the Fourier transform, standardised per frame."""

    n_fft: int = 512  # samples; frames are padded to as many
    standardise: bool = True  # each frame to mean 0 and deviation 1 over its frequencies

    def __post_init__(self):
        super().__post_init__()
        _check_fft(self)


@dataclass(frozen=True)
class SpeechbrainFbankArguments(MelArguments):
    """The front end of SpeechBrain's models: filter banks in dB."""

    low_freq: float = 0.0  # Hz
    n_fft: int = 400  # samples; frames are padded to as many
    top_db: float = 80.0  # what lies so far below the utterance's loudest value is raised to there

    def __post_init__(self):
        super().__post_init__()
        _check_fft(self)
        _not_negative(self, "top_db")


def read_frontend(conf: str | Path) -> tuple[str, FrameArguments]:
    """Name and arguments of the front end that a conf file describes; a line `--frontend=NAME` chooses another one
    than kaldi_fbank.

    Raises InputError with file and line.
    """
    return read_part(conf, "frontend", _frontends(), "kaldi_fbank")


def describe(name: str, arguments: FrameArguments) -> str:
    """The text of a feats.id: front end and every option. Equal texts, comparable features."""
    return describe_part("frontend", name, arguments)


def parse_id(text: str, path: str | Path) -> tuple[str, FrameArguments]:
    """Name and arguments of the front end that the text of a feats.id describes; ``path`` is its name in messages.

    Options that the text lacks have their defaults. Raises InputError for a text that `describe` cannot have made.
    """
    return parse_part(text, path, "frontend", _frontends())


def same_features(one: str, other: str) -> bool:
    """Whether the texts of two feats.id stand for features of one kind; dither, which is noise, does not count."""
    return _without_dither(one) == _without_dither(other)


def difference(one: str, other: str) -> tuple[str, str]:
    """The lines that only one of the texts of two feats.id has, on one line each, for messages."""
    lines = set(one.splitlines()), set(other.splitlines())
    return " ".join(sorted(lines[0] - lines[1])) or "none said", " ".join(sorted(lines[1] - lines[0])) or "none said"


def _without_dither(text: str) -> tuple[str, FrameArguments] | str:
    try:
        name, arguments = parse_id(text, "feats.id")
    except InputError:
        return text  # of another program
    return name, dataclasses.replace(arguments, dither=0.0) if hasattr(arguments, "dither") else arguments


def _frontends():
    from sv_py.features import FRONTENDS  # the table imports this module

    return FRONTENDS
