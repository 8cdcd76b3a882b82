"""The utterances of a data dir as memory-mapped columns: opening millions takes milliseconds and no memory.

Columns are .npy files in `<data dir>/.table`, made from the text tables when they are first asked for and made anew
when those have changed. They may be deleted at any time.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import lt
from pathlib import Path

import numpy as np

from sv_py.cli import InputError, first_few
from sv_py.io.ark import split_place
from sv_py.io.atomic import replace_file, sync_directory, temporary_name
from sv_py.io.text import read_table
from sv_py.log import logger

# What can be read from a data dir: the table of places and that of lengths (frames or samples).
SOURCES = {
    "feats": ("feats.scp", "utt2num_frames"),
    "vad": ("vad.scp", "utt2num_frames"),
    "audio": ("audio.scp", "utt2num_samples"),
}
_COLUMNS = ("utts", "speakers", "speaker", "shard", "offset", "length")
_LINES = 1 << 15  # of text tables, in memory at once
_VERSION = "1"  # of the columns
_NOT_SPACE = bytes(b for b in range(256) if b not in b" \n")
_NOT_HERE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)  # somebody else's, or full
_TOO_MUCH = 1 << 48  # bytes, frames or samples
_CLOCK = 2_000_000_000  # ns: the coarsest clock of a file system


@dataclass(frozen=True)
class UtteranceTable:
    """One row per utterance, sorted by id as bytes. All arrays but ``speakers`` have a row for each."""

    path: Path  # of the columns; its name has their digest
    data_dir: Path
    shards: list[str]  # paths of the arks, in the order of their first utterance
    utts: np.ndarray  # ids, S
    speakers: np.ndarray  # names of the speakers, S, sorted
    speaker: np.ndarray  # row of `speakers`, int32
    shard: np.ndarray  # index into `shards`, int32
    offset: np.ndarray  # in the ark, bytes, int64
    length: np.ndarray  # frames or samples, int64

    def __len__(self) -> int:
        return len(self.utts)

    def __reduce__(self):
        return _load, (self.path, self.data_dir)  # another process maps the files, instead of getting a copy

    def utt(self, row: int) -> str:
        """The id of a row."""
        return self.utts[row].decode()

    def speaker_of(self, row: int) -> str:
        """The speaker of a row."""
        return self.speakers[self.speaker[row]].decode()

    def place(self, row: int) -> tuple[str, int]:
        """The ark where the utterance lies, and the byte where it begins."""
        return self.shards[self.shard[row]], int(self.offset[row])

    def scp(self, row: int) -> str:
        """The same as a scp writes it: `path.ark:offset`."""
        return f"{self.shards[self.shard[row]]}:{self.offset[row]}"

    def shards_of(self, rows: range) -> list[str]:
        """The arks in which these rows lie."""
        return [self.shards[number] for number in np.unique(self.shard[rows.start : rows.stop])]

    def find(self, utt: str) -> int | None:
        """The row of an utterance; None if there is none of this id."""
        key = utt.encode()
        row = int(np.searchsorted(self.utts, key))
        return row if row < len(self) and self.utts[row] == key else None

    def row(self, utt: str) -> int:
        """The row of an utterance. Raises InputError if there is none of this id."""
        row = self.find(utt)
        if row is None:
            raise InputError(f"no utterance '{utt}'", self.data_dir)
        return row


def open_table(data_dir: str | Path, source: str) -> UtteranceTable:
    """The table of one of `SOURCES`, made first if it is not there or not of the present text tables.

    Any number of processes may do so at once: the columns of a content have a name of their own, appear whole, and
    are never written to. In a data dir that cannot be written to, the columns are kept by this process alone.
    Raises InputError that names file and utterance: a file or key that is missing, keys that are not sorted, a length
    of zero, a place that is none.
    """
    data_dir = Path(data_dir)
    inputs = [data_dir / name for name in ("utt2spk", *SOURCES[source])]
    for path in inputs:
        if not path.is_file():
            raise InputError("no such file", path)
    folder = data_dir / ".table"
    for _ in range(2):
        try:
            return _load(_current(inputs, folder, source), data_dir)
        except (FileNotFoundError, ValueError):  # columns of a copy that was cut short, or removed this moment
            shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            logger.info("%s: its utterance table is made for this process alone: %s", data_dir, error.strerror)
            break
    with tempfile.TemporaryDirectory() as private:  # what is mapped outlives its name
        columns = Path(private, f"{source}-{_digest(inputs)}")
        _build(inputs, columns)
        return _load(columns, data_dir)


def _current(inputs: list[Path], folder: Path, source: str) -> Path:
    """The columns of the present text tables; made if need be, and then others of this source are removed."""
    stamp = folder / f"{source}.stamp"
    states = [path.stat() for path in inputs]
    shown = "".join(f"{state.st_size} {state.st_ctime_ns} {state.st_ino}\n" for state in states)
    known, _, name = stamp.read_text().rpartition("\n") if stamp.exists() else ("", "", "")
    # A change within a tick of the clock leaves the time as it was: only of older texts does the stamp say enough.
    settled = stamp.exists() and stamp.stat().st_mtime_ns > max(state.st_ctime_ns for state in states) + _CLOCK
    if not (settled and f"{known}\n" == shown and (folder / name).is_dir()):
        name = f"{source}-{_digest(inputs)}"
        if not (folder / name).is_dir():
            _build(inputs, folder / name)
        if os.access(folder, os.W_OK):
            with replace_file(stamp) as file:
                file.write(shown + name)
            for old in folder.glob(f"{source}-*"):  # an open table of before lives on in its maps
                if old.name != name:
                    shutil.rmtree(old, ignore_errors=True)
    return folder / name


def _load(path: Path, data_dir: Path) -> UtteranceTable:
    shards = (path / "shards").read_text(encoding="utf-8").split("\n")[:-1]
    columns = (np.load(path / f"{name}.npy", mmap_mode="r") for name in _COLUMNS)
    return UtteranceTable(path, data_dir, shards, *map(np.asarray, columns))  # of the plain type, which is faster


def _digest(inputs: Iterable[Path]) -> str:
    digest = hashlib.sha256(_VERSION.encode())
    for path in inputs:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _build(inputs: list[Path], folder: Path) -> None:
    """Write the columns to ``folder``, which appears whole; memory grows with the columns, not with the texts."""
    speakers: dict[bytes, int] = {}
    shards: dict[bytes, int] = {}
    blocks = [
        (
            np.array(utts),
            np.array([speakers.setdefault(name, len(speakers)) for name in names], np.int32),
            *_places(places, utts, shards, inputs[1]),
            _lengths(lengths, utts, inputs[2]),
        )
        for utts, names, places, lengths in _joined(inputs)
    ]
    columns = dict(zip(("utts", "speaker", "shard", "offset", "length"), map(np.concatenate, zip(*blocks, strict=True)),
                       strict=True))  # fmt: skip
    names = np.array(list(speakers))
    order = np.argsort(names)
    rank = np.empty(len(names), np.int32)
    rank[order] = np.arange(len(names))
    columns |= {"speakers": names[order], "speaker": rank[columns["speaker"]]}
    folder.parent.mkdir(exist_ok=True)
    temporary = temporary_name(folder)
    temporary.mkdir(exist_ok=True)
    try:
        for name in _COLUMNS:
            np.save(temporary / f"{name}.npy", columns[name])
        (temporary / "shards").write_bytes(b"".join(shard + b"\n" for shard in shards))
        for path in temporary.iterdir():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        os.rename(temporary, folder)
    except OSError as error:
        if not folder.is_dir():  # else another process has made the same
            number = error.errno or errno.ENOSPC  # NumPy does not say why it could not write
            raise OSError(number, os.strerror(number), str(folder)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_directory(folder.parent)


def _joined(inputs: list[Path]) -> Iterator[tuple[list[bytes], ...]]:
    """Blocks of utterances with their speakers, places and lengths; entries that utt2spk does not have are passed."""
    main, *others = (_blocks(path, columns) for path, columns in zip(inputs, (2, None, 2), strict=True))
    read: list[tuple[list[bytes], list[bytes]]] = [([], [])] * len(others)  # keys and values still to come
    for utts, names in main:
        columns = []
        for k, (blocks, path) in enumerate(zip(others, inputs[1:], strict=True)):
            keys, values = read[k]
            while not keys or keys[-1] < utts[-1]:
                more = next(blocks, None)
                if more is None:
                    break
                keys, values = keys + more[0], values + more[1]
            if keys[: len(utts)] != utts:
                found = dict(zip(keys, values, strict=True))
                if lacking := [utt.decode() for utt in utts if utt not in found]:
                    raise InputError(f"lacks {first_few(lacking)}", path)
                columns.append([found[utt] for utt in utts])
            else:
                columns.append(values[: len(utts)])
            passed = bisect_right(keys, utts[-1])
            read[k] = keys[passed:], values[passed:]
        yield utts, names, *columns


def _blocks(path: Path, columns: int | None) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Keys and values of a sorted text table, some lines at a time."""
    last = b""
    with open(path, "rb") as file:
        while lines := list(islice(file, _LINES)):
            text = b"".join(lines)
            if text.translate(None, _NOT_SPACE) == b" \n" * len(lines):  # as almost always: two columns
                fields = text.split()
            else:
                pairs = [line.split(None, 2 if columns else 1) for line in lines]
                fields = [field.rstrip() for pair in pairs if len(pair) == 2 for field in pair]
            keys, values = fields[::2], fields[1::2]
            if len(fields) != 2 * len(lines) or not all(map(lt, [last, *keys], keys)) or not _is_plain(text):
                read_table(path, columns)  # finds the line and says what is wrong with it
                raise InputError("not a sorted table", path)
            yield keys, values
            last = keys[-1]
    if not last:
        raise InputError("is empty", path)


