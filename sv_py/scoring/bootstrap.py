"""Confidence intervals, and tests of differences, by resampling speakers.

Trials share speakers, so they are not independent: resampling trials would give intervals that are far too narrow.
Each replicate draws as many speakers as there are, with replacement. A speaker drawn w times brings its target trials
w times, and a non-target trial between speakers drawn v and w times counts v * w times.

Two systems are compared on the same draws: what the choice of speakers does to both then cancels out.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sv_py.cli import InputError, first_few
from sv_py.io.pairs import IdTable, Pairs
from sv_py.io.scores import Scores
from sv_py.io.trials import match_ids
from sv_py.scoring.cllr import costs
from sv_py.scoring.metrics import bayes_thresholds, error_metrics, far_point
from sv_py.scoring.roc import Rates, Roc, roc_of_sorted, weighted_error_rates

_BLOCK = 1 << 21  # weights in memory at once


def speakers_by_table(pairs: Pairs, utt2spk: dict[str, str]) -> np.ndarray:
    """Speaker index of each id of ``pairs``, (len(ids),) int32. An id that is itself a speaker (a model) is allowed."""
    known = {speaker: speaker for speaker in utt2spk.values()} | utt2spk
    names = match_ids(pairs.ids, known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"{len(unknown)} ids of the trials are not in utt2spk: {first_few(unknown)}")
    return IdTable().indices([known[name] for name in names])


def speakers_by_trials(pairs: Pairs, target: np.ndarray) -> np.ndarray:
    """Speaker index of each id of ``pairs`` as the labels tell: ids that target trials connect are one speaker."""
    from scipy.sparse import coo_array  # here, since most callers do without its start-up time
    from scipy.sparse.csgraph import connected_components

    edges = (np.ones(int(target.sum()), bool), (pairs.enrol[target], pairs.test[target]))
    return connected_components(coo_array(edges, shape=(len(pairs.ids),) * 2), directed=False)[1]


class WeightedSums:
    """Sums over trials that count as often as their speakers are drawn.

    ``sides`` (2, N) are the speakers of N trials; ``rows`` (N,) says in which of the ``count`` numbers of trials each
    is counted. With ``costs`` (N,), a last sum is that of all costs. Trials of one pair of speakers in one row are one
    number of a sparse matrix, whose product with the pairs' weights gives the sums of many replicates at once.
    """

    def __init__(self, sides: np.ndarray, rows: np.ndarray, count: int, costs: np.ndarray | None = None):
        from scipy.sparse import coo_array, csr_array, vstack

        first, second = np.sort(sides, axis=0).astype(np.int64)
        second = np.where(first == second, -1, second)  # weight 1: one speaker's trial counts once for each draw of it
        keys, pairs = np.unique(first << 32 | second + 1, return_inverse=True)
        self._first, self._second = keys >> 32, (keys & 0xFFFFFFFF) - 1
        self._matrix = coo_array((np.ones(len(rows)), (rows, pairs)), shape=(count, len(keys))).tocsr()
        if costs is not None:
            self._matrix = vstack([self._matrix, csr_array(np.bincount(pairs, costs)[None])], format="csr")
        self.pairs = len(keys)
        self._weights = np.empty((2, 0, 0))  # kept: fresh memory would take longer than the product

    def __call__(self, drawn: np.ndarray) -> np.ndarray:
        """The sums, a row for each of B replicates; numbers of draws are ``drawn`` (speakers + 1, B), the last 1."""
        shape = (2, self.pairs, drawn.shape[1])
        if self._weights.shape != shape:
            self._weights = np.empty(shape)
        for side, index in zip(self._weights, (self._first, self._second), strict=True):
            np.take(drawn, index, axis=0, out=side, mode="wrap")  # -1 is the last
        self._weights[0] *= self._weights[1]
        return np.ascontiguousarray((self._matrix @ self._weights[0]).T)


def draw_speakers(speakers: int, replicates: int, seed: int, block: int) -> Iterator[np.ndarray]:
    """How often each speaker is drawn, (speakers + 1, B) float64 with a last row of ones, ``block`` replicates at once.

    The draws are the same for every size of the blocks.
    """
    random = np.random.default_rng(seed)
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        drawn = random.multinomial(speakers, np.full(speakers, 1 / speakers), size)
        yield np.vstack([drawn.T.astype(float), np.ones(size)])


class Resampler:
    """The rates of replicates of labelled scores; ``speakers`` (len(ids),) is the speaker index of each id.

    Only speakers of these trials are drawn. If ``calibrated``, the rates have a Cllr.
    """

    def __init__(self, trials: Scores, speakers: np.ndarray, calibrated: bool = False):
        order = np.argsort(trials.scores, kind="stable")
        parts = [order[trials.target[order]], order[~trials.target[order]]]
        scores = [trials.scores[part] for part in parts]
        self.roc: Roc = roc_of_sorted(*scores, bayes_thresholds(calibrated))
        self.speakers, sides = present_speakers(trials, speakers)
        self._steps, self._calibrated = len(self.roc.targets_below) - 1, calibrated
        kinds = zip(parts, scores, (self.roc.targets_below, self.roc.nontargets_below), (True, False), strict=True)
        self._sums = [
            WeightedSums(
                sides[:, part], np.repeat(np.arange(self._steps), np.diff(below)), self._steps,
                costs(values, target) if calibrated else None,
            )
            for part, values, below, target in kinds
        ]  # fmt: skip

    def rates(self, replicates: int, seed: int) -> Iterator[Rates]:
        """The rates, at the points of ``roc``, of each replicate that has trials of both kinds."""
        block = min(16, max(1, _BLOCK // max(sums.pairs for sums in self._sums)))
        for drawn in draw_speakers(self.speakers, replicates, seed, block):
            for sums in zip(*(sums(drawn) for sums in self._sums), strict=True):
                steps = [part[: self._steps] for part in sums]
                totals = [part.sum() for part in steps]
                if all(totals):
                    cllr = float(sums[0][-1] / totals[0] + sums[1][-1] / totals[1]) / 2
                    yield weighted_error_rates(*steps, cllr if self._calibrated else None)


def present_speakers(trials: Pairs, speakers: np.ndarray) -> tuple[int, np.ndarray]:
    """How many speakers the trials have, and the index among them of each trial's sides, (2, N)."""
    sides = speakers[np.stack([trials.enrol, trials.test])]
    present = np.bincount(sides.ravel()) > 0
    return int(present.sum()), (np.cumsum(present) - 1)[sides]


