"""Thresholds for a wanted rate of false accepts and for a prior, their intervals, and decisions by them."""

import json
import sys

import numpy as np
import pytest

import sv_py.decide
from sv_py.cli import InputError
from sv_py.io.scores import Scores
from sv_py.scoring.decision import find_thresholds
from sv_py.scoring.metrics import PRIORS


def trials(ratios, target, pairs=None) -> Scores:
    """Trials of utterances of their own, or of ``pairs`` of ids."""
    pairs = np.arange(2 * len(ratios)).reshape(-1, 2) if pairs is None else np.asarray(pairs)
    ids = [str(k) for k in range(pairs.max() + 1)]
    return Scores(ids, *pairs.T, np.asarray(ratios, float), np.asarray(target))


def gaussian_ratios(targets: int, nontargets: int, seed: int = 0):
    """Log-likelihood ratios that are true, and labels: N(2, 4) of targets and N(-2, 4) of non-targets."""
    random = np.random.default_rng(seed)
    target = np.arange(targets + nontargets) < targets
    return 2 * random.standard_normal(len(target)) + np.where(target, 2, -2), target


def test_the_threshold_of_a_rate_is_the_least_that_accepts_no_more():
    ratios = [5.0, 4.0, 3.0, 1.0, 0.0, 3.5, 2.0, 1.0, -1.0, -2.0]
    target = np.arange(10) < 5
    found = find_thresholds(trials(ratios, target), np.arange(20), [0.2, 0.4, 0.5, 0.6, 0.1], 0, 0)["far"]
    #  accepted by descending ratio: T5 T4 n3.5 T3 n2 T1=n1 T0 n-1 n-2
    assert [found[rate] and (found[rate]["threshold"], found[rate]["far"], found[rate]["frr"]) for rate in found] == [
        (2.5, 0.2, 0.4), (1.5, 0.4, 0.4), (1.5, 0.4, 0.4), (-0.5, 0.6, 0.0), None,
    ]  # fmt: skip
    assert found["0.2"]["intervals"] is None


def test_where_fewer_non_targets_turn_up_no_threshold_is_lower_than_it_need_be():
    ratios = [1.5, 1.0, 0.5, 1.2, 0.8]
    found = find_thresholds(trials(ratios, np.arange(5) < 3), np.arange(10), [0.5], 0, 0)["far"]["0.5"]
    assert found["threshold"] == pytest.approx(0.9) and found["frr"] == pytest.approx(1 / 3)


def test_a_prior_has_bayes_threshold_with_the_rates_of_two_gaussians():
    from math import erf, sqrt

    ratios, target = gaussian_ratios(40_000, 40_000)
    found = find_thresholds(trials(ratios, target), np.arange(160_000), [0.01], 0, 0)
    assert set(found["prior"]) == {str(prior) for prior in PRIORS}
    for prior in PRIORS:
        point, bound = found["prior"][str(prior)], np.log(1 / prior - 1)
        assert point["threshold"] == pytest.approx(bound)
        assert point["frr"] == pytest.approx((1 + erf((bound - 2) / 2 / sqrt(2))) / 2, abs=0.01)
        assert point["far"] == pytest.approx((1 - erf((bound + 2) / 2 / sqrt(2))) / 2, abs=0.003)
    assert found["far"]["0.01"]["threshold"] == pytest.approx(-2 + 2 * 2.3263, abs=0.1)


