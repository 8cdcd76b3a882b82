"""VoxCeleb1 in its distribution's layout, dev and test apart or in one tree; `voxceleb` says what is Lhotse's."""

from collections.abc import Iterator
from pathlib import Path

from sv_py.corpora.videos import scan_videos
from sv_py.corpora.voxceleb import find_parts, read_meta
from sv_py.data.utterance import Utterance

_TEST_SPEAKERS = {f"id{number}" for number in range(10270, 10310)}  # those whose names begin with E


def scan(folder: Path, lists: Path | None = None) -> Iterator[Utterance]:
    """Every utterance; genders from `vox1_meta.csv` in the corpus's folder or in ``lists``, where it is there."""
    meta = read_meta("vox1_meta.csv", [folder, *filter(None, [lists])])
    genders = {speaker: gender for speaker, (gender, _) in meta.items()}
    for part, tree in find_parts(folder, 1):
        yield from scan_videos(tree, part=part, genders=genders)


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """`voxceleb1_dev`, `voxceleb1_test` (the 40 speakers of Vox1-O) and, for Vox1-E and Vox1-H, both: `voxceleb1`."""
    sets = {
        "voxceleb1_dev": [u for u in utterances if u.speaker not in _TEST_SPEAKERS],
        "voxceleb1_test": [u for u in utterances if u.speaker in _TEST_SPEAKERS],
    }
    return {**sets, "voxceleb1": utterances if all(sets.values()) else []}
