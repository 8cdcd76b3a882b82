"""What a corpus says of one audio file, what the file's header says, and the checks both must pass."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sv_py.cli import InputError, first_few
from sv_py.data.headers import headers
from sv_py.io.ids import id_fault
from sv_py.log import logger

_GENDERS = {"m": "m", "male": "m", "f": "f", "female": "f", "": "", "unknown": ""}

Origin = tuple[str | Path, int | None]  # file and line (1-based) that a message about an utterance names


@dataclass(frozen=True, slots=True)
class Utterance:
    """One mono audio file with one speaker. ``gender`` is m, f or empty; ``part`` is the corpus's own subset.

    ``language`` is as the corpus writes it, or empty.
    """

    id: str
    speaker: str
    path: str  # absolute
    origin: Origin
    gender: str = ""
    language: str = ""
    session: str = ""
    part: str = ""
    sampling_rate: int = 0  # Hz; this and the next are known after `probe`
    num_samples: int = 0
    num_channels: int = 1


def check_id(what: str, value: str, path: str | Path | None = None, line: int | None = None) -> str:
    """``value`` if it can be a column of a table and a file's name; else InputError."""
    if fault := id_fault(value):
        raise InputError(f"{what} {fault}", path, line)
    return value


def check_path(value: str, path: str | Path | None = None, line: int | None = None) -> str:
    """The absolute form of an audio file's path, which must survive as the last column of wav.scp; else InputError."""
    if value.startswith("|") or value.endswith("|"):
        raise InputError(f"pipes are not run: {value}", path, line)
    if not value or value != value.strip() or not value.isprintable():
        raise InputError(f"file name {value!r} cannot stand in a table", path, line)
    return os.path.abspath(value)


def parse_gender(value: str | None, path: str | Path | None = None, line: int | None = None) -> str:
    """m, f or empty (unknown) from the ways in which corpora write it; else InputError."""
    try:
        return _GENDERS[(value or "").strip().lower()]
    except KeyError:
        raise InputError(f"gender {value!r} is neither m nor f", path, line) from None


def with_speaker(utterance: str, speaker: str) -> str:
    """An utterance id that begins with its speaker, so that sorting by one sorts by the other."""
    return utterance if utterance.startswith(speaker) else f"{speaker}-{utterance}"


class Genders(dict):
    """speaker -> gender, of which no two lines may disagree; one line that tells is enough."""

    def note(self, speaker: str, gender: str, path: str | Path | None = None, line: int | None = None) -> None:
        """Record what one line says. Raises InputError on a contradiction."""
        before = self.get(speaker, "")
        if before and gender and before != gender:
            raise InputError(f"speaker {speaker} is {gender!r} here and was {before!r} before", path, line)
        self[speaker] = before or gender


def check_consistent(utterances: Iterable[Utterance]) -> None:
    """Raise InputError where an id occurs twice or a speaker has two genders."""
    seen: dict[str, Utterance] = {}
    genders = Genders()
    for u in utterances:
        first = seen.setdefault(u.id, u)
        if first is not u:
            raise InputError(f"utterance {u.id} a second time: {first.path} and {u.path}", *u.origin)
        genders.note(u.speaker, u.gender, *u.origin)


def probe(
    utterances: list[Utterance], skip_bad: bool = False, mono: bool = True, notes: Path | None = None
) -> list[Utterance]:
    """The same utterances with sampling rate, length and channels from the files' headers.

    Raises InputError that lists the files which are missing, unreadable, empty or, if they must be, not ``mono``;
    with ``skip_bad`` these are left out and counted, and only their being all is an error. ``notes``: as of `headers`.
    """
    good, bad = [], []
    found = headers([u.path for u in utterances], mono, notes)
    for utterance, (header, problem) in zip(utterances, found, strict=True):
        if problem:
            bad.append(f"{utterance.path}: {problem}")
        else:
            sizes = {"num_samples": header.num_samples, "num_channels": header.num_channels}
            good.append(replace(utterance, sampling_rate=header.sampling_rate, **sizes))
    if bad and not (skip_bad and good):
        raise InputError(f"{len(bad)} of {len(utterances)} files cannot be used: {first_few(bad)}")
    if bad:
        logger.warning("%d of %d files left out: %s", len(bad), len(utterances), first_few(bad))
    return good
