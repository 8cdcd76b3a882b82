"""Trial lists as corpora bring them: their names become utterance ids, their labels Kaldi's."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from sv_py.cli import InputError

_LABELS = {"1": "target", "0": "nontarget", "target": "target", "nontarget": "nontarget"}


def convert(path: Path, names: Mapping[str, str]) -> Iterator[str]:
    """Lines `enrol test target|nontarget` from lines `enrol test 1|0`; ``names``: the list's names -> utterances.

    Line by line, since lists have millions. Raises InputError with the line for another form and for unknown names.
    """
    if not path.is_file():
        raise InputError("no such trial list", path)
    line = 0
    with open(path, encoding="utf-8", errors="replace") as file:  # what is not UTF-8 is no known name
        for line, text in enumerate(file, 1):
            columns = text.split()
            if len(columns) != 3 or columns[2] not in _LABELS:
                raise InputError(f"expected 'enrol test 1|0', got {text[:80]!r}", path, line)
            enrol, test, label = columns
            try:
                yield f"{names[enrol]} {names[test]} {_LABELS[label]}"
            except KeyError as error:
                raise InputError(f"{error} is not in the corpus", path, line) from None
    if not line:
        raise InputError("is empty", path)