def _is_plain(text: bytes) -> bool:
    try:
        return b"\r" not in text and b"\0" not in text and (text.isascii() or bool(text.decode()))
    except UnicodeDecodeError:
        return False


def _places(
    places: list[bytes], utts: list[bytes], shards: dict[bytes, int], path: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Shard, int32, and offset, int64, of each place `path.ark:offset`."""
    parts = [place.rpartition(b":") for place in places]
    if not all(ark and offset.isdigit() for ark, _, offset in parts):  # a file of one entry, or what is no place
        found = [split_place(place.decode(), utt.decode()) for place, utt in zip(places, utts, strict=True)]
        parts = [(ark.encode(), b":", offset) for ark, offset in found]
    offsets = [int(offset) for _, _, offset in parts]
    if max(offsets) >= _TOO_MUCH:
        raise InputError(f"'{utts[offsets.index(max(offsets))].decode()}' lies at byte {max(offsets)} of its ark", path)
    ark_of = [shards.setdefault(ark, len(shards)) for ark, _, _ in parts]
    return np.array(ark_of, np.int32), np.array(offsets, np.int64)


def _lengths(lengths: list[bytes], utts: list[bytes], path: Path) -> np.ndarray:
    for utt, length in zip(utts, lengths, strict=True):
        if not length.isdigit() or not 0 < int(length) < _TOO_MUCH:
            raise InputError(f"'{utt.decode()}' has length '{length.decode()}', not a positive whole number", path)
    return np.array(lengths).astype(np.int64)
