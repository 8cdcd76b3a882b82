"""LibriSpeech: its own tree <part>/<speaker>/<chapter>/*.flac with SPEAKERS.TXT, or any folder with a TSV.

Not by Lhotse's recipe: that goes on with a warning where files are missing, passes over recordings without a
transcript, and tells neither gender nor chapter. Where it finds all, it finds the same.
"""

from collections.abc import Iterator
from pathlib import Path

from sv_py.cli import InputError
from sv_py.corpora.folder import only_tsv, scan_tsv
from sv_py.data.utterance import Utterance, check_id, check_path, parse_gender


def scan(folder: Path) -> list[Utterance]:
    """Every utterance below ``folder``; a session is a chapter. Both layouts give ids of one form."""
    if (folder / "SPEAKERS.TXT").is_file():
        return list(_scan_tree(folder))
    if tsv := only_tsv(folder):
        return list(scan_tsv(folder, tsv))
    raise InputError("neither SPEAKERS.TXT nor one TSV here: not the folder of LibriSpeech", folder)


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """One set, `librispeech`."""
    return {"librispeech": utterances}


def _scan_tree(folder: Path) -> Iterator[Utterance]:
    genders = _genders(folder / "SPEAKERS.TXT")
    for file in sorted(folder.glob("*/*/*/*.flac")):
        part, speaker, chapter, _ = file.relative_to(folder).parts
        if not file.stem.startswith(f"{speaker}-{chapter}-"):
            raise InputError(f"not named {speaker}-{chapter}-<utterance>.flac after its folders", file)
        if speaker not in genders:
            raise InputError(f"speaker {speaker} is not in {folder / 'SPEAKERS.TXT'}", file)
        yield Utterance(
            id=check_id("utterance id", f"ls-{speaker}-ch{chapter}-{file.stem}", file),
            speaker=f"ls-{speaker}",
            path=check_path(str(file), file),
            origin=(file, None),
            gender=genders[speaker],
            session=f"ch{chapter}",
            part=part,
        )


def _genders(table: Path) -> dict[str, str]:
    """speaker -> m or f from lines `ID | SEX | SUBSET | MINUTES | NAME`; those that begin with ';' are comments."""
    genders = {}
    for number, line in enumerate(table.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.strip() and not line.startswith(";"):
            fields = [field.strip() for field in line.split("|")]
            if len(fields) < 2:
                raise InputError(f"expected 'ID | SEX | ...', got {line[:80]!r}", table, number)
            genders[fields[0]] = parse_gender(fields[1], table, number)
    return genders
