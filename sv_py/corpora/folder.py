"""Any folder speaker/[session/]utterance.ext, or a folder with a TSV that says what is what."""

import os
from collections.abc import Iterator
from pathlib import Path

from sv_py.cli import InputError, near_miss
from sv_py.data.utterance import Utterance, check_id, check_path, parse_gender, with_speaker
from sv_py.io.text import read_lines
from sv_py.log import logger


def scan_tree(folder: Path, speaker_prefix: str = "") -> Iterator[Utterance]:
    """Every file two or three levels below ``folder``; ids are ``<speaker>-[<session>-]<stem>``.

    Hidden files are passed over. Raises InputError for files at other depths and names that make no id.
    """
    for speaker in _folders(folder):
        files = [(file, "") for file in _files(speaker)]
        for session in _folders(speaker):
            files += [(file, session.name) for file in _files(session)]
            if deeper := next(_folders(session), None):
                raise InputError("deeper than speaker/session/utterance", deeper)
        for file, session in files:
            name = speaker_prefix + speaker.name
            yield Utterance(
                id=check_id("utterance id", "-".join(filter(None, (name, session, file.stem))), file),
                speaker=check_id("speaker id", name, file),
                path=check_path(str(file), file),
                origin=(file, None),
                session=session,
            )


def scan_tsv(folder: Path, tsv: Path, speaker_prefix: str = "") -> Iterator[Utterance]:
    """The rows of a tab-separated table with a header.

    Columns: utt-id (or utt), speaker, file (relative to ``folder``); optional session, gender, part; more are ignored.
    Raises InputError that names the line.
    """
    lines = read_lines(tsv, crlf=True)
    header = lines[0].split("\t")
    place = {column: i for i, column in enumerate(header)}
    if len(place) < len(header):
        raise InputError(f"a column name occurs twice: {', '.join(header)}", tsv, 1)
    utt_column = "utt" if "utt" in place else "utt-id"
    for column in (utt_column, "speaker", "file"):
        if column not in place:
            raise InputError(f"no column '{column}' among {', '.join(header)}{near_miss(column, header)}", tsv, 1)
    if len(lines) == 1:
        raise InputError("a header and no rows", tsv, 1)

    prefixed = 0
    for number, line in enumerate(lines[1:], 2):
        row = line.split("\t")
        if len(row) != len(header):
            raise InputError(f"{len(row)} columns instead of {len(header)}", tsv, number)
        given = check_id("utterance id", row[place[utt_column]], tsv, number)
        speaker = check_id("speaker id", row[place["speaker"]], tsv, number)
        utterance = with_speaker(given, speaker)
        prefixed += utterance != given
        optional = {key: row[place[key]] for key in ("session", "part") if key in place}
        if not row[place["file"]]:
            raise InputError("no file", tsv, number)
        yield Utterance(
            id=check_id("utterance id", speaker_prefix + utterance, tsv, number),
            speaker=speaker_prefix + speaker,
            path=check_path(os.path.join(folder, row[place["file"]]), tsv, number),
            origin=(tsv, number),
            gender=parse_gender(row[place["gender"]], tsv, number) if "gender" in place else "",
            **optional,
        )
    if prefixed:
        logger.info("%d utterance ids of %s get their speaker as prefix", prefixed, tsv)


def only_tsv(folder: Path) -> Path | None:
    """The one TSV that lies in ``folder``, if there is exactly one."""
    found = sorted(folder.glob("*.tsv"))
    return found[0] if len(found) == 1 else None


def _folders(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith("."))


def _files(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.iterdir()) if not p.is_dir() and not p.name.startswith("."))
