"""Several training sets as one: their rows one after another, their speakers united by name.

What a row needs in memory is 16 bytes; ids, places and audio stay where the sets have them.
"""

import copy
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate, combinations

import numpy as np

from sv_py.cli import InputError, first_few
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.store import AudioStore, FeatureStore
from sv_py.data.table import UtteranceTable
from sv_py.features.arguments import same_features

_BLOCK = 1 << 16  # ids compared at once
_TRIES = 10  # utterances of which one that can be read tells the dimension


def join(sets: Sequence[FeatureSet | AudioSet], shared: str) -> FeatureSet | AudioSet:
    """The sets as one, of their kind; a single one is itself.

    ``shared``: whether a speaker in two of them is one class (merge) or an error. Raises InputError for that, for an
    utterance in two sets, and for sets whose frames are not made alike.
    """
    first, *others = sets
    if not others:
        return first
    for other in others:
        _check_alike(first, other)
    for one, other in combinations(sets, 2):
        both = np.intersect1d(one.table.speakers, other.table.speakers)
        if len(both) and shared == "error":
            raise InputError(
                f"{len(both)} of its speakers are in {one.store.path}, too: {_names(both)}; "
                "data.shared_speakers: merge makes one class of each",
                other.store.path,
            )
        twice = _common(one.table.utts, other.table.utts)
        if len(twice):
            raise InputError(
                f"{len(twice)} of its utterances are in {one.store.path}, too: {_names(twice)}", other.store.path
            )
    joined = copy.copy(first)
    joined.store = JoinedStore([one.store for one in sets])
    joined.table = joined.store.table
    return joined


def join_roles(
    sets: Mapping[str, FeatureSet | AudioSet], phases: Sequence[Sequence[str]], shared: str
) -> list[FeatureSet | AudioSet]:
    """The sets of each phase, which names their roles, as one; equal unions are made once.

    Raises InputError as `join`, also for sets that no phase has together: a speaker's row of the head is one in all.
    """
    unions = dict.fromkeys([tuple(sets), *map(tuple, phases)])
    joined = {roles: join([sets[role] for role in roles], shared) for roles in unions}
    return [joined[tuple(roles)] for roles in phases]


class JoinedTable:
    """What plans and batches ask of an `UtteranceTable`, for the rows of several ``parts``."""

    def __init__(self, parts: Sequence[UtteranceTable]):
        self.parts = tuple(parts)
        self.firsts = [0, *accumulate(map(len, parts))]  # row of the first utterance of each part, and of all behind
        self.speakers = np.unique(np.concatenate([part.speakers for part in parts]))
        self.speaker = np.concatenate(
            [np.searchsorted(self.speakers, part.speakers).astype(np.int32)[part.speaker] for part in parts]
        )
        behind = accumulate((len(part.shards) for part in parts), initial=0)
        self.shard = np.concatenate([np.int32(first) + part.shard for first, part in zip(behind, parts, strict=False)])
        self.length = np.concatenate([part.length for part in parts])

    def __len__(self) -> int:
        return len(self.speaker)

    def __reduce__(self):
        return JoinedTable, (self.parts,)  # which other processes map into memory

    @cached_property
    def shards(self) -> list[str]:
        """Paths of the arks of all parts."""
        return [shard for part in self.parts for shard in part.shards]

    def utt(self, row: int) -> str:
        """The id of a row."""
        part, row = self.place(row)
        return self.parts[part].utt(row)

    def row(self, utt: str) -> int:
        """The row of an utterance. Raises InputError if there is none of this id."""
        for part, first in zip(self.parts, self.firsts, strict=False):
            if (found := part.find(utt)) is not None:
                return first + found
        raise InputError(f"no utterance '{utt}' in {', '.join(str(part.data_dir) for part in self.parts)}")

    def place(self, row: int) -> tuple[int, int]:
        """Which part a row is of, and the row there."""
        part = bisect_right(self.firsts, row) - 1
        return part, int(row) - self.firsts[part]


class JoinedStore:
    """Reads the rows of a `JoinedTable` from the store that has them."""

    def __init__(self, stores: Sequence[AudioStore | FeatureStore]):
        self._stores = list(stores)
        self.path, self.rate = stores[0].path, getattr(stores[0], "rate", None)
        self.table = JoinedTable([store.table for store in stores])

    def __len__(self) -> int:
        return len(self.table)

    def read(self, row: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """As of the store that has the row."""
        part, row = self.table.place(row)
        return self._stores[part].read(row, start, stop)

    def read_voiced(self, row: int) -> np.ndarray:
        """As of the store that has the row."""
        part, row = self.table.place(row)
        return self._stores[part].read_voiced(row)


def _check_alike(one: FeatureSet | AudioSet, other: FeatureSet | AudioSet) -> None:
    """Raise InputError unless a network can be trained on both."""
    if not same_features(one.id, other.id):
        differ = sorted(set(other.id.splitlines()) - set(one.id.splitlines())) or ["lacks what that says"]
        raise InputError(f"its features are not those of {one.store.path}: {differ[0]}", other.store.path)
    dims = one.feature_dim(_TRIES), other.feature_dim(_TRIES)
    if dims[0] != dims[1]:
        raise InputError(f"its features have {dims[1]} values, those of {one.store.path} {dims[0]}", other.store.path)


def _common(one: np.ndarray, other: np.ndarray) -> list[bytes]:
    """The ids that both of two sorted columns have; neither is copied."""
    found: list[bytes] = []
    for start in range(0, len(other), _BLOCK):
        ids = other[start : start + _BLOCK]
        near = np.searchsorted(one, ids.astype(one.dtype))  # of the column's own type, else all of it is converted
        found += ids[one[np.minimum(near, len(one) - 1)] == ids].tolist()
    return found


def _names(ids: Sequence[bytes]) -> str:
    return first_few(name.decode() for name in ids)
