"""Put a data dir right where there is only one way to do so (fix_data_dir)."""

import shutil
from collections.abc import Callable
from pathlib import Path

from sv_py.cli import InputError, first_few
from sv_py.io.atomic import replace_file
from sv_py.io.data_dir import DataDir, derive_spk2utt, is_trials, refuse, scan_data_dir
from sv_py.io.data_dir_checks import Tables, check_agreement, check_trials, check_values
from sv_py.io.data_dir_edit import select
from sv_py.io.data_tables import key_kind
from sv_py.io.text import write_table

Note = Callable[[str], None]


def mend(path: Path, note: Note) -> DataDir:
    """A data dir as it should be; nothing is written. ``note`` takes what was changed and why.

    Tables are sorted, identical repetitions and stray white space dropped, and only those utterances kept that
    every table knows; spk2utt is left to `save`. Raises InputError with all that has no single right answer.
    """
    data, complaints = scan_data_dir(path, ["utt2spk"], ["spk2utt"])
    if "utt2spk" in data.tables:
        complaints += check_values(data.tables)
    why = f"{path}: needs your decision before it can be mended"
    refuse([complaint for complaint in complaints if not complaint.mendable], why)
    for complaint in complaints:
        note(f"mended: {complaint}")
    common = _common(data.tables, note)
    if not common:
        raise InputError("no utterance is in all of its files", path)
    tables = select(data.tables, common)
    _note_unused(data.tables, tables, note)
    left = list(check_agreement(tables))
    for name in filter(is_trials, data.extras):
        left += check_trials(path / name, tables)
    refuse(left, why)
    return DataDir(path, tables, data.extras)


def fix(path: Path, note: Note) -> list[str]:
    """Mend a data dir in place and return the names of the files that changed; the old ones are kept in `.backup`."""
    changed = []
    tables = mend(path, note).tables
    tables["spk2utt"] = derive_spk2utt(tables)
    for name, table in tables.items():
        file = path / name
        new = "".join(f"{key} {value}\n" for key, value in table.entries.items()).encode()
        if file.exists():
            if file.read_bytes() == new:
                continue
            backup = path / ".backup"
            backup.mkdir(exist_ok=True)
            with replace_file(backup / name, "wb") as copy, file.open("rb") as old:
                shutil.copyfileobj(old, copy)
        write_table(file, table.entries)
        changed.append(name)
    return changed


def _common(tables: Tables, note: Note) -> set[str]:
    """The utterances that every table knows."""
    utts = tables["utt2spk"].entries
    common = set(utts)
    for name, table in tables.items():
        if key_kind(name) == "spk":
            continue
        key_of = {}
        if key_kind(name) == "reco" and "segments" in tables:
            key_of = {utt: value.split(" ", 1)[0] for utt, value in tables["segments"].entries.items()}
        lacking = [utt for utt in utts if key_of.get(utt, utt) not in table.entries]
        if lacking:
            note(f"{table.path} lacks {len(lacking)} of {len(utts)} utterances, now dropped: {first_few(lacking)}")
            common.difference_update(lacking)
    return common


def _note_unused(before: Tables, after: Tables, note: Note) -> None:
    for name, table in before.items():
        extra = table.entries.keys() - after[name].entries.keys()
        if key_kind(name) == "utt":
            extra -= before["utt2spk"].entries.keys()  # those in utt2spk were told with the reason
        if extra:
            note(f"{table.path}: {len(extra)} entries without an utterance, now dropped: {first_few(sorted(extra))}")
