"""Audio of a data dir: wav.scp, with or without segments."""

import io
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from sv_py.cli import InputError
from sv_py.io.text import read_table


def utterances(data_dir: str | Path, rate: int, pipes: bool = False) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """(utterance, function that loads its samples) in the order of the utterances.

    Samples are float32 on the scale of 16-bit integers; ``rate`` is the sample rate in Hz that the audio must have.
    A wav.scp value that ends in '|' is a command and runs only if ``pipes``. The function raises InputError that
    names utterance and file: missing, not audio, empty, several channels, another rate, NaN, a segment that ends
    after its recording.
    """
    data_dir = Path(data_dir)
    wav_scp = read_table(data_dir / "wav.scp")
    if not (data_dir / "segments").exists():
        for utt, source in wav_scp.items():
            yield utt, partial(_samples, utt, source, rate, pipes)
        return
    latest: dict[str, np.ndarray] = {}  # segments of a recording stand together: decode it once

    def cut(utt: str, rec: str, start: float, end: float) -> np.ndarray:
        if rec not in latest:
            audio = _samples(rec, wav_scp[rec], rate, pipes)
            latest.clear()
            latest[rec] = audio
        first, stop = round(start * rate), round(end * rate)
        if not 0 <= first < stop <= len(latest[rec]):
            seconds = len(latest[rec]) / rate
            raise InputError(f"'{utt}' is {start} to {end} s of '{rec}', which lasts {seconds:.3f} s")
        return latest[rec][first:stop]

    for utt, value in read_table(data_dir / "segments", columns=4).items():
        rec, start, end = value.split()
        if rec not in wav_scp:
            raise InputError(f"'{utt}' is cut from '{rec}', which wav.scp lacks", data_dir / "segments")
        yield utt, partial(cut, utt, rec, float(start), float(end))


def _samples(key: str, source: str, rate: int, pipes: bool) -> np.ndarray:
    if source.endswith("|"):
        if not pipes:
            raise InputError(f"'{key}' is a command, run only with --allow-pipes true: {source}")
        done = subprocess.run(["bash", "-o", "pipefail", "-c", source[:-1]], stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise InputError(f"'{key}': exit status {done.returncode} of: {source}")
        file = io.BytesIO(done.stdout)
    else:
        file = source
    try:
        audio, found = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = "no such file" if not Path(source).exists() and not source.endswith("|") else f"not audio: {error}"
        raise InputError(f"'{key}': {reason}", source) from None
    if found != rate:
        raise InputError(f"'{key}': sample rate {found} Hz instead of {rate} Hz", source)
    if audio.shape[1] != 1:
        raise InputError(f"'{key}': {audio.shape[1]} channels instead of one", source)
    if len(audio) == 0:
        raise InputError(f"'{key}': no samples", source)
    if not np.isfinite(audio).all():
        raise InputError(f"'{key}': NaN or infinite samples", source)
    return audio[:, 0] * 32768.0
