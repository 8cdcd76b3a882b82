"""Error rates by what is known of both sides of a trial: gender, corpus, duration, or any other attribute."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sv_py.cli import InputError, first_few
from sv_py.io.scores import Scores
from sv_py.io.trials import match_ids
from sv_py.scoring.bootstrap import (
    WeightedSums,
    draw_speakers,
    intervals,
    metric_replicates,
    percentiles,
    present_speakers,
)
from sv_py.scoring.metrics import error_metrics, find_points

SAME, CROSS = "same", "cross"
_MOST = 100  # values of an attribute; of more, such as speakers, the intervals would take long and say little
_BLOCK = 32  # replicates at once


@dataclass(frozen=True)
class Attribute:
    """What a table tells of utterances, or of their speakers.

    With ``edges``, ascending, values are seconds and fall into the bins between; an edge opens the upper bin.
    """

    name: str
    table: Mapping[str, str]
    edges: tuple[float, ...] = ()

    def groups(self, trials: Scores, utt2spk: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        """The name of each group with trials, and which trials (N,) it has.

        Of values: one group for each that both sides have, and where sides differ also all "same" and all "cross"
        pairs. Of bins: one for each pair of bins, in any order. None if no id has a value. Where no enrolled model
        has one, that of the test side counts. Raises InputError for other ids without a value.
        """
        labels, codes = self._codes(trials.ids, utt2spk)
        if (codes < 0).all():
            return
        enrol, test = codes[trials.enrol], codes[trials.test]
        if (enrol < 0).all():
            enrol = test
        if enrol.min() < 0 or test.min() < 0:
            used = np.unique(np.concatenate([trials.enrol[enrol < 0], trials.test[test < 0]]))
            raise InputError(
                f"{len(used)} ids of the trials have no {self.name}: {first_few(trials.ids[k] for k in used)}"
            )
        for name, mask in self._pairs(labels, enrol, test):
            if mask.any():
                yield name, mask

    def _codes(self, ids: list[str], utt2spk: Mapping[str, str]) -> tuple[list[str], np.ndarray]:
        """The labels, and the index of the label of each id: -1 without one."""
        speakers = {speaker: speaker for speaker in utt2spk.values()} | dict(utt2spk)
        names = match_ids(ids, self.table.keys() | speakers.keys())
        values = [self.table.get(name, self.table.get(speakers.get(name, ""))) for name in names]
        if self.edges:
            labels, index = self._bins(), lambda value: bisect_right(self.edges, float(value))
        else:
            labels = sorted({value for value in values if value is not None})
            index = {label: k for k, label in enumerate(labels)}.__getitem__
            if len(labels) > _MOST:
                raise InputError(f"{len(labels)} values of {self.name} in the trials, and at most {_MOST} make groups")
            if wrong := {SAME, CROSS} & set(labels):
                raise InputError(f"'{min(wrong)}' is a value of {self.name}, and the name of another group")
        return labels, np.array([-1 if value is None else index(value) for value in values])

    def _bins(self) -> list[str]:
        inner = [f"{low:g}-{high:g} s" for low, high in pairwise(self.edges)]
        return [f"< {self.edges[0]:g} s", *inner, f">= {self.edges[-1]:g} s"]

    def _pairs(self, labels: list[str], enrol: np.ndarray, test: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        equal = enrol == test
        for k, label in enumerate(labels):
            yield label, equal & (enrol == k)
            for other in range(k + 1, len(labels) if self.edges else 0):
                yield f"{label} / {labels[other]}", (np.minimum(enrol, test) == k) & (np.maximum(enrol, test) == other)
        if not self.edges and not equal.all():
            yield SAME, equal
            yield CROSS, ~equal


def break_down(
    trials: Scores, groups: Iterator[tuple[str, np.ndarray]], threshold: float, speakers: np.ndarray,
    replicates: int, seed: int, calibrated: bool,
) -> dict[str, dict]:  # fmt: skip
    """The metrics of each group, and its error rates "frr" and "far" at the one ``threshold`` of all.

    Groups with one kind of trials, as those across genders, have only one of the latter. Intervals are those of
    speakers of the group.
    """
    found = {}
    for name, mask in groups:
        columns = (trials.enrol, trials.test, trials.scores, trials.target)
        part = Scores(trials.ids, *(column[mask] for column in columns))
        found[name] = _group(part, threshold, speakers, replicates, seed, calibrated)
    return found


def _group(
    trials: Scores, threshold: float, speakers: np.ndarray, replicates: int, seed: int, calibrated: bool
) -> dict:
    kinds = {"frr": (trials.target, trials.scores < threshold), "far": (~trials.target, trials.scores >= threshold)}
    kinds = {name: (kind, wrong[kind]) for name, (kind, wrong) in kinds.items() if kind.any()}
    count, sides = present_speakers(trials, speakers)
    spread = {
        name: _rate_interval(sides[:, kind], wrong, count, replicates, seed) for name, (kind, wrong) in kinds.items()
    }
    targets = int(trials.target.sum())
    found = {"counts": {"target": targets, "nontarget": len(trials) - targets}}
    found |= {name: float(wrong.mean()) for name, (_, wrong) in kinds.items()}
    if len(kinds) == 2:
        found |= error_metrics(*find_points(trials.scores, trials.target, calibrated))
        spread |= intervals(metric_replicates(trials, speakers, replicates, seed, calibrated)) or {}
    return found | {"intervals": {name: interval for name, interval in spread.items() if interval} or None}


def _rate_interval(
    sides: np.ndarray, wrong: np.ndarray, speakers: int, replicates: int, seed: int
) -> list[float] | None:
    """95 % interval of the share of trials (N,) that are ``wrong``, between speakers ``sides`` (2, N)."""
    sums = WeightedSums(sides, wrong.astype(int), 2)
    found = [row for drawn in draw_speakers(speakers, replicates, seed, _BLOCK) for row in sums(drawn) if row.any()]
    return percentiles(*(bad / (good + bad) for good, bad in found)) if found else None
