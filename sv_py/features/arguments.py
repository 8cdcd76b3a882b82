"""Options of the front ends under Kaldi's names, read from Kaldi's conf files. Torch-free."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from sv_py.cli import InputError, near_miss
from sv_py.io.text import read_lines


@dataclass(frozen=True)
class KaldiFbankArguments:
    """Kaldi's compute-fbank-feats: names, meanings and defaults are Kaldi's, but for num_mel_bins and dither."""

    sample_frequency: float = 16000.0  # Hz; audio of another rate is an error
    frame_length: float = 25.0  # ms
    frame_shift: float = 10.0  # ms
    preemphasis_coefficient: float = 0.97  # y[t] = x[t] - c x[t-1]
    remove_dc_offset: bool = True  # subtract each frame's mean
    window_type: str = "povey"  # povey | hamming | hanning | rectangular
    round_to_power_of_two: bool = True  # length of the FFT
    snip_edges: bool = True  # only frames that fit whole into the signal
    num_mel_bins: int = 80  # Kaldi: 23
    low_freq: float = 20.0  # Hz
    high_freq: float = 0.0  # Hz; 0 or less: so far below the Nyquist frequency
    use_log_fbank: bool = True  # log of the filters' energies
    use_power: bool = True  # power, not magnitude spectrum

    def __post_init__(self):
        nyquist = self.sample_frequency / 2
        high = self.high_freq if self.high_freq > 0 else nyquist + self.high_freq
        if self.window_type not in ("povey", "hamming", "hanning", "rectangular"):
            raise InputError(f"window-type is povey, hamming, hanning or rectangular, not '{self.window_type}'")
        if not 0 <= self.low_freq < high <= nyquist:
            raise InputError(f"need 0 <= low-freq < high-freq <= {nyquist:g} Hz, not {self.low_freq:g} and {high:g}")
        if self.num_mel_bins < 4:
            raise InputError(f"num-mel-bins must be at least 4, is {self.num_mel_bins}")
        sample = 1000 / self.sample_frequency
        if self.frame_length < 2 * sample or self.frame_shift < sample:
            raise InputError("frame-length must be two samples or more, frame-shift one or more")


def read_conf(path: str | Path, kind: type) -> object:
    """An instance of the dataclass ``kind`` from a Kaldi conf file: a line `--some-option=value  # comment` each.

    Raises InputError with file and line for an unknown option (near miss named), a repeated one or a wrong type.
    """
    fields = {f.name.replace("_", "-"): f for f in dataclasses.fields(kind)}
    values: dict[str, object] = {}
    for number, line in enumerate(read_lines(path, blank=True), 1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        name, equals, value = text.partition("=")
        option = name.strip().removeprefix("--")
        if not text.startswith("--") or not equals:
            raise InputError(f"expected --option=value, got {text!r}", path, number)
        if option not in fields:
            raise InputError(f"unknown option '--{option}'{near_miss(option, fields)}", path, number)
        if fields[option].name in values:
            raise InputError(f"--{option} a second time", path, number)
        values[fields[option].name] = _convert(value.strip(), fields[option].type, option, path, number)
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(str(error), path) from None


def _convert(text: str, kind: type, option: str, path: str | Path, number: int) -> object:
    if kind is bool:
        if text not in ("true", "false"):
            raise InputError(f"--{option} is true or false, not '{text}'", path, number)
        return text == "true"
    try:
        value = kind(text)
    except ValueError:
        raise InputError(f"--{option} is of type {kind.__name__}, not '{text}'", path, number) from None
    if kind is float and not math.isfinite(value):
        raise InputError(f"--{option} is a finite number, not '{text}'", path, number)
    return value


def describe(frontend: str, arguments: object) -> str:
    """The text of a feats.id: front end and every option. Equal texts, comparable features."""
    options = dataclasses.asdict(arguments)
    return "".join([f"frontend={frontend}\n", *(f"--{k.replace('_', '-')}={_text(v)}\n" for k, v in options.items())])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
