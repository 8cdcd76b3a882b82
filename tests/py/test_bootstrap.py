"""The speaker bootstrap: who is a speaker, what a replicate is, whether intervals cover and tests err as they say."""

import math

import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.pairs import Pairs
from sv_py.io.scores import Scores
from sv_py.scoring.bootstrap import (
    Resampler,
    WeightedSums,
    det_band,
    draw_speakers,
    intervals,
    metric_replicates,
    p_value,
    p_values,
    speakers_by_table,
    speakers_by_trials,
)
from sv_py.scoring.metrics import FALSE_ALARM_RATES, PRIORS, frr_at_far, min_dcf, summarise


def make_trials(random, speakers=30, per_speaker=4, separation=2.5, spread=0.7):
    """All pairs of utterances, and the speaker of each; speakers differ in how well they are recognised."""
    utts = speakers * per_speaker
    enrol, test = np.triu_indices(utts, 1)
    ease = random.normal(0, spread, speakers)
    i, j = enrol // per_speaker, test // per_speaker
    target = i == j
    noise = math.sqrt(1 - spread**2)  # the scores of all speakers together have variance 1
    mean = np.where(target, separation + ease[i], (ease[i] + ease[j]) / math.sqrt(2))
    ids = [f"{k // per_speaker}-{k}" for k in range(utts)]
    scores = mean + random.normal(0, noise, len(enrol))
    return Scores(ids, enrol, test, scores, target), np.arange(utts) // per_speaker


def spelt_out(trials, speakers, drawn):
    """The scores and labels of a replicate, with every trial as often as it counts."""
    copies = np.repeat(np.arange(len(drawn)), drawn)
    scores, labels = [], []
    for a, first in enumerate(copies):
        for b, second in enumerate(copies):
            if a == b or (a < b and first != second):
                sides = {first, second}
                part = [
                    k for k in range(len(trials))
                    if {speakers[trials.enrol[k]], speakers[trials.test[k]]} == sides
                ]  # fmt: skip
                scores.extend(trials.scores[part])
                labels.extend(trials.target[part])
    return np.array(scores), np.array(labels)


def flat(metrics):
    """The numbers of nested dicts."""
    return [number for value in metrics.values() for number in (flat(value) if isinstance(value, dict) else [value])]


def test_a_speaker_drawn_twice_brings_its_target_trials_twice_and_pairs_with_each_other_draw():
    trials, speakers = make_trials(np.random.default_rng(1), speakers=6)
    trials = Scores(trials.ids, trials.enrol, trials.test, trials.scores.round(1), trials.target)  # ties
    found = metric_replicates(trials, speakers, replicates=4, seed=5, calibrated=True)
    random = np.random.default_rng(5)
    for metrics in found:
        drawn = random.multinomial(6, np.full(6, 1 / 6))
        expected = summarise(*spelt_out(trials, speakers, drawn), calibrated=True)
        assert flat(metrics) == pytest.approx(flat({key: expected[key] for key in metrics}), abs=1e-12)
        assert {"eer", "min_dcf", "act_dcf", "cllr", "min_cllr", "frr_at_far"} == metrics.keys()


def test_draws_and_sums_have_the_same_bits_in_blocks_of_any_size():
    random = np.random.default_rng(4)
    sums = WeightedSums(random.integers(0, 9, (2, 500)), random.integers(0, 5, 500), 5, random.normal(size=500))
    at_once = sums(next(draw_speakers(9, 50, seed=3, block=50)))
    assert at_once.shape == (50, 6)
    for block in (1, 7, 49):
        parts = [sums(drawn) for drawn in draw_speakers(9, 50, seed=3, block=block)]
        assert np.array_equal(np.concatenate(parts), at_once)


def test_the_intervals_cover_the_true_eer_about_as_often_as_they_say():
    truth = math.erfc(2.5 / 2 / math.sqrt(2)) / 2
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        low, high = intervals(metric_replicates(*make_trials(random), replicates=100, seed=0))["eer"]
        covered += low <= truth <= high
    assert 85 <= covered <= 99  # 95 % in the limit of many speakers


def test_the_seed_decides_all_and_the_order_of_the_trials_nothing():
    trials, speakers = make_trials(np.random.default_rng(3), speakers=8)
    columns = (trials.enrol, trials.test, trials.scores.round(1), trials.target)  # ties
    first = metric_replicates(Scores(trials.ids, *columns), speakers, 50, seed=1, calibrated=True)
    order = np.random.default_rng(0).permutation(len(trials))
    shuffled = Scores(trials.ids, *(column[order] for column in columns))
    assert metric_replicates(shuffled, speakers, 50, seed=1, calibrated=True) == first
    assert metric_replicates(Scores(trials.ids, *columns), speakers, 50, seed=2, calibrated=True) != first


