"""One table of a data dir: what its name says of it, and a scan that goes on after a mistake to tell all of them."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# Tables of a fixed width: name -> columns. The others hold an id and free text (a path, a transcript).
COLUMNS = {"segments": 4} | dict.fromkeys(
    ("utt2spk", "spk2gender", "utt2dur", "utt2num_frames", "utt2num_samples", "reco2dur", "utt2uniq"), 2
)
_KEYS = {"wav.scp": "reco"} | dict.fromkeys(("segments", "feats.scp", "vad.scp", "audio.scp", "text"), "utt")
_MAPS = re.compile(r"(utt|spk|reco)2[a-z0-9_]+")

_CONTROL = bytes(b for b in range(32) if b != 10) + b"\x7f"
_NOT_SPACE = bytes(b for b in range(256) if b not in b" \n")
_SEPARATOR = re.compile("[ \t]+")  # not str.split: an id with a no-break space must not fall apart unseen
_BLOCK = 1 << 16  # bytes looked at together: no second copy of a large table
_CRLF = "carriage return (CRLF line ends?)"


def key_kind(name: str) -> str | None:
    """What the keys of the file ``name`` are: 'utt', 'spk' or 'reco'; None for a file that is not a table.

    The name says it: `utt2lang`, `spk2age` and `reco2dur` are keyed by utterance, speaker and recording.
    Without segments every utterance is a recording of its own.
    """
    mapping = _MAPS.fullmatch(name)
    return mapping[1] if mapping else _KEYS.get(name)


@dataclass(frozen=True)
class Complaint:
    """Something wrong in a data dir, and where. ``mendable``: fix_data_dir can put it right without guessing."""

    path: Path
    line: int | None
    message: str
    mendable: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.line is None else f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Table:
    """``entries``: id -> the rest of its line, in file order; ``path``: the file it was read from."""

    path: Path
    entries: dict[str, str]

    def select(self, keys: Iterable[str]) -> "Table":
        """The same table with these keys only, in their order."""
        return Table(self.path, {key: self.entries[key] for key in keys})

    def place(self, key: str) -> int | None:
        """The 1-based line of ``key``. The file is read again: only messages ask, so a scan stores no lines."""
        return self._places.get(key)

    @cached_property
    def _places(self) -> dict[str, int]:
        places: dict[str, int] = {}
        for number, line in enumerate(self.path.read_bytes().decode("utf-8-sig").split("\n"), 1):
            places.setdefault(_split(line, 1)[0], number)
        return places


def scan(path: Path, ordered: bool = True) -> tuple[Table, list[Complaint]]:
    """The table in a file and everything that is wrong with its form.

    Entries that can be understood are returned in any case: of two with one id the first.
    """
    return scan_bytes(path.read_bytes(), path, COLUMNS.get(path.name), ordered)


def scan_bytes(data: bytes, path: Path, columns: int | None, ordered: bool = True) -> tuple[Table, list[Complaint]]:
    """As `scan`, of text that was read already; ``path`` is its name in messages."""
    if not data:
        return Table(path, {}), [Complaint(path, None, "is empty")]
    entries = _well_formed(data, columns, ordered)
    if entries is not None:
        return Table(path, entries), []
    if b"\0" in data:
        return Table(path, {}), [Complaint(path, _line_at(data, data.index(b"\0")), "NUL byte (not a text file?)")]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return Table(path, {}), [Complaint(path, _line_at(data, error.start), "not UTF-8")]
    return _scan_lines(text, path, columns, ordered)


def _line_at(data: bytes, position: int) -> int:
    return 1 + data.count(b"\n", 0, position)


def _well_formed(data: bytes, columns: int | None, ordered: bool) -> dict[str, str] | None:
    """The entries of a file without a single mistake; None sends it to the line by line scan.

    Operations on many lines at once: a million lines in about half a second. Values that occur again, as they do
    where there are two columns, are one object.
    """
    if not data.endswith(b"\n") or data.startswith(BOM_UTF8) or len(data.translate(None, _CONTROL)) != len(data):
        return None
    width, lines = columns or 2, data.count(b"\n")
    even = data.translate(None, _NOT_SPACE) == (b" " * (width - 1) + b"\n") * lines  # this many columns on each line
    if not even and (columns is not None or any(pair in data for pair in (b"  ", b" \n"))):
        return None
    entries: dict[str, str] = {}
    seen: dict[str, str] = {}
    for block in _blocks(data):
        try:
            text = block.decode()
        except UnicodeDecodeError:
            return None
        if even:
            fields = text[:-1].replace("\n", " ").split(" ")
            rest = zip(*(fields[column::width] for column in range(1, width)), strict=True)
            values = fields[1::2] if width == 2 else map(" ".join, rest)
        else:
            fields = [field for line in text[:-1].split("\n") for field in line.split(" ", 1)]
            values = fields[1::2]
            if len(fields) != 2 * text.count("\n"):
                return None
        if "" in fields:
            return None
        if columns == 2:
            values = map(seen.setdefault, values, values)
        entries.update(zip(fields[::width], values, strict=True))
    keys = list(entries)
    return None if len(keys) != lines or (ordered and keys != sorted(keys)) else entries


def _blocks(data: bytes) -> Iterable[bytes]:
    """Pieces of whole lines."""
    start = 0
    while start < len(data):
        end = 1 + data.find(b"\n", start + _BLOCK) or len(data)
        yield data[start:end]
        start = end


def _scan_lines(text: str, path: Path, columns: int | None, ordered: bool) -> tuple[Table, list[Complaint]]:
    complaints: list[Complaint] = []
    form: dict[str, list[int]] = {}  # mistakes of form come on every line or none: each is told once, with a count
    if text.startswith("\ufeff"):
        complaints.append(Complaint(path, 1, "byte order mark at the start of the file", mendable=True))
        text = text[1:]
    if not text.endswith("\n"):
        complaints.append(Complaint(path, text.count("\n") + 1, "no newline at the end (cut off?)", mendable=True))
    entries: dict[str, str] = {}
    previous, sorted_so_far = "", True
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        for what in _form(line, columns):
            form.setdefault(what, []).append(number)
        parts = _split(line, 1)
        if len(parts) < 2:
            if parts[0]:
                complaints.append(Complaint(path, number, f"expected 'id value', got {line[:80]!r}"))
            continue
        key, value = parts
        if columns is not None:
            fields = _split(value)
            value = " ".join(fields)
            if len(fields) != columns - 1:
                complaints.append(Complaint(path, number, f"{len(fields) + 1} columns instead of {columns}"))
                continue
        if key in entries:
            same = entries[key] == value
            what = f"'{key}' a second time" + ("" if same else f", with another value: '{value[:80]}'")
            complaints.append(Complaint(path, number, what, mendable=same))
            continue
        if ordered and sorted_so_far and key < previous:
            sorted_so_far = False
            what = f"'{key}' after '{previous}': not sorted (use LC_ALL=C sort)"
            complaints.append(Complaint(path, number, what, mendable=True))
        entries[key], previous = value, key
    for what, lines in form.items():
        more = f", here and on {len(lines) - 1} more lines" if len(lines) > 1 else ""
        complaints.append(Complaint(path, lines[0], what + more, mendable=not what.startswith("control")))
    complaints.sort(key=lambda complaint: complaint.line or 0)
    return Table(path, entries), complaints


def _form(line: str, columns: int | None) -> Iterable[str]:
    """What is wrong with the white space of a line."""
    if line.endswith("\r"):
        yield _CRLF
        line = line[:-1]
    if not line.strip(" \t"):
        yield "blank line"
        return
    if "\t" in line:
        yield "tab; columns are separated by one space"
    if any((ord(c) < 32 and c != "\t") or c == "\x7f" for c in line):
        yield "control character"
    if line != line.strip(" "):
        yield "space at the start or end of the line"
    line = line.strip(" ")
    if "  " in line if columns is not None else line.partition(" ")[2].startswith(" "):
        yield "two spaces; columns are separated by one"


def _split(line: str, times: int = 0) -> list[str]:
    return _SEPARATOR.split(line.strip(" \t\r"), times)
