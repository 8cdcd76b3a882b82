"""Corpora cut from videos, as VoxCeleb and VoxBlink are: trees <speaker>/<video>/<utterance>.wav."""

import os
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

from sv_py.cli import InputError, first_few
from sv_py.data.utterance import Utterance, check_id, check_path

_AUDIO = (".wav", ".flac")
_COMPRESSED = (".m4a", ".mp4", ".aac")


def find_tree(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of ``folder/<name>`` that holds speakers (folders id...); the empty name is ``folder`` itself."""
    return next((tree for name in names if next((tree := folder / name).glob("id[0-9]*"), None)), None)


def scan_videos(
    tree: Path, prefix: str = "", part: str = "", genders: Mapping[str, str] | None = None,
    languages: Mapping[str, str] | None = None, only: Container[str] | None = None,
) -> Iterator[Utterance]:  # fmt: skip
    """Every WAV and FLAC file, sorted, as `<prefix><speaker>-<video>-<utterance>`; the video is the session.

    ``genders`` and ``languages`` are those of speakers, under their names in the tree; ``only``: just the utterances
    `<speaker>-<video>-<utterance>` in it. Files are not opened and no status is asked for, since there are millions of
    them, perhaps on a network file system. Hidden files and other kinds of files are passed over.
    Raises InputError for compressed audio that has no WAV beside it, and for names that make no id.
    """
    genders, languages = genders or {}, languages or {}
    compressed = []
    for speaker in _folders(tree):
        name = prefix + check_id("speaker id", speaker, tree)
        for video in _folders(tree / speaker):
            folder = f"{tree}/{speaker}/{video}"
            files = [os.path.splitext(file) for file in _files(folder)]
            audio = [(stem, extension) for stem, extension in files if extension.lower() in _AUDIO]
            others = [(stem, extension) for stem, extension in files if extension.lower() in _COMPRESSED]
            converted = {stem for stem, _ in audio}
            compressed += [f"{folder}/{stem}{extension}" for stem, extension in others if stem not in converted]
            for stem, extension in audio:
                if only is not None and f"{speaker}-{video}-{stem}" not in only:
                    continue
                path = f"{folder}/{stem}{extension}"
                yield Utterance(
                    id=check_id("utterance id", f"{name}-{video}-{stem}", path),
                    speaker=name,
                    path=check_path(path, path),
                    origin=(path, None),
                    gender=genders.get(speaker, ""),
                    language=languages.get(speaker, ""),
                    session=video,
                    part=part,
                )
    if compressed:
        suffix = os.path.splitext(compressed[0])[1][1:]
        target = tree.with_name("wav") if tree.name == "aac" else tree
        raise InputError(
            f"{len(compressed)} files are not WAV yet: {first_few(compressed)}; run steps/convert_audio.sh "
            f"--extension {suffix} {tree} {target}",
            tree,
        )


def _folders(folder: str | Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())


def _files(folder: str | Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and not entry.is_dir())
