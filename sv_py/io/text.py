"""Kaldi's text tables: one entry per line, `key value...`, unique keys, sorted as bytes (LC_ALL=C)."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import count, islice
from pathlib import Path

from sv_py.cli import InputError, first_few
from sv_py.io.atomic import replace_file

_BLOCK = 256  # lines in memory at once: more live lists of their columns would start the garbage collector


def read_lines(path: str | Path, crlf: bool = False, blank: bool = False) -> list[str]:
    """Lines of a UTF-8 text file without their ends; ``crlf``: these may be CRLF, as in tables of a spreadsheet.

    Raises InputError for a missing or empty file, CRLF, bytes that are not UTF-8, NUL, a byte-order mark and, unless
    ``blank``, a blank line.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", path)
    data = path.read_bytes()
    return decode_lines(data.replace(b"\r\n", b"\n") if crlf else data, path, blank)


def line_blocks(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """As `read_lines`, of files of any length: some lines at a time, with the number of the first of them."""
    if not Path(path).is_file():
        raise InputError("no such file", path)
    first = 1
    with open(path, "rb") as file:
        while (data := b"".join(islice(file, _BLOCK))) or first == 1:
            lines = decode_lines(data, path, first=first)
            yield first, lines
            first += len(lines)


def decode_lines(data: bytes, path: str | Path, blank: bool = False, first: int = 1) -> list[str]:
    """As `read_lines`, of bytes that were read already, from line ``first`` of ``path`` on."""
    if not data:
        raise InputError("is empty", path)
    for bad, what in ((b"\r", "carriage return (CRLF line ends?)"), (b"\0", "NUL byte (not a text file?)")):
        if bad in data:
            raise InputError(what, path, first + data[: data.index(bad)].count(b"\n"))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", path, first + data[: error.start].count(b"\n")) from None
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if text[0] == "\ufeff" and first == 1:
        raise InputError("byte-order mark (saved by a Windows editor?)", path, 1)
    if not blank and "" in lines:
        raise InputError("blank line", path, first + lines.index(""))
    return lines


def read_table(path: str | Path, columns: int | None = None, ordered: bool = True) -> dict[str, str]:
    """key -> the rest of its line, in file order.

    ``columns`` is the exact number of columns, if that is fixed; ``ordered`` asks for keys sorted as bytes.
    Raises InputError that names file and line: a missing value, a duplicate or unsorted key, wrong columns.
    """
    return _parse(read_lines(path), path, columns, ordered, count(1))


def read_rows(path: str | Path, rows: range, columns: int | None = None) -> dict[str, str]:
    """As `read_table`, of the lines ``rows`` (0-based) of a long table; the others are not held in memory."""
    if not Path(path).is_file():
        raise InputError("no such file", path)
    with open(path, "rb") as file:
        data = b"".join(islice(file, rows.start, rows.stop, rows.step))
    return _parse(decode_lines(data, path), path, columns, True, count(rows.start + 1, rows.step))


def _parse(
    lines: list[str], path: str | Path, columns: int | None, ordered: bool, numbers: Iterable[int]
) -> dict[str, str]:
    table: dict[str, str] = {}
    previous = ""
    for number, line in zip(numbers, lines, strict=False):
        parts = line.split(None, 1)
        if len(parts) != 2 or line[0].isspace():
            raise InputError(f"expected 'id value', got {line[:80]!r}", path, number)
        key, value = parts[0], parts[1].rstrip()
        if columns is not None and 1 + len(value.split()) != columns:
            raise InputError(f"{1 + len(value.split())} columns instead of {columns}", path, number)
        if key in table:
            raise InputError(f"'{key}' a second time", path, number)
        if ordered and key < previous:
            raise InputError(f"'{key}' after '{previous}': not sorted (use LC_ALL=C sort)", path, number)
        table[key] = value
        previous = key
    return table


def read_counts(path: str | Path) -> dict[str, int]:
    """key -> whole number, as of utt2num_frames. Raises InputError that names file and line."""
    table = read_table(path, columns=2)
    for number, (key, value) in enumerate(table.items(), 1):
        if not (value.isascii() and value.isdecimal()):
            raise InputError(f"'{key}' has a count that is no whole number: '{value}'", path, number)
    return {key: int(value) for key, value in table.items()}


def read_id(path: str | Path) -> dict[str, str]:
    """option -> value of the lines `--option=value` of a feats.id or audio.id. InputError names the line."""
    options = {}
    for number, line in enumerate(read_lines(path), 1):
        name, equals, value = line.removeprefix("--").partition("=")
        if not equals:
            raise InputError(f"expected --option=value, got {line[:80]!r}", path, number)
        options[name] = value
    return options


def require_keys(table: Mapping[str, object], keys: Iterable[str], path: str | Path) -> None:
    """Raise InputError that lists the first few ``keys`` which ``table``, read from ``path``, does not have."""
    lacking = [key for key in keys if key not in table]
    if lacking:
        raise InputError(f"lacks {first_few(lacking)}", path)


def write_table(path: str | Path, table: Mapping[str, object]) -> None:
    """Write `key value` lines, sorted as bytes, atomically."""
    write_lines(path, (f"{key} {table[key]}" for key in sorted(table)))


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write lines atomically."""
    with replace_file(path) as file:
        file.writelines(f"{line}\n" for line in lines)


def invert(utt2spk: Mapping[str, str]) -> dict[str, list[str]]:
    """spk -> its sorted utterances: spk2utt from utt2spk."""
    spk2utt: dict[str, list[str]] = {}
    for utt in sorted(utt2spk):
        spk2utt.setdefault(utt2spk[utt], []).append(utt)
    return dict(sorted(spk2utt.items()))
