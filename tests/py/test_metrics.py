"""EER and minDCF against closed forms, hand-worked cases and brute force over all thresholds."""

import json
import math
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv_py.cli import InputError
from sv_py.scoring.metrics import PRIORS, eer, min_dcf, summarise


def labelled(targets, nontargets):
    scores = np.array([*targets, *nontargets], float)
    return scores, np.arange(len(scores)) < len(targets)


def points(targets, nontargets):
    """All operating points in exact arithmetic: (misses, false alarms) when accepting score >= threshold."""
    for threshold in [*sorted({*targets, *nontargets}), math.inf]:
        miss = Fraction(sum(s < threshold for s in targets), len(targets))
        yield miss, Fraction(sum(s >= threshold for s in nontargets), len(nontargets))


def brute_eer(targets, nontargets):
    curve = list(points(targets, nontargets))
    after = next(k for k, (miss, false_alarm) in enumerate(curve) if miss >= false_alarm)
    (m1, f1) = curve[after]
    if after == 0:
        return m1
    (m0, f0) = curve[after - 1]
    return m0 + (m1 - m0) * (f0 - m0) / ((f0 - m0) + (m1 - f1))


def brute_min_dcf(targets, nontargets, prior):
    prior = Fraction(str(prior))
    cost = min(prior * miss + (1 - prior) * false_alarm for miss, false_alarm in points(targets, nontargets))
    return cost / min(prior, 1 - prior)


few = st.lists(st.integers(-4, 4), min_size=1, max_size=12)  # few values: most scores are tied


@settings(derandomize=True, max_examples=400, deadline=None)
@given(few, few)
def test_metrics_with_ties_equal_brute_force_over_all_thresholds(targets, nontargets):
    scores, target = labelled(targets, nontargets)
    assert eer(scores, target) == pytest.approx(float(brute_eer(targets, nontargets)), abs=1e-12)
    for prior in (*PRIORS, 0.5, 0.9):
        expected = float(brute_min_dcf(targets, nontargets, prior))
        assert min_dcf(scores, target, prior) == pytest.approx(expected, abs=1e-12)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(few, few, st.integers(0, 99))
def test_the_order_of_the_trials_does_not_matter(targets, nontargets, seed):
    scores, target = labelled(targets, nontargets)
    order = np.random.default_rng(seed).permutation(len(scores))
    assert summarise(scores[order], target[order]) == summarise(scores, target)


def test_a_rising_map_of_the_scores_changes_no_rate():
    random = np.random.default_rng(0)
    scores, target = labelled(random.normal(1, 1, 300).round(1), random.normal(0, 1, 900).round(1))
    plain, mapped = summarise(scores, target), summarise(np.exp(3 * scores) - 7, target)
    assert plain["eer"] == mapped["eer"] and plain["min_dcf"] == mapped["min_dcf"]
    assert mapped["eer_threshold"] == pytest.approx(math.exp(3 * plain["eer_threshold"]) - 7)


@pytest.mark.parametrize("distance", [1.0, 2.0, 3.0])
def test_two_gaussians_have_the_eer_of_the_closed_form(distance):
    random = np.random.default_rng(1)
    scores, target = labelled(random.normal(distance, 1, 200_000), random.normal(0, 1, 200_000))
    expected = math.erfc(distance / 2 / math.sqrt(2)) / 2  # Phi(-d/2)
    assert eer(scores, target) == pytest.approx(expected, abs=4 * math.sqrt(expected / 400_000))


def test_the_min_dcf_of_two_gaussians_is_that_of_the_bayes_threshold():
    random = np.random.default_rng(2)
    scores, target = labelled(random.normal(3, 1, 200_000), random.normal(0, 1, 200_000))
    threshold = 1.5 + math.log(19) / 3  # where the likelihood ratio is (1 - p) / p, p = 0.05
    miss, false_alarm = (math.erfc(z / math.sqrt(2)) / 2 for z in (3 - threshold, threshold))
    assert min_dcf(scores, target, 0.05) == pytest.approx(miss + 19 * false_alarm, abs=0.006)
    assert summarise(scores, target)["min_dcf_threshold"]["0.05"] == pytest.approx(threshold, abs=0.1)


def test_perfect_reversed_random_and_constant_scores():
    assert eer(*labelled([2, 3], [0, 1])) == 0 and min_dcf(*labelled([2, 3], [0, 1]), 0.01) == 0
    assert eer(*labelled([0, 1], [2, 3])) == 1
    assert eer(*labelled([1, 1, 1], [1] * 7)) == 0.5 and min_dcf(*labelled([1, 1, 1], [1] * 7), 0.01) == 1
    random = np.random.default_rng(3)
    assert eer(random.random(100_000), random.random(100_000) < 0.5) == pytest.approx(0.5, abs=0.01)


