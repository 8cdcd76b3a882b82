"""VoxBlink2 as its scripts crop it: `audio/<speaker>/<video>/<utterance>.wav`, perhaps with `resource/meta/`.

Lhotse has no recipe for it. Speakers get the prefix `vb2-`: their ids are those of VoxBlink with a digit more.
"""

from collections.abc import Iterator
from pathlib import Path

from sv_py.corpora.videos import scan_videos
from sv_py.corpora.voxblink import find_audio, read_genders, read_languages
from sv_py.data.utterance import Utterance


def scan(folder: Path) -> Iterator[Utterance]:
    """Every utterance that was downloaded: the corpus publishes no list of them."""
    resource = folder / "resource"
    return scan_videos(find_audio(folder), "vb2-", genders=read_genders(resource), languages=read_languages(resource))


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """One set, `voxblink2`."""
    return {"voxblink2": utterances}
