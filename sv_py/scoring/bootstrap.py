"""Confidence intervals of EER and minDCF by resampling speakers.

Trials share speakers, so they are not independent: resampling trials would give intervals that are far too narrow.
Each replicate draws as many speakers as there are, with replacement. A speaker drawn w times brings its target trials
w times, and a non-target trial between speakers drawn v and w times counts v * w times.
"""

import numpy as np

from sv_py.cli import InputError, first_few
from sv_py.io.pairs import IdTable, Pairs
from sv_py.io.trials import match_ids
from sv_py.scoring.metrics import PRIORS, eer_point, min_dcf_point, rank, weighted_error_rates


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


def intervals(
    pairs: Pairs, scores: np.ndarray, target: np.ndarray, speakers: np.ndarray, replicates: int, seed: int
) -> dict | None:
    """95 % percentile intervals: {"eer": [low, high], "min_dcf": {prior: [low, high]}, "replicates": those used}.

    ``speakers`` is the speaker index of each id. Replicates without target or without non-target trials are not used;
    if that is all of them, None.
    """
    order = np.argsort(scores)
    targets, nontargets = order[target[order]], order[~target[order]]
    ranking = rank(scores[targets], scores[nontargets])
    count = int(speakers.max()) + 1
    target_sides, nontarget_sides = (_weight_indices(pairs, part, speakers, count) for part in (targets, nontargets))

    random = np.random.default_rng(seed)
    drawn = np.ones(count + 1, np.int64)  # the last stays 1
    found = []
    for _ in range(replicates):
        drawn[:-1] = random.multinomial(count, np.full(count, 1 / count))
        weights = [drawn[first] * drawn[second] for first, second in (target_sides, nontarget_sides)]
        if all(part.any() for part in weights):
            rates = weighted_error_rates(ranking, *weights)
            found.append([eer_point(rates)[0], *(min_dcf_point(rates, prior)[0] for prior in PRIORS)])
    if not found:
        return None
    rate, *costs = np.percentile(found, [2.5, 97.5], axis=0).T.tolist()
    by_prior = {str(prior): cost for prior, cost in zip(PRIORS, costs, strict=True)}
    return {"eer": rate, "min_dcf": by_prior, "replicates": len(found)}


def _weight_indices(pairs: Pairs, part: np.ndarray, speakers: np.ndarray, one: int) -> tuple[np.ndarray, np.ndarray]:
    """The speakers whose weights are multiplied; for a second side of the same speaker ``one``, whose weight is 1."""
    enrol, test = speakers[pairs.enrol[part]], speakers[pairs.test[part]]
    return enrol, np.where(enrol == test, one, test)
