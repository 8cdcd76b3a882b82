"""What lies in the arks of a data dir, by row of its utterance table."""

from pathlib import Path

import numpy as np

from sv_py.cli import InputError
from sv_py.data.table import UtteranceTable, open_table
from sv_py.io.ark import ArkReader
from sv_py.io.audio_ark import AudioArkReader
from sv_py.io.text import read_id


def read_rate(data_dir: str | Path) -> int:
    """Hz of the audio shards of a data dir, by its audio.id. Raises InputError."""
    path = Path(data_dir, "audio.id")
    rate = read_id(path).get("sample-frequency", "")
    if not rate.isdecimal() or int(rate) == 0:
        raise InputError("does not say --sample-frequency=<Hz>", path)
    return int(rate)


class AudioStore:
    """Audio of a data dir that has audio shards.

    ``rate`` in Hz; ``speech``: the lines of audio.id that say how silence was dropped, empty if it was not.
    """

    def __init__(self, data_dir: str | Path):
        self.path = Path(data_dir)
        if self.path.is_dir() and not (self.path / "audio.scp").exists():
            raise InputError("has no audio.scp: run steps/make_shards.sh", self.path)
        self.rate = read_rate(self.path)
        text = (self.path / "audio.id").read_text()
        self.speech = text[text.find("detector=") :] if "detector=" in text else ""
        self.table = open_table(self.path, "audio")
        self._reader = AudioArkReader()

    def __len__(self) -> int:
        return len(self.table)

    @property
    def tables(self) -> list[UtteranceTable]:
        """All that is read."""
        return [self.table]

    def read(self, row: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples ``start:stop``, int16 (n,). Raises InputError that names utterance and ark, also for too few."""
        table = self.table
        samples = self._reader.read_at(*table.place(row), start, stop, table.utt(row))
        _check_count(table, row, len(samples), start, stop, "samples")
        return samples


class FeatureStore:
    """Features of a data dir, and the decisions of its voice activity detector if ``vad``."""

    def __init__(self, data_dir: str | Path, vad: bool = False):
        self.path = Path(data_dir)
        self.table = open_table(self.path, "feats")
        self._vad = open_table(self.path, "vad") if vad else None  # the same rows: those of utt2spk
        self._reader = ArkReader()

    def __len__(self) -> int:
        return len(self.table)

    @property
    def tables(self) -> list[UtteranceTable]:
        """All that is read."""
        return [self.table] if self._vad is None else [self.table, self._vad]

    def read(self, row: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Frames ``start:stop``, float32 (n, F). Raises InputError that names utterance and ark."""
        table = self.table
        frames = self._reader.read(table.scp(row), start, stop, table.utt(row))
        if frames.ndim != 2:
            raise InputError(f"'{table.utt(row)}' has no matrix of features", table.scp(row))
        if not np.isfinite(frames).all():
            raise InputError(f"'{table.utt(row)}' has features that are NaN or infinite", table.scp(row))
        _check_count(table, row, len(frames), start, stop, "frames")
        return frames

    def read_voiced(self, row: int) -> np.ndarray:
        """All frames of speech, float32 (n, F) with n > 0. Raises InputError, also if there are none."""
        frames, place, utt = self.read(row), self._vad.scp(row), self.table.utt(row)
        voiced = self._reader.read(place, key=utt) > 0
        if voiced.shape != (len(frames),):
            raise InputError(f"'{utt}' has {len(frames)} frames, and decisions for {len(voiced)}", place)
        if not voiced.any():
            raise InputError(f"'{utt}' has no frames of speech", place)
        return frames[voiced]


def _check_count(table: UtteranceTable, row: int, count: int, start: int, stop: int | None, what: str) -> None:
    """Raise InputError if ``start:stop`` of a row gave another number of values than its length allows."""
    length = int(table.length[row])
    if count != min(length if stop is None else stop, length) - start:
        raise InputError(f"'{table.utt(row)}' has not the {length} {what} that utt2num_{what} says", table.scp(row))