def test_a_case_worked_by_hand():
    # Thresholds 2, 3, 4: misses 0, 1/4, 1/4; false alarms 2/4, 2/4, 1/4. The curves meet at 1/4.
    scores, target = labelled([2, 4, 5, 6], [0, 1, 3, 4])
    result = summarise(scores, target)
    assert result["eer"] == 0.25 and result["eer_threshold"] == 4
    # p = 0.01: a false alarm of 1/4 costs 24.75 misses, so accept from 5 on: misses 2/4.
    assert result["min_dcf"]["0.01"] == pytest.approx(0.5) and result["min_dcf_threshold"]["0.01"] == 5
    assert result["counts"] == {"target": 4, "nontarget": 4}


def test_rejecting_everything_has_cost_1_and_no_threshold():
    result = summarise(*labelled([0, 0], [1, 1]))
    assert result["min_dcf"] == {"0.01": 1, "0.05": 1, "0.001": 1}
    assert set(result["min_dcf_threshold"].values()) == {None}


@pytest.mark.parametrize(("target", "kind"), [([False, False], "target"), ([True, True], "non-target")])
def test_scores_of_one_kind_only_are_refused(target, kind):
    with pytest.raises(InputError, match=f"there are no {kind} trials"):
        eer(np.array([0.0, 1.0]), np.array(target))


def metrics(run, root, *argv, code=0):
    return run(sys.executable, "-m", "sv_py.metrics", *argv, code=code, PYTHONPATH=root)


@pytest.fixture
def scores(tmp_path):
    random = np.random.default_rng(4)
    lines = []
    for k in range(400):
        i, j = random.integers(20, size=2)
        same, value = i % 5 == j % 5, random.normal() + 2 * (i % 5 == j % 5)
        lines.append(f"s{i % 5}-{k}a s{j % 5}-{k}b {value:.6f} {'target' if same else 'nontarget'}")
    (tmp_path / "test.scores").write_text("\n".join(lines) + "\n")
    names = [word for line in lines for word in line.split()[:2]]
    (tmp_path / "utt2spk").write_text("".join(f"{name} {name.split('-')[0]}\n" for name in sorted(names)))
    return tmp_path / "test.scores"


def test_the_command_prints_json_with_stable_keys(run, root, scores):
    argv = (scores, "--json", "--utt2spk", scores.parent / "utt2spk", "--seed", "3")
    done = metrics(run, root, *argv)
    result = json.loads(done.stdout)
    assert list(result) == [
        "eer", "eer_threshold", "min_dcf", "min_dcf_threshold", "counts", "intervals", "bootstrap", "trials_sha256",
    ]  # fmt: skip
    assert list(result["min_dcf"]) == list(result["intervals"]["min_dcf"]) == ["0.01", "0.05", "0.001"]
    low, high = result["intervals"]["eer"]
    assert 0 < low < result["eer"] < high < 0.5
    assert result["bootstrap"] == {
        "unit": "speaker", "speakers": 5, "speakers_from": "utt2spk", "replicates": 500, "seed": 3,
    }  # fmt: skip
    assert metrics(run, root, *argv).stdout == done.stdout


def test_results_of_several_files_are_written_by_name_and_shown_as_a_table(run, root, scores):
    out = scores.parent / "exp" / "results.json"
    argv = ("--bootstrap", "0", "--out", out, "--name", "one", "--name", "two", scores, scores)
    done = metrics(run, root, *argv)
    results = json.loads(out.read_text())
    assert list(results) == ["one", "two"] and results["one"] == results["two"]
    assert results["one"]["intervals"] is results["one"]["bootstrap"] is None
    assert f"{100 * results['one']['eer']:.2f}" in done.stdout.splitlines()[1]
    before = out.read_bytes()
    metrics(run, root, *argv)
    assert out.read_bytes() == before and str(scores.parent) not in before.decode()


def test_bad_input_exits_1_with_its_place_and_writes_nothing(run, root, tmp_path):
    path = tmp_path / "s"
    for text, message in [
        ("a b 1 target\nc d x target\n", f"{path}:2: score 'x'"),
        ("a b 1\n", f"{path}:1: no label"),
        ("a b 1 target\n", f"{path}: there are no non-target trials"),
    ]:
        path.write_text(text)
        done = metrics(run, root, path, "--out", tmp_path / "out" / "r.json", code=1)
        assert message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_utterances_without_a_speaker_are_an_error(run, root, scores):
    (scores.parent / "utt2spk").write_text("other s1\n")
    done = metrics(run, root, scores, "--utt2spk", scores.parent / "utt2spk", code=1)
    assert "800 ids of the trials are not in utt2spk" in done.stderr


def test_names_must_be_as_many_as_the_files_and_different(run, root, scores):
    assert "need as many different names" in metrics(run, root, scores, scores, code=2).stderr
    assert "need as many different names" in metrics(run, root, scores, "--name", "a", "--name", "b", code=2).stderr
