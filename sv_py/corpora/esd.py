"""ESD, the Emotional Speech Database (Zhou et al., 2021): <speaker>/<emotion>/[train|evaluation|test/]<file>.wav.

Lhotse has no recipe. Speakers 0001 to 0010 speak Mandarin, 0011 to 0020 English; an emotion is taken as a session.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sv_py.cli import InputError
from sv_py.data.utterance import Utterance, check_id, check_path

_PARTS = ("train", "evaluation", "test")
_INNER = ("Emotion Speech Dataset", "Emotional Speech Dataset (ESD)", "ESD")  # folders of the archives
_LAST_OF_MANDARIN = 10


def scan(folder: Path) -> Iterator[Utterance]:
    """Every WAV file. Raises InputError for another layout and for files that are not named after their speaker."""
    places = (folder, *(folder / name for name in _INNER))
    speakers = next((found for place in places if (found := _speakers(place))), None)
    if not speakers:
        raise InputError("no folders 0001, 0002... of speakers here: not the folder of ESD", folder)
    for speaker in speakers:
        files = [*speaker.glob("*/[!.]*.wav"), *(f for part in _PARTS for f in speaker.glob(f"*/{part}/[!.]*.wav"))]
        if not files:
            raise InputError("no <emotion>/[train|evaluation|test/]*.wav here", speaker)
        for file in sorted(files):
            yield _utterance(speaker, file)


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """All as `esd`; `esd_train`, `esd_evaluation` and `esd_test`, of the same speakers, where the folders are there."""
    return {"esd": utterances} | {f"esd_{part}": [u for u in utterances if u.part == part] for part in _PARTS}


def _speakers(folder: Path) -> list[Path]:
    return sorted(place for place in folder.glob("*") if re.fullmatch(r"\d{4}", place.name) and place.is_dir())


def _utterance(speaker: Path, file: Path) -> Utterance:
    emotion, *part = file.relative_to(speaker).parts[:-1]
    if not file.stem.startswith(f"{speaker.name}_"):
        raise InputError(f"not named {speaker.name}_<number>.wav after its speaker", file)
    return Utterance(
        id=check_id("utterance id", f"esd-{speaker.name}-{emotion}-{file.stem}", file),
        speaker=f"esd-{speaker.name}",
        path=check_path(str(file), file),
        origin=(file, None),
        language="zh" if int(speaker.name) <= _LAST_OF_MANDARIN else "en",
        session=emotion,
        part="".join(part),
    )
