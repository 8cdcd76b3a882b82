"""Audio of a data dir: wav.scp, with or without segments."""

import io
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sv_py.cli import InputError
from sv_py.data.audio_file import read_audio
from sv_py.data.ffmpeg import to_wav
from sv_py.io.audio_ark import AudioArkReader
from sv_py.io.data_dir_checks import OVERSHOOT
from sv_py.io.places import ark_of, needs_ffmpeg
from sv_py.io.text import read_rows, read_table

_ZERO_CROSSINGS = 64  # of the resampling filter, on each side
_KAISER = 9.0  # the window's beta: aliases are 90 dB down
_MAX_FACTOR = 200_000  # up or down in resampling; a damaged header's rate must not ask for a filter of terabytes


class Source(NamedTuple):
    """Where an utterance is: its recording's value in wav.scp and, with segments, start and end in seconds."""

    utt: str
    speaker: str
    recording: str
    place: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Conversion:
    """How audio becomes one channel of ``rate`` Hz. What is not allowed is an error that names the file."""

    rate: int  # Hz
    pipes: bool = False  # run commands in wav.scp
    resample: bool = False  # accept other rates
    mixdown: bool = False  # accept several channels, of which the mean is taken


def sources(data_dir: str | Path, rows: range | None = None) -> list[Source]:
    """The utterances of a data dir, or those of the lines ``rows`` (0-based) of its utt2spk, in their order.

    Of a part only its lines are held in memory. Raises InputError where the tables do not agree, and for segments with
    times that are no numbers.
    """
    data_dir = Path(data_dir)
    rows = range(sys.maxsize) if rows is None else rows
    utt2spk = read_rows(data_dir / "utt2spk", rows, columns=2)
    segments, wav_scp = data_dir / "segments", data_dir / "wav.scp"
    with_segments = segments.exists()
    table = read_rows(segments, rows, columns=4) if with_segments else read_rows(wav_scp, rows)
    recordings = read_table(wav_scp) if with_segments else table
    found = []
    for line, (utt, speaker) in zip(count(rows.start + 1, rows.step), utt2spk.items(), strict=False):
        if utt not in table:
            raise InputError(f"lacks '{utt}' of utt2spk", segments if with_segments else wav_scp)
        cut = _cut_of(utt, table[utt], recordings, segments, line) if with_segments else (utt, table[utt])
        found.append(Source(utt, speaker, *cut))
    return found


def _cut_of(
    utt: str, value: str, recordings: Mapping[str, str], path: Path, line: int
) -> tuple[str, str, float, float]:
    recording, *times = value.split()
    if recording not in recordings:
        raise InputError(f"'{utt}' is cut from '{recording}', which wav.scp lacks", path, line)
    try:
        start, end = map(float, times)
    except ValueError:
        raise InputError(f"'{utt}' begins and ends at seconds, not at {' and '.join(times)}", path, line) from None
    return recording, recordings[recording], start, end


def utterances(
    data_dir: str | Path, rate: int, pipes: bool = False, resample: bool = False, mixdown: bool = False
) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """`load` of the utterances of a data dir, in their order."""
    return load(sources(data_dir), Conversion(rate, pipes, resample, mixdown))


def load(
    sources: Iterable[Source], conversion: Conversion, done: Counter[str] | None = None
) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """(utterance, function that loads its samples); these are float32 (N,) on the scale of 16-bit integers.

    Audio is what soundfile reads, an entry of an ark, what ffmpeg reads (`m4a`, ...) or the output of a command, a
    value that ends in '|'. The function raises InputError that names utterance and file: missing, not audio, empty,
    truncated, NaN, a segment that ends after its recording, and what ``conversion`` does not allow. ``done`` counts
    the recordings that were converted.
    """
    reader = _Reader(conversion, Counter() if done is None else done)
    latest: dict[str, np.ndarray] = {}  # segments of a recording stand together: decode it once

    def samples(source: Source) -> np.ndarray:
        if source.start is None:
            return reader.samples(source.utt, source.place)
        if source.recording not in latest:
            latest.clear()
            latest[source.recording] = reader.samples(source.utt, source.place)
        return _cut(latest[source.recording], source, conversion.rate)

    for source in sources:
        yield source.utt, partial(samples, source)


