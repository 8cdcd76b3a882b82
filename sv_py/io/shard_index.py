"""The index of shards: what arks hold and how their bytes are known again, `audio_train.index` beside the arks.

A line is `ark bytes sha256 utterances seconds speakers`; the ark is named without its folder, so that a folder of
shards can be copied as it is.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sv_py.cli import InputError
from sv_py.io.data_tables import Complaint
from sv_py.io.text import read_lines

SUFFIX = ".index"


class Shard(NamedTuple):
    """One ark; ``seconds`` are those of the audio that its utterances were made from."""

    path: Path
    size: int
    sha256: str
    utterances: int
    seconds: float
    speakers: int

    def line(self) -> str:
        """The line of the index."""
        return f"{self.path.name} {self.size} {self.sha256} {self.utterances} {self.seconds:.3f} {self.speakers}"

    def faults(self, checksum: bool) -> Iterator[Complaint]:
        """What is wrong with the ark; with ``checksum`` it is read, otherwise only its size is looked at."""
        try:
            size = self.path.stat().st_size
        except OSError as error:
            yield Complaint(self.path, None, f"missing: {error.strerror}")
            return
        if size != self.size:
            what = "truncated" if size < self.size else "too long"
            yield Complaint(self.path, None, f"{what}: {size} instead of {self.size} bytes")
        elif checksum and sha256_of(self.path) != self.sha256:
            yield Complaint(self.path, None, "altered: its checksum is not that of the index")


def sha256_of(path: Path) -> str:
    """The checksum of a file, as sha256sum prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_index(path: Path) -> dict[Path, Shard]:
    """ark -> what the index says of it. Raises InputError that names the line."""
    shards = {}
    for number, line in enumerate(read_lines(path), 1):
        try:
            name, size, sha256, utterances, seconds, speakers = line.rsplit(" ", 5)  # the name may hold spaces
            shard = Shard(path.parent / name, int(size), sha256, int(utterances), float(seconds), int(speakers))
        except ValueError:
            raise InputError(
                f"not 'ark bytes sha256 utterances seconds speakers': '{line[:160]}'", path, number
            ) from None
        if shard.path in shards:
            raise InputError(f"'{name}' a second time", path, number)
        shards[shard.path] = shard
    return shards


def shards_of_folder(folder: Path) -> dict[Path, Shard]:
    """All arks that the indexes in a folder list."""
    return {path: shard for index in sorted(folder.glob(f"*{SUFFIX}")) for path, shard in read_index(index).items()}