def metric_replicates(
    trials: Scores, speakers: np.ndarray, replicates: int, seed: int, calibrated: bool = False
) -> list[dict]:
    """`error_metrics` of each replicate; those without trials of both kinds are left out."""
    resampler = Resampler(trials, speakers, calibrated)
    return [error_metrics(resampler.roc, rates) for rates in resampler.rates(replicates, seed)]


def intervals(found: Sequence[dict]) -> dict | None:
    """95 % percentile intervals [low, high] in the place of each metric of ``found``; None if there are none."""
    return _each_metric(percentiles, found) if found else None


def percentiles(*values: float) -> list[float]:
    """[2.5 %, 97.5 %] of the values."""
    return np.percentile(values, [2.5, 97.5]).tolist()


def p_values(first: Sequence[dict], second: Sequence[dict]) -> dict | None:
    """Two-sided p-value in the place of each metric that both systems have; None if there are no replicates.

    Replicate k of both has to be of the same draw: the systems have the same trials, speakers and seed. The p-value is
    the level at which the percentile interval of the difference just holds 0 (B. Efron, R. Tibshirani, "An
    Introduction to the Bootstrap", 1993, 15.4), never below 2 / (replicates + 1).
    """

    def difference(*values: float) -> float:
        return p_value(np.subtract(values[: len(first)], values[len(first) :]))

    return _each_metric(difference, [*first, *second]) if first else None


def p_value(differences: np.ndarray) -> float:
    """Two-sided p-value of the bootstrap's ``differences`` (R,); equal systems have 1."""
    rarer = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return min(1.0, float(2 * (1 + rarer) / (1 + len(differences))))


def _each_metric(function: Callable, found: Sequence[dict]) -> dict:
    """``function`` of the values of each metric that all of ``found`` have, in the shape of the first."""
    return {
        key: _each_metric(function, [one[key] for one in found]) if isinstance(value, dict)
        else function(*(one[key] for one in found))
        for key, value in found[0].items()
        if all(key in one for one in found)
    }  # fmt: skip


def det_band(
    trials: Scores, speakers: np.ndarray, fars: Sequence[float], replicates: int, seed: int
) -> np.ndarray | None:
    """95 % band of the false rejection rate at each of ``fars``, (2, len(fars)); None without usable replicates."""
    fars = np.asarray(fars)
    found = [rates.miss[far_point(rates, fars)] for rates in Resampler(trials, speakers).rates(replicates, seed)]
    return np.percentile(found, [2.5, 97.5], axis=0) if found else None
