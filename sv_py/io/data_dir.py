"""A Kaldi data dir as a whole: read, validate, write. `data_dir_edit` makes new ones out of them."""

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sv_py.cli import InputError, near_miss
from sv_py.io.atomic import replace_directory, replace_file
from sv_py.io.data_dir_checks import (
    Tables,
    check_agreement,
    check_audio,
    check_trials,
    check_values,
    utterances_by_speaker,
)
from sv_py.io.data_tables import Complaint, Table, key_kind, scan
from sv_py.io.text import write_table
from sv_py.io.trials import MODELS

FEATURES = ("feats.scp", "vad.scp", "utt2num_frames")
SHARDS = ("audio.scp", "utt2num_samples")
# Texts that say how the entries of an scp were made: such of two makes must not be mixed.
IDENTITIES = {"feats.scp": "feats.id", "audio.scp": "audio.id"}
_SHOWN = 20


@dataclass(frozen=True)
class DataDir:
    """``tables``: file name -> Table; ``extras``: the contents of feats.id, audio.id and trial lists, by file name."""

    path: Path
    tables: dict[str, Table]
    extras: dict[str, bytes]


def is_trials(name: str) -> bool:
    """Whether a file of this name is a trial list, `trials` or `trials_<name>`, or has the models that trials name."""
    return name in ("trials", MODELS) or name.startswith("trials_")


def is_known(name: str) -> bool:
    """Whether the tools carry a file of this name along. All others are left where they are."""
    return key_kind(name) is not None or is_trials(name) or name in IDENTITIES.values()


def validate(path: str | os.PathLike, **which: bool) -> list[Complaint]:
    """Everything that is wrong with a data dir; an empty list when nothing is. ``which``: as `inspect` takes it."""
    return inspect(Path(path), **which)[1]


def inspect(
    path: Path,
    *,
    wav: bool = True,
    feats: bool = True,
    shards: bool = True,
    text: bool = True,
    audio: bool = False,
    pipes: bool = False,
) -> tuple[DataDir, list[Complaint]]:
    """A data dir, as far as it can be read, and everything that is wrong with it.

    ``wav``: wav.scp has to be there and the files that it names, too. ``feats``, ``shards``, ``text``: look at
    feats.scp, vad.scp and utt2num_frames, at audio.scp and utt2num_samples, at text, where they are.
    ``audio``: open every audio file. ``pipes``: allow commands.
    """
    skipped = (() if feats else FEATURES) + (() if shards else SHARDS) + (() if text else ("text",))
    data, complaints = scan_data_dir(Path(path), ["utt2spk", "spk2utt", *(["wav.scp"] if wav else [])], skipped)
    if "utt2spk" not in data.tables:
        return data, complaints
    # A file with a line that cannot be understood lacks that line's id: to compare it would be noise.
    broken = {complaint.path for complaint in complaints if not complaint.mendable}
    complaints += check_values(data.tables)
    if data.tables["utt2spk"].path not in broken:
        whole = {name: table for name, table in data.tables.items() if table.path not in broken}
        complaints += check_agreement(whole)
        for name in filter(is_trials, data.extras):
            complaints += check_trials(data.path / name, data.tables)
    if wav:
        complaints += check_audio(data.tables, audio, pipes)
    return data, complaints


def check(path: str | os.PathLike, **which: bool) -> None:
    """Raise InputError with the complaints of `validate`, which takes the same arguments."""
    refuse(validate(path, **which), f"{path}: not a valid data dir")


def load(path: str | os.PathLike) -> DataDir:
    """A valid data dir without spk2utt, which `save` derives. Raises InputError as `check`; audio is not looked at."""
    data, complaints = inspect(Path(path), wav=False)
    refuse(complaints, f"{path}: not a valid data dir")
    return replace(data, tables={name: table for name, table in data.tables.items() if name != "spk2utt"})


def refuse(complaints: list[Complaint], why: str) -> None:
    """Raise InputError that shows ``why`` and the complaints, if there are any."""
    if complaints:
        raise InputError("\n".join([why, *listing(complaints)]))


def listing(complaints: list[Complaint]) -> Iterable[str]:
    """One line per complaint, `file:line: message`; of very many the first, and a count."""
    yield from map(str, complaints[:_SHOWN])
    if len(complaints) > _SHOWN:
        yield f"and {len(complaints) - _SHOWN} more complaints"


def scan_data_dir(
    path: Path, required: Iterable[str] = (), skipped: Iterable[str] = ()
) -> tuple[DataDir, list[Complaint]]:
    """What a data dir holds, read as far as possible, and the complaints about files and their form."""
    if not path.is_dir():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        what = "is not a directory" if path.name in beside else f"no such directory{near_miss(path.name, beside)}"
        return DataDir(path, {}, {}), [Complaint(path, None, what)]
    tables, extras, complaints = {}, {}, []
    names = sorted(entry.name for entry in path.iterdir() if entry.is_file())
    for name in required:
        if name not in names:
            complaints.append(Complaint(path / name, None, f"no such file{near_miss(name, names)}"))
    for name in names:
        if name in skipped:
            continue
        if key_kind(name):
            table, wrong = scan(path / name)
            complaints += wrong
            if table.entries:
                tables[name] = _shared(table, tables)
        elif is_known(name):
            extras[name] = (path / name).read_bytes()
    return DataDir(path, tables, extras), complaints


def _shared(table: Table, others: Tables) -> Table:
    """The same table on the key objects of one that was read before: most have the same, and millions of them."""
    for other in others.values():
        if len(other.entries) == len(table.entries) and list(other.entries) == list(table.entries):
            return Table(table.path, dict(zip(other.entries, table.entries.values(), strict=True)))
    return table


def save(tables: Tables, extras: dict[str, bytes], dest: Path) -> None:
    """Write a data dir after all checks. spk2utt is derived from utt2spk.

    A new ``dest`` appears whole. Files of an existing data dir are replaced one by one, those of its known
    files that the new one lacks are removed, and what else lies there stays. Raises InputError if the result
    would not be valid or ``dest`` is something else.
    """
    tables = {**tables, "spk2utt": derive_spk2utt(tables)}
    refuse([*check_values(tables), *check_agreement(tables)], f"{dest}: the result would not be a valid data dir")
    if not os.path.lexists(dest):
        with replace_directory(dest) as new:
            _write(tables, extras, new)
        return
    if not dest.is_dir() or (any(dest.iterdir()) and not (dest / "utt2spk").exists()):
        raise InputError("exists and is not a data dir (it has no utt2spk); not touched", dest)
    with tempfile.TemporaryDirectory(dir=dest, prefix=".new.") as new:
        _write(tables, extras, Path(new))
        for file in dest.iterdir():
            if is_known(file.name) and file.name not in tables and file.name not in extras:
                file.unlink()
        for file in Path(new).iterdir():
            os.replace(file, dest / file.name)


def derive_spk2utt(tables: Tables) -> Table:
    """spk2utt as it follows from utt2spk."""
    lists = {speaker: " ".join(utts) for speaker, utts in utterances_by_speaker(tables).items()}
    return Table(tables["utt2spk"].path.with_name("spk2utt"), lists)


def _write(tables: Tables, extras: dict[str, bytes], folder: Path) -> None:
    for name, table in tables.items():
        write_table(folder / name, table.entries)
    for name, contents in extras.items():
        with replace_file(folder / name, "wb") as file:
            file.write(contents)
