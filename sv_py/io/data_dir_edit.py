"""New data dirs from old: rename, combine, take a part, split; `data_dir.save` checks and writes the result."""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path

from sv_py.cli import InputError, first_few
from sv_py.io.atomic import replace_directory
from sv_py.io.data_dir import IDENTITIES, DataDir, is_known, is_trials, load, save
from sv_py.io.data_dir_checks import Tables, check_trials, number, recordings, utterances_by_speaker
from sv_py.io.data_tables import Table, key_kind
from sv_py.io.text import read_lines, write_lines

Note = Callable[[str], None]  # takes what the user should know of a result that is as asked, but perhaps not as thought
Parts = tuple[dict[str, Table], dict[str, bytes]]  # tables and extras, as `save` takes them

_DIGESTS = ".source.sha256"


def select(tables: Tables, utts: Iterable[str]) -> dict[str, Table]:
    """The part of the tables that concerns ``utts``, sorted."""
    utts = sorted(utts)
    kept = {name: table.select(utts) for name, table in tables.items() if key_kind(name) == "utt"}
    wanted = {"spk": sorted(set(kept["utt2spk"].entries.values())), "reco": sorted(recordings(kept))}
    for name, table in tables.items():
        if name not in kept:
            kept[name] = table.select(key for key in wanted[key_kind(name)] if key in table.entries)
    return kept


def take(data: DataDir, utts: Iterable[str], note: Note) -> Parts:
    """A part of a data dir. A trial list comes along only if all of its utterances do."""
    tables = select(data.tables, utts)
    left_out = [n for n in data.extras if is_trials(n) and any(check_trials(data.path / n, tables))]
    for name in left_out:
        note(f"not copied: {data.path / name} names utterances outside the part")
    return tables, {name: contents for name, contents in data.extras.items() if name not in left_out}


def rename(data: DataDir, utt: Callable[[str], str], speaker: Callable[[str], str], note: Note) -> Parts:
    """The same data under other utterance and speaker ids. Recordings that are cut into segments keep theirs."""
    utt, speaker = cache(utt), cache(speaker)  # the tables share millions of new ids, as those that were read do
    names = {"utt": utt, "spk": speaker, "reco": (lambda reco: reco) if "segments" in data.tables else utt}
    tables = {}
    for name, table in data.tables.items():
        new = names[key_kind(name)]
        value = speaker if name == "utt2spk" else lambda text: text
        tables[name] = Table(table.path, {new(k): value(v) for k, v in table.entries.items()})
    for name in filter(is_trials, data.extras):
        note(f"not copied: {data.path / name} has the ids before the renaming")
    return tables, {name: contents for name, contents in data.extras.items() if not is_trials(name)}


def combine(sources: Sequence[DataDir], note: Note) -> Parts:
    """All utterances of several data dirs, with the files that all of them have.

    Raises InputError for an utterance in two of them, a speaker or recording with two values, features of different
    front ends, or audio shards of different rate or encoding.
    """
    sources = _with_segments(sources)
    names = {name for source in sources for name in source.tables}
    common = {name for name in names if all(name in source.tables for source in sources)}
    for name in sorted(names - common):
        lacking = [str(source.path) for source in sources if name not in source.tables]
        note(f"not combined: {name}, which is not in {first_few(lacking)}")
    for source in sources:
        for name in filter(is_trials, source.extras):
            note(f"not combined: {source.path / name}")
    order = sorted(common, key=lambda name: (name != "utt2spk", name))  # an utterance in two is told of utt2spk
    tables = {name: _merge(name, [source.tables[name] for source in sources]) for name in order}
    extras: dict[str, bytes] = {}
    for scp, name in IDENTITIES.items():
        if scp in common:
            extras |= _same_make(sources, name)
    return tables, extras


def _with_segments(sources: Sequence[DataDir]) -> list[DataDir]:
    """Beside a source with segments, whole recordings become segments, too."""
    if not any("segments" in source.tables for source in sources):
        return list(sources)
    return [source if "segments" in source.tables else _whole_recordings(source) for source in sources]


def _whole_recordings(source: DataDir) -> DataDir:
    if "utt2dur" not in source.tables:
        raise InputError("no such file; it is needed because other sources have segments", source.path / "utt2dur")
    durations = source.tables["utt2dur"].entries
    segments = Table(source.path / "utt2dur", {utt: f"{utt} 0 {seconds}" for utt, seconds in durations.items()})
    return DataDir(source.path, {**source.tables, "segments": segments}, source.extras)


def _merge(name: str, tables: Sequence[Table]) -> Table:
    merged: dict[str, str] = {}
    for i, table in enumerate(tables):
        for key in sorted(merged.keys() & table.entries.keys()):
            if key_kind(name) == "utt" or merged[key] != table.entries[key]:
                first = next(t for t in tables[:i] if key in t.entries)
                what = f"'{key}' is also in {first.path}:{first.place(key)}"
                if key_kind(name) != "utt":
                    what += f", with the value '{first.entries[key][:80]}'"
                raise InputError(what, table.path, table.place(key))
        merged |= table.entries
    return Table(tables[0].path, dict(sorted(merged.items())))


def _same_make(sources: Sequence[DataDir], name: str) -> dict[str, bytes]:
    """The extra ``name``, which has to be the same in all sources."""
    first = sources[0]
    for other in sources[1:]:
        if other.extras.get(name) != first.extras.get(name):
            raise InputError(f"differs from {first.path / name}: they cannot be mixed", other.path / name)
    return {name: first.extras[name]} if name in first.extras else {}


