"""Lhotse manifests of a corpus, and the way from them to a Kaldi data dir and back.

A set NAME has NAME_recordings.jsonl.gz and NAME_supervisions.jsonl.gz, read and written item by item. The data dir
is written here and not by Lhotse's Kaldi export, which makes no spk2utt and writes "None" for texts that are missing.
This is the only module that imports Lhotse; its recipes are called here, too.
"""

import gzip
import importlib
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from lhotse.audio import AudioSource, Recording
from lhotse.lazy import LazyManifestIterator
from lhotse.supervision import SupervisionSegment

from sv_py.cli import InputError, first_few
from sv_py.data.headers import headers
from sv_py.data.utterance import Genders, Utterance, check_id, check_path, parse_gender, with_speaker
from sv_py.io.atomic import replace_directory, replace_file
from sv_py.io.data_dir import check
from sv_py.io.text import invert, read_table, write_table
from sv_py.log import logger

Item = TypeVar("Item", Recording, SupervisionSegment)

_TOLERANCE = 1e-3  # seconds; Lhotse's own: it floors durations that it takes from Kaldi to milliseconds
# Every table that depends on the manifests, in the order of writing: a reader takes utt2spk as the sign of a whole dir.
_TABLES = ("wav.scp", "segments", "utt2dur", "utt2lang", "spk2gender", "spk2utt", "utt2spk")


def recipe_recordings(recipe: str, folder: Path, **options: object) -> list[tuple[str, str, str]]:
    """(part, recording, path) of everything that Lhotse's ``recipe`` (its module's name) finds in ``folder``, sorted.

    Raises InputError for whatever the recipe raises: it opens every file, and its assertions are about the corpus.
    """
    prepare = getattr(importlib.import_module(f"lhotse.recipes.{recipe}"), f"prepare_{recipe}")
    try:
        manifests = prepare(folder, **options)
    except Exception as error:  # the exceptions of somebody else's code have nothing else in common
        raise InputError(f"Lhotse's recipe {recipe}: {_first_line(error)}", folder) from None
    return sorted(
        (part, recording.id, recording.sources[0].source)
        for part, found in manifests.items()
        for recording in found["recordings"]
    )


