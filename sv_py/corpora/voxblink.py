"""VoxBlink as its scripts crop it: `audio/<speaker>/<video>/<utterance>.wav`, and their `resource/` with the lists.

Lhotse has no recipe for it. Speakers get the prefix `vb1-`, since VoxCeleb2 and VoxBlink both have an id00012.
"""

from dataclasses import replace
from pathlib import Path

from sv_py.cli import InputError, first_few
from sv_py.corpora.videos import find_tree, scan_videos
from sv_py.data.utterance import Utterance, parse_gender
from sv_py.io.text import read_lines, read_table
from sv_py.log import logger

_PREFIX = "vb1-"
_FULL, _CLEAN, _BOTH = "full", "clean", "full and clean"  # parts: which list names an utterance


def scan(folder: Path) -> list[Utterance]:
    """The utterances of `data/utt_full` or, without it, `data/utt_clean`; without lists all that is there.

    Videos vanish from the platform: what is listed and not there is counted, what is there and not listed left out.
    Raises InputError where nothing that is listed is there, or utt_clean names what utt_full does not.
    """
    resource = folder / "resource" if (folder / "resource").is_dir() else folder
    full, clean = (_read_list(resource / "data" / name) for name in ("utt_full", "utt_clean"))
    if full and not clean <= full:
        raise InputError(f"not in utt_full: {first_few(sorted(clean - full))}", resource / "data/utt_clean")
    listed = full or clean
    part = _CLEAN if clean and not full else _FULL
    labels = {"genders": read_genders(resource), "languages": read_languages(resource)}
    utterances = list(scan_videos(find_audio(folder), _PREFIX, part=part, only=listed or None, **labels))
    if not listed:
        logger.warning("no %s: every file is taken, and no clean set made", resource / "data/utt_full")
        return utterances
    names = [u.id.removeprefix(_PREFIX) for u in utterances]
    lacking = sorted(listed.difference(names))
    if lacking:
        logger.warning("%d of %d listed utterances are not there: %s", len(lacking), len(listed), first_few(lacking))
    if not utterances:
        raise InputError("not one of the listed utterances is there", folder)
    if part == _FULL:
        utterances = [replace(u, part=_BOTH) if n in clean else u for u, n in zip(utterances, names, strict=True)]
    return utterances


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """`voxblink_full` and its part `voxblink_clean`; where only the clean one was downloaded, that alone."""
    return {
        "voxblink_full": [u for u in utterances if u.part in (_FULL, _BOTH)],
        "voxblink_clean": [u for u in utterances if u.part in (_CLEAN, _BOTH)],
    }


def find_audio(folder: Path) -> Path:
    """The folder of speakers. Raises InputError where there is none."""
    tree = find_tree(folder, ("audio", "data/audio", "wav", ""))  # the croppers' guide saves to data/
    if tree is None:
        raise InputError("no audio/idNNNNN here: not the folder that holds the cropped audio", folder)
    return tree


def read_genders(resource: Path) -> dict[str, str]:
    """speaker -> m, f or empty, of `meta/spk2gender` where that is there."""
    path = resource / "meta/spk2gender"
    table = read_table(path, columns=2, ordered=False) if path.is_file() else {}
    return {speaker: parse_gender(value, path, line) for line, (speaker, value) in enumerate(table.items(), 1)}


def read_languages(resource: Path) -> dict[str, str]:
    """speaker -> language, of `meta/spk2lan` where that is there."""
    path = resource / "meta/spk2lan"
    return read_table(path, columns=2, ordered=False) if path.is_file() else {}


def _read_list(path: Path) -> set[str]:
    return {name for line in read_lines(path) for name in line.split()[:1]} if path.is_file() else set()