def choose(data: DataDir, n: int, how: str = "evenly", seed: int = 0) -> list[str]:
    """``n`` utterances, chosen as subset_data_dir.sh does.

    ``how``: 'evenly', 'first', 'last'; 'shortest'; 'per_spk': n of each speaker, or all that it has;
    'speakers': whole speakers in an order given by ``seed`` until there are n utterances or a few more.
    Raises InputError if the data dir has fewer.
    """
    utts, by_speaker = list(data.tables["utt2spk"].entries), utterances_by_speaker(data.tables)
    if how == "per_spk":
        return [utt for own in by_speaker.values() for utt in _evenly(own, min(n, len(own)))]
    if n > len(utts):
        raise InputError(f"has {len(utts)} utterances, not {n}", data.path)
    if how == "speakers":
        order = _shuffled(by_speaker, seed)
        totals = list(accumulate(len(by_speaker[speaker]) for speaker in order))
        return utterances_of(data, order[: bisect_left(totals, n) + 1])
    if how == "shortest":
        return _shortest(data, n)
    return {"first": utts[:n], "last": utts[-n:], "evenly": _evenly(utts, n)}[how]


def choose_speakers(data: DataDir, n: int, seed: int | None) -> list[str]:
    """``n`` of the speakers, at even distances or, with a seed, by chance. Raises InputError if there are fewer."""
    speakers = list(utterances_by_speaker(data.tables))
    if n > len(speakers):
        raise InputError(f"has {len(speakers)} speakers, not {n}", data.path)
    return _evenly(speakers, n) if seed is None else _shuffled(speakers, seed)[:n]


def utterances_of(data: DataDir, speakers: Iterable[str]) -> list[str]:
    """All utterances of these speakers."""
    by_speaker = utterances_by_speaker(data.tables)
    return [utt for speaker in speakers for utt in by_speaker[speaker]]


def _evenly(items: Sequence[str], n: int) -> list[str]:
    return [items[i * len(items) // n] for i in range(n)]


def _shuffled(items: Iterable[str], seed: int) -> list[str]:
    """An order that depends on nothing but the seed and each item: no library's new version changes it."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed} {item}".encode()).digest())


def _shortest(data: DataDir, n: int) -> list[str]:
    for name in ("utt2num_frames", "utt2num_samples", "utt2dur"):
        if name in data.tables:
            lengths = data.tables[name].entries
            return sorted(lengths, key=lambda utt: (number(lengths[utt]), utt))[:n]
    raise InputError(
        "has no utt2num_frames, utt2num_samples or utt2dur, so its shortest utterances are not known", data.path
    )


def read_ids(path: Path, known: Iterable[str], kind: str) -> list[str]:
    """The first column of a list, each a ``kind`` ('speaker', 'utterance') that is ``known``."""
    known = set(known)
    ids: dict[str, None] = {}
    for line_number, line in enumerate(read_lines(path), 1):
        name = line.split(None, 1)[0] if line.strip() else ""
        if name not in known:
            raise InputError(f"the data dir has no {kind} '{name}'", path, line_number)
        ids[name] = None
    return list(ids)


def split(path: Path, n: int, per_utt: bool) -> tuple[Path, bool]:
    """Split a data dir into ``path/splitN/{1..N}`` (``splitNutt`` by utterance), unless that was done already.

    Speakers stay whole and in order; the parts hold about as many utterances. What was done already is known by
    checksums of the source's files. Returns the folder and whether it was made.
    """
    folder = path / f"split{n}{'utt' if per_utt else ''}"
    digests = _digests(path)
    record = folder / _DIGESTS
    if record.exists() and read_lines(record) == digests:
        return folder, False
    data = load(path)
    parts = _split_utts(data, n, per_utt)
    extras = {name: contents for name, contents in data.extras.items() if not is_trials(name)}
    with replace_directory(folder, overwrite=True) as new:
        for job, utts in enumerate(parts, 1):
            save(select(data.tables, utts), extras, new / str(job))
        write_lines(new / _DIGESTS, digests)
    return folder, True


def _digests(path: Path) -> list[str]:
    """Lines of sha256sum for all that is split."""
    names = sorted(file.name for file in path.glob("*") if is_known(file.name) and not is_trials(file.name))
    return [f"{hashlib.sha256((path / name).read_bytes()).hexdigest()}  {name}" for name in names]


def _split_utts(data: DataDir, n: int, per_utt: bool) -> list[list[str]]:
    if per_utt:
        units = [[utt] for utt in data.tables["utt2spk"].entries]
    else:
        units = list(utterances_by_speaker(data.tables).values())
    if len(units) < n:
        advice = "utterances" if per_utt else "speakers; --per-utt splits by utterance"
        raise InputError(f"cannot be split into {n} parts: it has {len(units)} {advice}", data.path)
    totals = list(accumulate(map(len, units)))
    ends = [0]
    for job in range(1, n + 1):  # the nearest speaker to an even share that leaves one for every other part
        share = bisect_left(totals, totals[-1] * job / n) + 1
        ends.append(min(max(share, ends[-1] + 1), len(units) - (n - job)))
    return [[utt for unit in units[a:b] for utt in unit] for a, b in pairwise(ends)]
