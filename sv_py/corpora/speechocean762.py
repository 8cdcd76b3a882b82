"""speechocean762: its own layout (WAVE/ with Kaldi-style train/ and test/), or any folder with a TSV."""

from collections.abc import Iterator
from pathlib import Path

from sv_py.cli import InputError
from sv_py.corpora.folder import only_tsv, scan_tsv
from sv_py.data.utterance import Utterance, check_id, check_path, parse_gender
from sv_py.io.text import read_table

_PARTS = ("train", "test")


def scan(folder: Path) -> list[Utterance]:
    """Every utterance of the corpus's lists; both layouts give the same ids. Raises InputError for any other layout."""
    if (folder / "train" / "wav.scp").exists():
        return [u for part in _PARTS for u in _scan_kaldi(folder, part)]
    if tsv := only_tsv(folder):
        return list(scan_tsv(folder, tsv))
    raise InputError("neither train/wav.scp nor one TSV here: not the folder of speechocean762", folder)


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """The corpus's own split: `so762_train` and `so762_test`, without a speaker in both."""
    speakers: dict[str, str] = {}
    for u in utterances:
        if u.part not in _PARTS:
            raise InputError(f"part {u.part!r} of {u.id} is neither train nor test", *u.origin)
        if speakers.setdefault(u.speaker, u.part) != u.part:
            raise InputError(f"speaker {u.speaker} is in train and in test", *u.origin)
    return {f"so762_{part}": [u for u in utterances if u.part == part] for part in _PARTS}


def _scan_kaldi(folder: Path, part: str) -> Iterator[Utterance]:
    tables = {name: folder / part / name for name in ("wav.scp", "utt2spk", "spk2gender")}
    # The order of a corpus's own tables need not be that of bytes.
    wavs, speakers, genders = (read_table(path, columns=2, ordered=False) for path in tables.values())
    for line, (utt, wav) in enumerate(wavs.items(), 1):
        origin = tables["wav.scp"], line
        if utt not in speakers:
            raise InputError(f"utterance {utt} is not in {tables['utt2spk']}", *origin)
        speaker = speakers[utt]
        if speaker not in genders:
            raise InputError(f"speaker {speaker} of {utt} is not in {tables['spk2gender']}", *origin)
        yield Utterance(
            id=check_id("utterance id", f"so762-{speaker}-s1-{utt}", *origin),
            speaker=f"so762-{speaker}",
            path=check_path(str(folder / wav), *origin),
            origin=origin,
            gender=parse_gender(genders[speaker], *origin),
            session="s1",
            part=part,
        )
