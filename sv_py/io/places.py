"""The values of scps: `path.ark:1234`, an entry at a byte of an ark, or audio files of many kinds."""

import re

from sv_py.cli import InputError

FFMPEG_SUFFIXES = (".m4a", ".m4b", ".mp4", ".aac", ".3gp", ".amr", ".mkv", ".mov", ".webm", ".wma")
_IN_ARK = re.compile(r"(.+\.ark):\d+")


def split_place(place: str, key: str = "") -> tuple[str, int]:
    """Path and byte offset of a scp value. Raises InputError for a pipe, which is never run."""
    path, colon, offset = place.rpartition(":")
    if not colon or not offset.isdecimal():
        path, offset = place, 0
    if path.rstrip().endswith("|") or path.startswith("|"):
        raise InputError(f"{key}: pipes are not run: {place}")
    return path, int(offset)


def ark_of(source: str) -> str | None:
    """The ark of a wav.scp value that is a place in one; None for a file or a command."""
    found = _IN_ARK.fullmatch(source)
    return found and found[1]


def needs_ffmpeg(path: str) -> bool:
    """Whether libsndfile does not know files of this name, so that ffmpeg has to decode them."""
    return path.lower().endswith(FFMPEG_SUFFIXES)
