"""3D-Speaker (Zheng et al., 2023), https://3dspeaker.github.io: audio in train/ and test/, tables in files/.

Lhotse has no recipe. Utterances are `3D_SPK_06154_001_Device03_Distance00_Dialect00`. Device09 is left out, as in the
corpus's own recipes.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from sv_py.cli import InputError
from sv_py.corpora.trials import convert
from sv_py.data.utterance import Utterance, check_id, check_path, with_speaker
from sv_py.io.text import read_table

_PARTS = ("train", "test")
_CONDITIONS = ("device", "distance", "dialect")
_LEFT_OUT = "Device09"


def scan(folder: Path) -> Iterator[Utterance]:
    """The utterances of train_wav.scp and test_wav.scp. Raises InputError for another layout and unlisted speakers."""
    tables = _tables(folder)
    for part in _PARTS:
        wav_scp, utt2spk = tables / f"{part}_wav.scp", tables / f"{part}_utt2spk"
        wavs = read_table(wav_scp, columns=2, ordered=False)
        speakers = read_table(utt2spk, columns=2, ordered=False)
        base = _base(folder, part, next(iter(wavs.values())))
        for line, (utt, wav) in enumerate(wavs.items(), 1):
            if _LEFT_OUT in utt:
                continue
            if utt not in speakers:
                raise InputError(f"utterance {utt} is not in {utt2spk}", wav_scp, line)
            speaker = check_id("speaker id", speakers[utt], utt2spk)
            yield Utterance(
                id=check_id("utterance id", with_speaker(utt, speaker), wav_scp, line),
                speaker=speaker,
                path=check_path(str(base / wav.lstrip("/")), wav_scp, line),
                origin=(wav_scp, line),
                part=part,
            )


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """The corpus's own split: `3dspeaker_train` and `3dspeaker_test`, without a speaker in both."""
    tested = {u.speaker for u in utterances if u.part == "test"}
    for u in utterances:
        if u.part == "train" and u.speaker in tested:
            raise InputError(f"speaker {u.speaker} is in train and in test", *u.origin)
    return {f"3dspeaker_{part}": [u for u in utterances if u.part == part] for part in _PARTS}


def trials(folder: Path, sets: dict[str, list[Utterance]]) -> dict[str, Callable[[], Iterable[str]]]:
    """`3dspeaker_test/trials_cross_device`, `_distance` and `_dialect`."""
    tables = _tables(folder)
    names = {u.id: u.id for u in sets["3dspeaker_test"]}
    return {
        f"3dspeaker_test/trials_cross_{condition}": partial(convert, tables / f"trials_cross_{condition}", names)
        for condition in _CONDITIONS
    }


def _tables(folder: Path) -> Path:
    """Where the tables are: in files/, or beside train/ and test/ if their archive was unpacked there."""
    for place in (folder / "files", folder):
        if (place / "train_wav.scp").is_file():
            return place
    raise InputError("no files/train_wav.scp here: not the folder of 3D-Speaker", folder)


def _base(folder: Path, part: str, wav: str) -> Path:
    """What the paths of a table are relative to: releases differ in whether they begin with train/ and test/."""
    inside = folder / part
    return inside if (inside / wav.lstrip("/")).is_file() else folder
