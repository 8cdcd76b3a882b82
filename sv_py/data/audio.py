"""Audio of a data dir: wav.scp, with or without segments."""

import io
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from sv_py.cli import InputError
from sv_py.io.text import read_table

# libsndfile reads a truncated WAV as a shorter one and only notes it in its log
_TRUNCATED = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
_STREAMED = 0x7F000000  # bytes; such a length stands for one that the writer, a pipe, could not know


def utterances(data_dir: str | Path, rate: int, pipes: bool = False) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """(utterance, function that loads its samples) in the order of the utterances.

    Samples are float32 on the scale of 16-bit integers; ``rate`` is the sample rate in Hz that the audio must have.
    A wav.scp value that ends in '|' is a command and runs only if ``pipes``. The function raises InputError that
    names utterance and file: missing, not audio, empty, several channels, another rate, NaN, a segment that ends
    after its recording.
    """
    data_dir = Path(data_dir)
    wav_scp = read_table(data_dir / "wav.scp")
    segments = data_dir / "segments"
    if not segments.exists():
        for utt, source in wav_scp.items():
            yield utt, partial(_samples, utt, source, rate, pipes)
        return
    latest: dict[str, np.ndarray] = {}  # segments of a recording stand together: decode it once

    def cut(utt: str, rec: str, start: float, end: float) -> np.ndarray:
        if rec not in latest:
            audio = _samples(utt, wav_scp[rec], rate, pipes)
            latest.clear()
            latest[rec] = audio
        seconds = len(latest[rec]) / rate
        if not 0 <= start < end <= seconds + 0.5 / rate:  # also refuses NaN
            raise InputError(f"'{utt}' is {start} to {end} s of '{rec}', which lasts {seconds:.3f} s", segments)
        return latest[rec][round(start * rate) : round(end * rate)]

    for line, (utt, value) in enumerate(read_table(segments, columns=4).items(), 1):
        rec, *times = value.split()
        if rec not in wav_scp:
            raise InputError(f"'{utt}' is cut from '{rec}', which wav.scp lacks", segments, line)
        try:
            start, end = map(float, times)
        except ValueError:
            raise InputError(
                f"'{utt}' begins and ends at seconds, not at {' and '.join(times)}", segments, line
            ) from None
        yield utt, partial(cut, utt, rec, start, end)


def _samples(key: str, source: str, rate: int, pipes: bool) -> np.ndarray:
    if source.endswith("|"):
        if not pipes:
            raise InputError(f"'{key}' is a command, run only with --allow-pipes true: {source}")
        done = subprocess.run(["bash", "-o", "pipefail", "-c", source[:-1]], stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise InputError(f"'{key}': exit status {done.returncode} of: {source}")
        file = io.BytesIO(done.stdout)
    else:
        if not Path(source).exists():
            raise InputError(f"'{key}': no such file", source)
        file = source
    try:
        with soundfile.SoundFile(file) as sound:
            if sound.samplerate != rate:
                raise InputError(f"'{key}': sample rate {sound.samplerate} Hz instead of {rate} Hz", source)
            if sound.channels != 1:
                raise InputError(f"'{key}': {sound.channels} channels instead of one", source)
            truncated = _TRUNCATED.search(sound.extra_info)
            audio = sound.read(dtype="float32")
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"'{key}': not audio, or damaged: {error}", source) from None
    if truncated and int(truncated[1]) < _STREAMED:
        raise InputError(f"'{key}': truncated, {truncated[2]} of {truncated[1]} bytes are there", source)
    if len(audio) == 0:
        raise InputError(f"'{key}': no samples", source)
    if not np.isfinite(audio).all():
        raise InputError(f"'{key}': NaN or infinite samples", source)
    return audio * 32768.0