def test_intervals_hold_what_they_are_about_and_narrow_with_more_speakers():
    widths = []
    for speakers in (15, 150):
        random = np.random.default_rng(0)
        pairs = random.integers(0, 4 * speakers, (4000, 2))
        speaker_of = np.arange(4 * speakers) // 4
        same = random.random(4000) < 0.5
        pairs[same, 1] = pairs[same, 0] // 4 * 4 + (pairs[same, 0] + 1) % 4  # another utterance of the speaker
        target = speaker_of[pairs[:, 0]] == speaker_of[pairs[:, 1]]
        shift = random.standard_normal(speakers)  # speakers differ, so trials of one are alike
        ratios = 2 * random.standard_normal(4000) + np.where(target, 2, -2) + shift[speaker_of[pairs]].sum(axis=1)
        found = find_thresholds(trials(ratios, target, pairs), speaker_of, [0.05], 300, 0)
        point = found["far"]["0.05"]
        for name in ("threshold", "far", "frr"):
            low, high = point["intervals"][name]
            assert low <= point[name] <= high and low < high
        widths.append(np.ptp(point["intervals"]["threshold"]))
        assert find_thresholds(trials(ratios, target, pairs), speaker_of, [0.05], 300, 0) == found
    assert widths[1] < 0.75 * widths[0]


def test_the_interval_of_a_prior_misses_the_threshold_of_ratios_that_are_wrong():
    ratios, target = gaussian_ratios(3000, 3000)
    right, wrong = (
        find_thresholds(trials(ratios + shift, target), np.arange(12_000) // 4, [], 200, 0)["prior"]["0.05"]
        for shift in (0, 6)
    )
    low, high = right["intervals"]["threshold"]
    assert low < right["threshold"] < high
    assert wrong["intervals"]["threshold"][0] > wrong["threshold"]


def test_a_threshold_beyond_all_trials_is_infinite_which_json_calls_null():
    ratios, target = [1.0, -1.0, 0.9, -0.9], np.array([True, False, False, True])
    found = find_thresholds(trials(ratios, target), np.arange(8) // 2, [0.5], 50, 0)
    assert found["prior"]["0.001"]["intervals"]["threshold"][1] is None
    highest = find_thresholds(
        trials([5.0, 5.0, 1.0, 0.9], np.array([False, False, True, True])), np.arange(8) // 2, [0.5], 50, 0
    )
    assert highest["far"] == {"0.5": None}
    assert "Infinity" not in json.dumps([found, highest])


@pytest.fixture
def decide(tmp_path, monkeypatch):
    """``decide(*options)`` runs the command on four scores; the decisions."""
    points = {"far": {"0.01": {"threshold": 1.5}, "0.001": None}, "prior": {}}
    model = {"format": "calibration 1", "bias": 0, "weights": {"score": 1}, "ranges": {}, "thresholds": points}
    (tmp_path / "model").write_text(json.dumps(model))
    (tmp_path / "scores").write_text("a b 1.5 target\na c 1.499999 nontarget\nb d 5 nontarget\nc d -3 target\n")

    def call(*options):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["decide", *options, "model", "scores", "out"])
        sv_py.decide.main()
        return [line.split()[3] for line in (tmp_path / "out").read_text().splitlines()]

    return call


def test_trials_at_the_threshold_are_accepted(decide, tmp_path):
    assert decide("--far", "0.01") == ["accept", "reject", "accept", "reject"]
    assert (tmp_path / "out").read_text().splitlines()[1] == "a c 1.499999 reject"
    assert decide("--prior", "0.5") == ["accept", "accept", "accept", "reject"]
    assert decide("--prior", "0.0067") == ["reject", "reject", "accept", "reject"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--far", "0.02"], "model: has no threshold for a false accept rate of 0.02, but for 0.01, 0.001"),
        (["--far", "0.001"], "model: had no threshold for a rate of 0.001: too few non-target trials"),
    ],
)
def test_a_rate_without_threshold_is_refused(decide, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        decide(*options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [[], ["--prior", "1"], ["--prior", "0.1", "--far", "0.01"]])
def test_one_wish_is_needed_and_a_prior_lies_between_0_and_1(decide, options):
    with pytest.raises(SystemExit):
        decide(*options)


def test_what_is_no_calibration_decides_nothing(decide, tmp_path):
    (tmp_path / "model").write_text("{}")
    with pytest.raises(InputError, match="is no calibration"):
        decide("--prior", "0.5")
