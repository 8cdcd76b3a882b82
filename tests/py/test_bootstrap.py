"""The speaker bootstrap: who is a speaker, what a replicate is, and whether the intervals cover the truth."""

import math

import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.pairs import Pairs
from sv_py.scoring.bootstrap import intervals, speakers_by_table, speakers_by_trials
from sv_py.scoring.metrics import PRIORS, eer, eer_point, min_dcf, min_dcf_point, rank, weighted_error_rates


def make_trials(random, speakers=30, per_speaker=4, separation=2.5, spread=0.7):
    """All pairs of utterances; speakers differ in how well they are recognised."""
    utts = speakers * per_speaker
    enrol, test = np.triu_indices(utts, 1)
    ease = random.normal(0, spread, speakers)
    i, j = enrol // per_speaker, test // per_speaker
    target = i == j
    noise = math.sqrt(1 - spread**2)  # the scores of all speakers together have variance 1
    mean = np.where(target, separation + ease[i], (ease[i] + ease[j]) / math.sqrt(2))
    pairs = Pairs([f"{k // per_speaker}-{k}" for k in range(utts)], enrol.astype(np.int32), test.astype(np.int32))
    return pairs, mean + random.normal(0, noise, len(enrol)), target, np.arange(utts) // per_speaker


def test_weights_are_the_same_as_repeating_the_trials():
    random = np.random.default_rng(0)
    scores, target = random.integers(0, 15, 200) / 4, random.random(200) < 0.3
    weights = random.integers(0, 4, 200)
    order = np.argsort(scores)
    targets, nontargets = order[target[order]], order[~target[order]]
    ranking = rank(scores[targets], scores[nontargets])
    rates = weighted_error_rates(ranking, weights[targets], weights[nontargets])
    repeated, labels = np.repeat(scores, weights), np.repeat(target, weights)
    assert eer_point(rates)[0] == pytest.approx(eer(repeated, labels), abs=1e-12)
    for prior in PRIORS:
        assert min_dcf_point(rates, prior)[0] == pytest.approx(min_dcf(repeated, labels, prior), abs=1e-12)


def test_a_speaker_drawn_twice_brings_its_target_trials_twice_and_pairs_with_each_other_draw():
    pairs, scores, target, speakers = make_trials(np.random.default_rng(1), speakers=6)
    found = intervals(pairs, scores, target, speakers, replicates=1, seed=5)
    drawn = np.random.default_rng(5).multinomial(6, np.full(6, 1 / 6))
    copies = np.repeat(np.arange(6), drawn)  # the speakers of the replicate, spelt out
    kept, labels = [], []
    for a, first in enumerate(copies):
        for b, second in enumerate(copies):
            if a == b or (a < b and first != second):
                sides = {first, second}
                part = [k for k in range(len(pairs)) if {speakers[pairs.enrol[k]], speakers[pairs.test[k]]} == sides]
                kept.extend(scores[part])
                labels.extend(target[part])
    assert found["eer"][0] == found["eer"][1] == pytest.approx(eer(np.array(kept), np.array(labels)), abs=1e-12)


def test_the_intervals_cover_the_true_eer_about_as_often_as_they_say():
    truth = math.erfc(2.5 / 2 / math.sqrt(2)) / 2
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        low, high = intervals(*make_trials(random), replicates=100, seed=0)["eer"]
        covered += low <= truth <= high
    assert 85 <= covered <= 99  # 95 % in the limit of many speakers


def test_the_seed_decides_all_and_the_order_of_the_trials_nothing():
    pairs, scores, target, speakers = make_trials(np.random.default_rng(3), speakers=8)
    scores = scores.round(1)  # ties
    first = intervals(pairs, scores, target, speakers, 50, seed=1)
    order = np.random.default_rng(0).permutation(len(scores))
    shuffled = Pairs(pairs.ids, pairs.enrol[order], pairs.test[order])
    assert intervals(shuffled, scores[order], target[order], speakers, 50, seed=1) == first
    assert intervals(pairs, scores, target, speakers, 50, seed=2) != first


def test_target_trials_tell_who_is_one_speaker():
    ids = ["a1", "a2", "a3", "b1", "b2", "model"]
    pairs = Pairs(ids, np.array([0, 2, 3, 0, 5]), np.array([1, 1, 4, 3, 4]))
    speakers = speakers_by_trials(pairs, np.array([True, True, True, False, True]))
    assert len({*speakers[:3]}) == 1 and len({*speakers[3:]}) == 1 and speakers[0] != speakers[3]


def test_utt2spk_tells_speakers_also_for_models_and_for_ids_of_files():
    utt2spk = {"id1-v-1": "id1", "id2-v-1": "id2"}
    by_name = speakers_by_table(Pairs(["id1", "id1-v-1", "id2-v-1"], None, None), utt2spk)
    assert by_name.tolist() == [0, 0, 1]
    assert speakers_by_table(Pairs(["id1/v/1.wav", "id2/v/1.wav"], None, None), utt2spk).tolist() == [0, 1]
    with pytest.raises(InputError, match="1 ids of the trials are not in utt2spk: x"):
        speakers_by_table(Pairs(["id1", "x"], None, None), utt2spk)


def test_a_single_speaker_gives_intervals_only_if_there_are_both_kinds_of_trials_in_a_replicate():
    pairs = Pairs(["a", "b", "c"], np.array([0, 1]), np.array([1, 2]))
    scores, target = np.array([1.0, 0.0]), np.array([True, False])
    assert intervals(pairs, scores, target, np.array([0, 0, 0]), 10, 0)["eer"] == [0, 0]
    found = intervals(pairs, scores, target, np.array([0, 0, 1]), 100, 0)
    assert 20 < found["replicates"] < 80  # both speakers are drawn in half of the replicates