def _first_line(error: Exception) -> str:
    """Of its message; its name where it has none, as a bare assertion."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def manifest_paths(folder: Path, name: str) -> tuple[Path, Path]:
    """Where the recordings and the supervisions of the set ``name`` lie."""
    return folder / f"{name}_recordings.jsonl.gz", folder / f"{name}_supervisions.jsonl.gz"


def write_manifests(utterances: Iterable[Utterance], folder: Path, name: str) -> tuple[Path, Path]:
    """Write one recording and one supervision per utterance; the same utterances always give the same bytes."""
    utterances = sorted(utterances, key=lambda u: u.id)
    paths = manifest_paths(folder, name)
    _write_items(paths[0], (_recording(u.id, u.path, u.sampling_rate, u.num_samples) for u in utterances))
    supervisions = (
        SupervisionSegment(
            id=u.id,
            recording_id=u.id,
            start=0.0,
            duration=u.num_samples / u.sampling_rate,
            speaker=u.speaker,
            gender=u.gender or None,
            language=u.language or None,
            custom={"session": u.session} if u.session else None,
        )
        for u in utterances
    )
    _write_items(paths[1], supervisions)
    return paths


def data_dir_to_manifests(data_dir: Path, folder: Path, name: str) -> tuple[Path, Path]:
    """Write the manifests of a data dir whose wav.scp names audio files; lengths come from the files' headers.

    A segment that ends some milliseconds behind its recording, as times of two decimals do, is cut at the end.
    """
    check(data_dir, feats=False)
    wav_scp = read_table(data_dir / "wav.scp")
    utt2spk = read_table(data_dir / "utt2spk", columns=2)
    genders = read_table(data_dir / "spk2gender", columns=2) if (data_dir / "spk2gender").exists() else {}
    recordings, bad = {}, []
    for (key, path), (header, problem) in zip(wav_scp.items(), headers(list(wav_scp.values())), strict=True):
        if problem:
            bad.append(f"{path}: {problem}")
        else:
            recordings[key] = _recording(key, check_path(path), header.sampling_rate, header.num_samples)
    if bad:
        raise InputError(f"{len(bad)} of {len(wav_scp)} files cannot be used: {first_few(bad)}", data_dir / "wav.scp")

    if (data_dir / "segments").exists():
        rows = (
            (utt, recording, float(start), float(end))
            for utt, value in read_table(data_dir / "segments", columns=4).items()
            for recording, start, end in [value.split()]
        )
    else:
        rows = ((utt, utt, 0.0, math.inf) for utt in wav_scp)
    supervisions = (
        SupervisionSegment(
            id=utt,
            recording_id=recording,
            start=start,
            duration=round(min(end, recordings[recording].duration) - start, 8),
            speaker=utt2spk[utt],
            gender=genders.get(utt2spk[utt]),
        )
        for utt, recording, start, end in rows
    )
    folder.mkdir(parents=True, exist_ok=True)
    paths = manifest_paths(folder, name)
    _write_items(paths[0], recordings.values())
    _write_items(paths[1], supervisions)
    return paths


def manifests_to_data_dir(recordings: Path, supervisions: Path, data_dir: Path) -> int:
    """Write the data dir of two manifests and return its number of utterances.

    An existing data dir keeps its other files; those that would not change are not touched.
    Raises InputError that names manifest and line for recordings that are no single mono file, supervisions without
    a speaker or outside their recording, ids that cannot stand in a table, and contradictions.
    """
    audio = _read_recordings(recordings)
    places: dict[str, tuple[str, float, float]] = {}
    utt2spk: dict[str, str] = {}
    languages: dict[str, str] = {}
    genders = Genders()
    whole, prefixed = True, 0
    for line, s in _read_items(supervisions, SupervisionSegment):
        origin = supervisions, line
        if s.recording_id not in audio:
            raise InputError(f"recording {s.recording_id!r} of supervision {s.id!r} is not in {recordings}", *origin)
        if not s.speaker:
            raise InputError(f"supervision {s.id!r} has no speaker", *origin)
        speaker = check_id("speaker id", s.speaker, *origin)
        utt = check_id("utterance id", with_speaker(s.id, speaker), *origin)
        if utt in utt2spk:
            raise InputError(f"supervision {utt!r} a second time", *origin)
        length = audio[s.recording_id][1]
        if not (s.start >= 0 and s.duration > 0 and s.end <= length + _TOLERANCE):
            raise InputError(f"{s.id!r} is {s.start} to {s.end} s of a recording of {length} s", *origin)
        utt2spk[utt] = speaker
        places[utt] = s.recording_id, s.start, s.end
        genders.note(speaker, parse_gender(s.gender, *origin), *origin)
        if s.language:
            languages[utt] = check_id("language", s.language, *origin)
        whole = whole and s.id == s.recording_id and s.start == 0 and length - s.end <= _TOLERANCE
        prefixed += utt != s.id
    if not utt2spk:
        raise InputError("no supervisions", supervisions)
    if prefixed:
        logger.info("%d utterance ids of %s get their speaker as prefix", prefixed, supervisions)

    tables: dict[str, Mapping[str, str]] = {
        "utt2spk": utt2spk,
        "spk2utt": {speaker: " ".join(utts) for speaker, utts in invert(utt2spk).items()},
        "utt2dur": {utt: _seconds(end - start) for utt, (_, start, end) in places.items()},
    }
    if whole:
        tables["wav.scp"] = {utt: audio[recording][0] for utt, (recording, _, _) in places.items()}
    else:
        tables["wav.scp"] = {recording: audio[recording][0] for recording, _, _ in places.values()}
        tables["segments"] = {
            utt: f"{recording} {_seconds(start)} {_seconds(end)}" for utt, (recording, start, end) in places.items()
        }
    known = sum(map(bool, genders.values()))
    if known == len(genders):
        tables["spk2gender"] = genders
    elif known:
        logger.warning("gender of %d among %d speakers only: no %s/spk2gender", known, len(genders), data_dir)
    if len(languages) == len(utt2spk):
        tables["utt2lang"] = languages
    elif languages:
        logger.warning(
            "language of %d among %d utterances only: no %s/utt2lang", len(languages), len(utt2spk), data_dir
        )
    _write_data_dir(data_dir, tables)
    return len(utt2spk)


def _write_data_dir(data_dir: Path, tables: Mapping[str, Mapping[str, str]]) -> None:
    if not data_dir.exists():
        with replace_directory(data_dir) as temporary:
            for name, table in tables.items():
                write_table(temporary / name, table)
        return
    for name in _TABLES:  # a table that stays as it is keeps its time, so that nothing made from it looks old
        path = data_dir / name
        if name not in tables:
            path.unlink(missing_ok=True)
        elif not path.exists() or read_table(path, ordered=False) != tables[name]:
            write_table(path, tables[name])


def _recording(key: str, path: str, sampling_rate: int, num_samples: int) -> Recording:
    return Recording(
        id=key,
        sources=[AudioSource(type="file", channels=[0], source=path)],
        sampling_rate=sampling_rate,
        num_samples=num_samples,
        duration=num_samples / sampling_rate,
    )


def _read_recordings(manifest: Path) -> dict[str, tuple[str, float]]:
    """recording -> (path, seconds)."""
    audio: dict[str, tuple[str, float]] = {}
    for line, r in _read_items(manifest, Recording):
        check_id("recording id", r.id, manifest, line)
        if r.id in audio:
            raise InputError(f"recording {r.id!r} a second time", manifest, line)
        if r.transforms:
            raise InputError(f"{r.id!r} has transforms, which wav.scp cannot say: save the audio first", manifest, line)
        if len(r.sources) != 1 or r.sources[0].type != "file":
            raise InputError(f"{r.id!r} is not one audio file", manifest, line)
        if r.num_channels != 1:
            raise InputError(f"{r.id!r} has {r.num_channels} channels instead of one", manifest, line)
        audio[r.id] = check_path(r.sources[0].source, manifest, line), r.duration
    return audio


def _read_items(manifest: Path, kind: type[Item]) -> Iterator[tuple[int, Item]]:
    """(line, item) of a JSONL manifest, one at a time."""
    if not manifest.is_file():
        raise InputError("no such manifest", manifest)
    if ".jsonl" not in manifest.suffixes:
        raise InputError("not JSONL; make it so with: lhotse copy OLD NEW.jsonl.gz", manifest)
    line = 0
    try:
        for line, item in enumerate(LazyManifestIterator(manifest), 1):
            if not isinstance(item, kind):
                raise InputError(f"a {type(item).__name__} instead of a {kind.__name__}", manifest, line)
            yield line, item
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"not a Lhotse {kind.__name__}: {error}", manifest, line + 1) from None


def _write_items(path: Path, items: Iterable[Recording] | Iterable[SupervisionSegment]) -> None:
    # No name and time in the gzip header: the same items are the same bytes.
    with replace_file(path, "wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
        for item in items:
            file.write(json.dumps(item.to_dict(), ensure_ascii=False).encode() + b"\n")


def _seconds(value: float) -> str:
    """To the microsecond, without trailing zeros."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