def _cut(audio: np.ndarray, source: Source, rate: int) -> np.ndarray:
    seconds = len(audio) / rate
    if not (0 <= source.start < min(source.end, seconds) and source.end <= seconds + OVERSHOOT):  # also refuses NaN
        what = (
            f"'{source.utt}' is {source.start} to {source.end} s of '{source.recording}', which lasts {seconds:.3f} s"
        )
        raise InputError(what, "segments")
    return audio[round(source.start * rate) : round(source.end * rate)]


class _Reader:
    """Reads values of wav.scp."""

    def __init__(self, conversion: Conversion, done: Counter[str]):
        self._conversion, self._done, self._arks = conversion, done, AudioArkReader()

    def samples(self, key: str, place: str) -> np.ndarray:
        """The whole recording; ``key`` names it in messages."""
        file = self._open(key, place)
        try:
            audio, rate, _ = read_audio(file)
        except InputError as error:
            raise InputError(f"'{key}': {error.message}", place) from None
        channels = audio.shape[1]
        self._check(key, place, rate, channels)
        if len(audio) == 0:
            raise InputError(f"'{key}': no samples", place)
        if not np.isfinite(audio).all():
            raise InputError(f"'{key}': NaN or infinite samples", place)
        if channels == 1:
            audio = audio[:, 0]
        else:
            audio = audio.mean(axis=1)
            self._done[f"mixed down from {channels} channels"] += 1
        audio *= 32768.0
        if rate != self._conversion.rate:
            audio = resample(audio, rate, self._conversion.rate)
            self._done[f"resampled from {rate} Hz"] += 1
        return audio

    def _open(self, key: str, place: str) -> str | io.BytesIO:
        if place.endswith("|"):
            return self._run(key, place)
        if ark_of(place):
            return self._arks.file(place, key)
        if not Path(place).exists():
            raise InputError(f"'{key}': no such file", place)
        if not needs_ffmpeg(place):
            return place
        try:
            self._done["decoded by ffmpeg"] += 1
            return io.BytesIO(to_wav(place))
        except InputError as error:
            raise InputError(f"'{key}': {error.message}", place) from None

    def _run(self, key: str, command: str) -> io.BytesIO:
        if not self._conversion.pipes:
            raise InputError(f"'{key}' is a command, run only with --allow-pipes true: {command}")
        self._done["read from commands"] += 1
        shell = ["bash", "-o", "pipefail", "-c", command[:-1]]
        done = subprocess.run(shell, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise InputError(f"'{key}': exit status {done.returncode} of: {command}")
        return io.BytesIO(done.stdout)

    def _check(self, key: str, place: str, rate: int, channels: int) -> None:
        if rate != self._conversion.rate and not self._conversion.resample:
            raise InputError(f"'{key}': sample rate {rate} Hz instead of {self._conversion.rate} Hz", place)
        if max(rate, self._conversion.rate) > _MAX_FACTOR * math.gcd(rate, self._conversion.rate):
            raise InputError(f"'{key}': sample rate {rate} Hz, which cannot be converted", place)
        if channels != 1 and not self._conversion.mixdown:
            raise InputError(f"'{key}': {channels} channels instead of one", place)


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """``samples`` (N,) of ``rate`` Hz at ``new_rate`` Hz: float32 (ceil(N new_rate / rate),), by a polyphase filter."""
    from scipy.signal import resample_poly  # takes half a second, and is seldom needed

    divisor = math.gcd(rate, new_rate)
    up, down = new_rate // divisor, rate // divisor
    return resample_poly(samples, up, down, window=_lowpass(max(up, down))).astype(np.float32, copy=False)


@lru_cache(maxsize=16)
def _lowpass(factor: int) -> np.ndarray:
    from scipy.signal import firwin

    half = _ZERO_CROSSINGS * factor
    cutoff = 0.95 / factor  # the transition ends where aliases begin
    return firwin(2 * half + 1, cutoff, window=("kaiser", _KAISER)).astype(np.float32)


def to_int16(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """``samples`` rounded to the nearest 16-bit integer, halves to even, and how many had to be clipped for that."""
    rounded = np.rint(samples)
    clipped = int(np.count_nonzero((rounded < -32768) | (rounded > 32767)))
    return (rounded.clip(-32768, 32767) if clipped else rounded).astype(np.int16), clipped
