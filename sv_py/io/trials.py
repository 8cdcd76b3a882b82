"""Trial lists: Kaldi's `enrol test target|nontarget`, VoxCeleb's `1|0 enrol test`, others' `enrol test 1|0`."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from sv_py.cli import InputError, first_few, near_miss
from sv_py.io.pairs import LABELS, IdTable, Pairs, column_blocks, count_repeated
from sv_py.io.text import line_blocks, read_table

MODELS = "enrol_spk2utt"  # table of a test set, where trials enrol models: `model utt...`


@dataclass(frozen=True)
class Trials(Pairs):
    """Pairs with labels: ``target`` is a bool array (N,). ``repeated`` lines name an earlier pair once more."""

    target: np.ndarray
    repeated: int = 0


@dataclass(frozen=True)
class _Format:
    name: str
    labels: dict[str, bool]
    label: int  # column of the label; the ids are the other two, in order


_KALDI = _Format("enrol test target|nontarget", LABELS, 2)
_VOXCELEB = _Format("1|0 enrol test", {"1": True, "0": False}, 0)
_LABEL_LAST = _Format("enrol test 1|0", _VOXCELEB.labels, 2)
_FORMATS = (_KALDI, _VOXCELEB, _LABEL_LAST)


class _Reading:
    """The file as read in one format, as long as every line agrees with it."""

    def __init__(self, form: _Format):
        self.form = form
        self.ids = IdTable()
        self.blocks: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def take(self, columns: list[tuple[str, ...]]) -> bool:
        """Add a block; False if a label in it is not one of this format."""
        *sides, labels = (*(c for k, c in enumerate(columns) if k != self.form.label), columns[self.form.label])
        if not self.form.labels.keys() >= set(labels):
            return False
        target = np.fromiter(map(self.form.labels.__getitem__, labels), bool, len(labels))
        self.blocks.append((self.ids.indices(sides[0]), self.ids.indices(sides[1]), target))
        return True


def read_trials(path: str | Path) -> Trials:
    """Read a trial list of any of the formats. The whole file decides which: every line must agree with it.

    Ids stay as written, trials in the order of the file. Raises InputError with the line for another number of columns,
    an unknown label, mixed formats, a pair with contradicting labels; and for a file that can be read in two ways.
    """
    readings = [_Reading(form) for form in _FORMATS]
    for _, columns in column_blocks(path, "' or '".join(form.name for form in _FORMATS), (3,)):
        readings = [reading for reading in readings if reading.take(columns)]
        if not readings:
            raise _disagreement(path)
    if len(readings) > 1:
        raise InputError(
            f"every line can be read as {' and as '.join(repr(reading.form.name) for reading in readings)}: "
            "rename the utterances called 0, 1, target or nontarget",
            path,
        )
    enrol, test, target = (np.concatenate(part) for part in zip(*readings[0].blocks, strict=True))
    pairs = Pairs(list(readings[0].ids), enrol, test)
    return Trials(pairs.ids, enrol, test, target, count_repeated(pairs, target, path))


def _disagreement(path: str | Path) -> InputError:
    """The error for a file that is of neither format: the first line that rules out the last candidate."""
    possible = list(_FORMATS)
    lines = (pair for first, block in line_blocks(path) for pair in enumerate(block, first))
    for number, line in lines:
        columns = line.split()
        fits = [form for form in _FORMATS if columns[form.label] in form.labels]
        if not fits:
            label = columns[(possible[0] if len(possible) == 1 else _KALDI).label]
            forms = " or ".join(f"'{form.name}'" for form in possible)
            return InputError(f"expected {forms}, got {line[:80]!r}{near_miss(label, LABELS)}", path, number)
        remaining = [form for form in possible if form in fits]
        if not remaining:
            message = f"two formats in one file: '{fits[0].name}' here, '{possible[0].name}' above"
            return InputError(message, path, number)
        possible = remaining
    raise AssertionError("called for a file that has a format")


def read_models(folder: Path) -> dict[str, list[str]]:
    """The models that the trials of a data dir enrol, each with its utterances; none where it does not list any."""
    path = folder / MODELS
    return {model: utts.split() for model, utts in read_table(path).items()} if path.exists() else {}


def as_utterance(name: str) -> str:
    """The utterance id of a file that a list names: `id10270/x6uYqmx31kE/00001.wav` -> `id10270-x6uYqmx31kE-00001`."""
    return str(PurePosixPath(name).with_suffix("")).replace("/", "-")


def match_ids(ids: Sequence[str], known: Container[str]) -> list[str]:
    """``ids`` of a trial list as ``known`` (a data dir) writes them.

    VoxCeleb's lists name files, `id10270/x6uYqmx31kE/00001.wav`; its data dirs have `id10270-x6uYqmx31kE-00001`.
    If some id is unknown as written, but all are known without extension and with '-' for '/', those are returned.
    """
    if all(name in known for name in ids):
        return list(ids)
    mapped = [as_utterance(name) for name in ids]
    return mapped if all(name in known for name in mapped) else list(ids)


def look_up(
    trials: Trials, known: Container[str], path: str | Path, sides: Sequence[str] = ("enrol", "test")
) -> tuple[list[str], np.ndarray]:
    """The distinct names on the ``sides`` of the trials, as ``known`` writes them, and each trial's row among them.

    The rows are an array (len(sides), N). Raises InputError that lists the first few names that are not known.
    """
    index = np.stack([getattr(trials, side) for side in sides])
    used = np.zeros(len(trials.ids), bool)
    used[index] = True
    names = match_ids([trials.ids[k] for k in np.flatnonzero(used).tolist()], known)
    rows = (np.cumsum(used, dtype=np.int32) - 1)[index]
    unknown = np.fromiter((name not in known for name in names), bool, len(names))
    if unknown.any():
        line = int(np.flatnonzero(unknown[rows].any(axis=0))[0]) + 1
        listed = first_few(name for name, bad in zip(names, unknown, strict=True) if bad)
        raise InputError(f"{unknown.sum()} of the {len(names)} ids in the trials are unknown: {listed}", path, line)
    return names, rows


def check_known(trials: Trials, known: Container[str], path: str | Path, models: Container[str] | None = None) -> None:
    """Raise InputError if a trial names an utterance that is not in ``known``, listing the first few.

    ``models`` are the names on the enrolment side, where those are not utterances.
    """
    if models is None:
        look_up(trials, known, path)
    else:
        look_up(trials, models, path, ["enrol"])
        look_up(trials, known, path, ["test"])
