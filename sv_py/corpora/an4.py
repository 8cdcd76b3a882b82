"""CMU AN4 in its distribution's layout: etc/*.fileids and wav/an4{,test}_clstk/<speaker>/<file>.{sph,wav,flac}."""

from pathlib import Path

from sv_py.cli import InputError, first_few
from sv_py.data.utterance import Utterance, check_id, check_path, parse_gender
from sv_py.io.text import read_lines

_EXTENSIONS = (".sph", ".wav", ".flac")


def scan(folder: Path) -> list[Utterance]:
    """Every utterance of the corpus's lists. Raises InputError for another layout and for missing audio."""
    lists = sorted((folder / "etc").glob("*.fileids"))
    if not lists:
        raise InputError(
            "no etc/*.fileids here: not the folder of the AN4 distribution that holds etc/ and wav/", folder
        )
    utterances, missing = [], []
    for fileids in lists:
        for line, fileid in enumerate(read_lines(fileids), 1):
            parts = fileid.split("/")
            if len(parts) != 3:
                raise InputError(f"expected 'folder/speaker/file', got {fileid!r}", fileids, line)
            for part in parts:
                check_id("name", part, fileids, line)
            part, speaker, stem = parts
            found = (folder / "wav" / f"{fileid}{extension}" for extension in _EXTENSIONS)
            audio = next((file for file in found if file.is_file()), None)
            if audio is None:
                missing.append(fileid)
                continue
            utterances.append(
                Utterance(
                    id=f"an4-{speaker}-s1-{stem}",
                    speaker=f"an4-{speaker}",
                    path=check_path(str(audio), fileids, line),
                    origin=(fileids, line),
                    gender=parse_gender(speaker[0], fileids, line),
                    session="s1",
                    part=part,
                )
            )
    if missing:
        hint = "" if not next(folder.glob("wav/*/*/*.raw"), None) else " (.raw has no header: get the sphere version)"
        raise InputError(f"{len(missing)} listed files are not in wav/: {first_few(missing)}{hint}", folder)
    return utterances


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """All 84 speakers as `an4_all`; the 1st, 3rd, 5th... of the sorted ones as `an4_train`, the others as `an4_test`.

    The corpus's own split has no more than ten test speakers.
    """
    train = set(sorted({u.speaker for u in utterances})[::2])
    return {
        "an4_all": utterances,
        "an4_train": [u for u in utterances if u.speaker in train],
        "an4_test": [u for u in utterances if u.speaker not in train],
    }
