"""What must hold between a data dir, its shards and their index; and the move of shards to another place."""

import os
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from sv_py.cli import InputError, first_few, near_miss
from sv_py.io.data_dir import refuse
from sv_py.io.data_tables import Complaint
from sv_py.io.open_files import OpenFiles
from sv_py.io.places import ark_of, split_place
from sv_py.io.shard_index import SUFFIX, Shard, read_index, shards_of_folder
from sv_py.io.text import read_table, write_table

SCPS = ("audio.scp", "feats.scp", "vad.scp")  # of which every entry lies in a shard of an index
_MAY_HOLD_PLACES = (*SCPS, "wav.scp")
_UNLISTED = f"in no index of its folder (*{SUFFIX})"


def check_shards(path: Path, checksums: bool) -> tuple[list[Complaint], int]:
    """What is wrong with the shards of an index, of the indexes of a folder, or of a data dir; and how many these are.

    ``checksums``: read all of them instead of comparing sizes. In a data dir every place of its scps is looked at, too.
    Raises InputError for what is none of these, or an index that cannot be read.
    """
    if path.is_file():
        shards, faults = read_index(path), []
    elif any((path / name).exists() for name in SCPS):
        shards, faults = _shards_of_data_dir(path)
    else:
        shards, faults = shards_of_folder(path), []
    if not shards and not faults:
        raise InputError(f"no index (*{SUFFIX}), no folder of one, and no data dir with {' or '.join(SCPS)}", path)
    return [*(fault for shard in shards.values() for fault in shard.faults(checksums)), *faults], len(shards)


def _shards_of_data_dir(path: Path) -> tuple[dict[Path, Shard], list[Complaint]]:
    """The shards that a data dir uses, and what is wrong with its places in them."""
    used: dict[Path, Shard] = {}
    faults: list[Complaint] = []
    listed_in = cache(shards_of_folder)
    files = OpenFiles()
    for scp in (path / name for name in SCPS if (path / name).exists()):
        places = read_table(scp)
        for ark in map(Path, dict.fromkeys(split_place(place, key)[0] for key, place in places.items())):
            if shard := listed_in(ark.parent).get(ark):
                used[ark] = shard
            else:
                faults.append(Complaint(ark, None, f"{_UNLISTED}, but in {scp}"))
        names = cache(_names_in)
        wrong = [key for key, place in places.items() if not _is_at(files, key, place, names)]
        if wrong:
            faults.append(Complaint(scp, None, f"{len(wrong)} entries are not at their places: {first_few(wrong)}"))
    return used, faults


def _is_at(files: OpenFiles, key: str, place: str, names: Callable[[str], dict[int, str]]) -> bool:
    """Whether the entry of ``key`` is at its place: its name stands in front, or, of a data dir that was renamed by a
    prefix or suffix, the name before. Missing arks are told elsewhere.
    """
    path, offset = split_place(place)
    try:
        if _stands(files, key, path, offset):
            return True
        before = names(path).get(offset)
        return before is not None and before in key and _stands(files, before, path, offset)
    except OSError:
        return True


def _stands(files: OpenFiles, key: str, path: str, offset: int) -> bool:
    name = f"{key} ".encode()
    return offset >= len(name) and files.read(path, offset - len(name), len(name) + 1)[:-1] == name


def _names_in(ark: str) -> dict[int, str]:
    """Byte offset -> name of the entries of an ark, by the scp that was written beside it, if it is there."""
    scp = Path(ark).with_suffix(".scp")
    return {split_place(place)[1]: key for key, place in read_table(scp).items()} if scp.exists() else {}


def relocate(data_dir: Path, old: str, new: str) -> dict[str, int]:
    """Rewrite the places in arks under the folder ``old`` to the same arks under ``new``; file -> number of lines.

    Nothing is changed unless every new ark is there with the size that the index beside it says. Each file changes as
    a whole; the call can be repeated after a crash. Raises InputError otherwise.
    """
    old, new = old.rstrip("/"), os.path.abspath(new)  # places are absolute
    tables = {name: read_table(data_dir / name) for name in _MAY_HOLD_PLACES if (data_dir / name).exists()}
    arks = {name: {key: ark_of(place) for key, place in table.items()} for name, table in tables.items()}
    used = {ark for own in arks.values() for ark in own.values() if ark}
    folders, moved = {os.path.dirname(ark) for ark in used}, {ark for ark in used if ark.startswith(f"{old}/")}
    if not moved:
        there = f"they are in {first_few(sorted(folders))}" if folders else "it names no arks"
        raise InputError(f"no ark under {old}{near_miss(old, folders)}; {there}", data_dir)
    _require_whole(Path(new + ark[len(old) :]) for ark in sorted(moved))
    changed = {}
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=".new.") as folder:
        for name, table in tables.items():
            lines = {key: new + place[len(old) :] for key, place in table.items() if arks[name][key] in moved}
            if lines:
                write_table(Path(folder, name), table | lines)
                changed[name] = len(lines)
        for name in changed:
            os.replace(Path(folder, name), data_dir / name)
    return changed


def _require_whole(arks: Iterable[Path]) -> None:
    """Raise InputError that tells what is wrong with ``arks``, by the indexes beside them."""
    listed_in = cache(shards_of_folder)
    faults = []
    for ark in arks:
        shard = listed_in(ark.parent).get(ark)
        faults += shard.faults(checksum=False) if shard else [Complaint(ark, None, _UNLISTED)]
    refuse(faults, "not all shards are in their new place; nothing was changed")