def two_systems(random, lead=0.0):
    """Two systems with much in common on the same trials; the second is better by ``lead`` in its target scores."""
    trials, speakers = make_trials(random, spread=0.6)
    i, j = speakers[trials.enrol], speakers[trials.test]
    found = []
    for gain in (0, lead):
        own = random.normal(0, 0.2, len(trials.ids))
        scores = trials.scores + np.where(trials.target, gain + own[i], own[i] + own[j]) + random.normal(0, 0.3, len(i))
        found.append(Scores(trials.ids, trials.enrol, trials.test, scores, trials.target))
    return found, speakers


def compared(systems, speakers, replicates, seed=0):
    return p_values(*(metric_replicates(system, speakers, replicates, seed) for system in systems))


def test_equally_good_systems_are_rarely_told_apart():
    random = np.random.default_rng(6)
    found = [compared(*two_systems(random), 100) for _ in range(100)]
    for metric in ("eer", "min_cllr"):
        chances = np.array([one[metric] for one in found])
        assert np.mean(chances < 0.05) <= 0.11 and 0.08 < np.mean(chances < 0.2) < 0.33


def test_a_better_system_is_told_although_the_intervals_overlap():
    systems, speakers = two_systems(np.random.default_rng(7), lead=0.4)
    (low, _), (_, high) = (intervals(metric_replicates(system, speakers, 200, 0))["eer"] for system in systems)
    assert low < high
    found = compared(systems, speakers, 200)
    assert found["eer"] < 0.05 and found == compared(systems[::-1], speakers, 200)
    assert found.keys() == {"eer", "min_dcf", "min_cllr", "frr_at_far"} and list(found["min_dcf"]) == list(
        map(str, PRIORS)
    )


def test_a_system_is_not_told_from_itself_and_one_that_always_wins_has_the_least_p_value():
    systems, speakers = two_systems(np.random.default_rng(8))
    assert set(flat(compared([systems[0]] * 2, speakers, 20))) == {1}
    assert p_value(np.full(99, -0.1)) == 2 / 100 == p_value(np.full(99, 0.1))
    assert p_value(np.array([-1, 0, 1, 1, 1])) == pytest.approx(1)


def test_only_metrics_of_both_systems_are_compared():
    systems, speakers = two_systems(np.random.default_rng(9))
    plain = metric_replicates(systems[0], speakers, 10, 0)
    calibrated = metric_replicates(systems[1], speakers, 10, 0, calibrated=True)
    assert p_values(calibrated, plain).keys() == p_values(plain, calibrated).keys() == plain[0].keys()


def test_a_det_band_is_the_interval_of_the_false_rejections_at_each_rate():
    trials, speakers = make_trials(np.random.default_rng(10), speakers=10)
    band = det_band(trials, speakers, [*FALSE_ALARM_RATES, 0.3], 60, seed=4)
    spread = intervals(metric_replicates(trials, speakers, 60, seed=4))["frr_at_far"]
    assert band[:, :3].T.tolist() == [pytest.approx(spread[str(far)]) for far in FALSE_ALARM_RATES]
    assert (band[0] <= band[1]).all() and band[0, 3] <= frr_at_far(trials.scores, trials.target, 0.3) <= band[1, 3]
    assert det_band(trials, speakers, [0.1], 0, seed=4) is None


def test_speakers_without_trials_are_not_drawn():
    trials, speakers = make_trials(np.random.default_rng(11), speakers=5)
    others = np.array([10, 3, 40, 7, 20])[speakers]
    assert Resampler(trials, others).speakers == 5
    of_few = Resampler(trials, others).rates(20, 0)
    order = np.argsort(np.argsort([10, 3, 40, 7, 20]))
    for ours, theirs in zip(of_few, Resampler(trials, order[speakers]).rates(20, 0), strict=True):
        assert np.array_equal(ours.miss, theirs.miss) and np.array_equal(ours.false_alarm, theirs.false_alarm)


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


def test_replicates_without_both_kinds_of_trials_are_left_out():
    scores, target = np.array([1.0, 0.0]), np.array([True, False])
    trials = Scores(["a", "b", "c"], np.array([0, 1]), np.array([1, 2]), scores, target)
    assert {found["eer"] for found in metric_replicates(trials, np.array([0, 0, 0]), 10, 0)} == {0}
    found = metric_replicates(trials, np.array([0, 0, 1]), 100, 0)
    assert 20 < len(found) < 80  # both speakers are drawn in half of the replicates
    assert intervals([]) is None and p_values([], []) is None


def test_a_trial_list_with_other_labels_than_speakers_counts_sides_of_one_speaker_once_a_draw():
    # A non-target pair inside speaker 0, a target pair across: as wrong labels have it.
    trials = Scores(["a", "b", "c"], np.array([0, 0]), np.array([1, 2]), np.array([1.0, 0.0]), np.array([False, True]))
    drawn = np.array([[2.0], [3.0], [1.0]])
    sums = WeightedSums(np.array([[0, 0], [0, 1]]), np.array([0, 1]), 2)
    assert sums(drawn).tolist() == [[2, 6]]
    assert metric_replicates(trials, np.array([0, 0, 1]), 10, 0)[0]["min_dcf"]["0.01"] == min_dcf(
        trials.scores, trials.target, 0.01
    )
