"""What the headers of audio files say. Of many files it is noted, so that a killed run need not open them again."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, repeat
from pathlib import Path
from typing import NamedTuple

import soundfile

from sv_py.log import progress

_THREADS = 8  # opening files waits for the disk or the network, not for the processor
_BLOCK = 1024  # files looked at, and noted, together: all at once would hold a future per file of the corpus


class Header(NamedTuple):
    """Size (bytes) and time of change (ns) of a file, and what its header says."""

    size: int
    changed: int
    sampling_rate: int  # Hz
    num_samples: int
    num_channels: int


def headers(paths: list[str], mono: bool = True, notes: Path | None = None) -> Iterable[tuple[Header | None, str]]:
    """For each path the header and what is wrong with the file (empty: nothing), in order, with a progress bar.

    ``notes``: a file that gets the headers of each whole block, and tells those that were read before; a file of
    another size or time is opened again. Who has all that it wants removes it. Of a few files nothing is noted.
    """
    return progress(_headers(iter(paths), mono, notes), total=len(paths), what="audio headers", unit="file")


def _headers(paths: Iterator[str], mono: bool, notes: Path | None) -> Iterator[tuple[Header | None, str]]:
    noted = _read_notes(notes) if notes and notes.exists() else {}
    with ThreadPoolExecutor(_THREADS) as pool:
        while block := list(islice(paths, _BLOCK)):
            before = [noted.pop(path, None) for path in block]
            found = list(pool.map(_header, block, before, repeat(mono)))
            if notes and len(block) == _BLOCK:
                new = zip(block, before, found, strict=True)
                _add_notes(notes, {path: header for path, old, (header, _) in new if header and header != old})
            yield from found


def _add_notes(notes: Path, found: Mapping[str, Header]) -> None:
    notes.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(notes, "a", encoding="utf-8") as file:
            file.writelines(f"{' '.join(map(str, header))} {path}\n" for path, header in found.items())
    except OSError as error:
        error.filename = str(notes)  # a full disk does not say where
        raise


def _read_notes(notes: Path) -> dict[str, Header]:
    """path -> header, without what a killed run has not finished writing."""
    noted = {}
    with open(notes, encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            *numbers, path = line.split(" ", len(Header._fields))
            if path.endswith("\n") and len(numbers) == len(Header._fields) and all(map(str.isdecimal, numbers)):
                noted[path[:-1]] = Header(*map(int, numbers))
    return noted


def _header(path: str, noted: Header | None, mono: bool) -> tuple[Header | None, str]:
    try:
        status = os.stat(path)
    except OSError as error:
        return None, error.strerror
    if not stat.S_ISREG(status.st_mode):
        return None, "not a file"
    if not status.st_size:
        return None, "empty file"
    header = noted
    if noted is None or noted[:2] != (status.st_size, status.st_mtime_ns):
        try:
            info = soundfile.info(path)
        except soundfile.LibsndfileError as error:
            return None, error.error_string
        header = Header(status.st_size, status.st_mtime_ns, info.samplerate, info.frames, info.channels)
    if mono and header.num_channels != 1:
        return header, f"{header.num_channels} channels instead of one"
    if not 0 < header.num_samples < 1 << 48:  # libsndfile's largest number stands for 'the header does not say'
        return header, "no samples"
    return header, ""
