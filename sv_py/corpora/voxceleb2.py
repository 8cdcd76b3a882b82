"""VoxCeleb2 after its conversion to WAV (steps/convert_audio.sh), dev and test apart or in one tree."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sv_py.corpora.videos import scan_videos
from sv_py.corpora.voxceleb import find_parts, read_meta
from sv_py.data.utterance import Utterance


def scan(folder: Path, lists: Path | None = None) -> Iterator[Utterance]:
    """Every utterance; genders from `vox2_meta.csv` in the corpus's folder or in ``lists``, where it is there.

    In one tree for both parts that file tells them apart, too; without it everything counts as dev.
    """
    meta = read_meta("vox2_meta.csv", [folder, *filter(None, [lists])])
    genders = {speaker: gender for speaker, (gender, _) in meta.items()}
    for part, tree in find_parts(folder, 2):
        for utterance in scan_videos(tree, part=part, genders=genders):
            yield utterance if part else replace(utterance, part=meta.get(utterance.speaker, ("", "dev"))[1])


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """`voxceleb2_dev`, and `voxceleb2_test` where it is there."""
    return {f"voxceleb2_{part}": [u for u in utterances if u.part == part] for part in ("dev", "test")}
