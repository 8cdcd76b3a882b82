"""MUSAN (Snyder, Chen and Povey, 2015) through Lhotse's recipe: music, speech and noise to add to other recordings.

The speakers of its speech are not told; as in Kaldi, every recording is a speaker of its own.
"""

from pathlib import Path

from sv_py.cli import InputError
from sv_py.data.utterance import Utterance, check_id, check_path
from sv_py.io.text import read_lines

_PARTS = ("music", "speech", "noise")


def scan(folder: Path) -> list[Utterance]:
    """Every recording; ids are `musan-` and the file's name.

    Raises InputError for another layout, for music that is annotated and not there, and for what Lhotse cannot open.
    """
    from sv_py.data.manifests import recipe_recordings

    for part in _PARTS:
        if not next((folder / part).rglob("*.wav"), None):
            raise InputError(
                f"no WAV in {part}/: not the folder of MUSAN that holds music/, noise/ and speech/", folder
            )
    _check_music(folder / "music")
    return [_utterance(part, recording, path) for part, recording, path in recipe_recordings("musan", folder)]


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """`musan_music`, `musan_speech` and `musan_noise`."""
    return {f"musan_{part}": [u for u in utterances if u.part == part] for part in _PARTS}


def _check_music(folder: Path) -> None:
    """Raise InputError for lines of ANNOTATIONS that Lhotse cannot take, and does not name."""
    lists = sorted(folder.rglob("ANNOTATIONS"))
    if not lists:
        raise InputError("no file ANNOTATIONS in any of its folders", folder)
    for path in lists:
        for line, text in enumerate(read_lines(path, crlf=True, blank=True), 1):
            recording, *rest = text.split() or [""]
            if recording and not (path.parent / f"{recording}.wav").is_file():
                raise InputError(f"{recording}.wav is not here", path, line)
            if recording and len(rest) < 3:
                raise InputError(f"expected 'recording genres Y|N artist', got {text[:80]!r}", path, line)


def _utterance(part: str, recording: str, path: str) -> Utterance:
    name = check_id("utterance id", f"musan-{recording}", path)
    return Utterance(id=name, speaker=name, path=check_path(path, path), origin=(path, None), part=part)
