"""Error rates against closed forms, hand-worked cases and brute force over all thresholds; the command."""

import json
import math
import sys
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv_py.cli import InputError
from sv_py.scoring.metrics import (
    FALSE_ALARM_RATES,
    PRIORS,
    act_dcf,
    bayes_threshold,
    eer,
    frr_at_far,
    min_dcf,
    summarise,
)
from sv_py.scoring.roc import det_points, find_roc


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


def brute_act_dcf(targets, nontargets, prior):
    threshold = bayes_threshold(prior)
    prior = Fraction(str(prior))
    miss = Fraction(sum(s < threshold for s in targets), len(targets))
    false_alarm = Fraction(sum(s >= threshold for s in nontargets), len(nontargets))
    return (prior * miss + (1 - prior) * false_alarm) / min(prior, 1 - prior)


def brute_frr(targets, nontargets, far):
    return min(miss for miss, false_alarm in points(targets, nontargets) if false_alarm <= far)


few = st.lists(st.integers(-4, 4), min_size=1, max_size=12)  # few values: most scores are tied


@settings(derandomize=True, max_examples=200, deadline=None)
@given(few, few)
def test_metrics_with_ties_equal_brute_force_over_all_thresholds(targets, nontargets):
    scores, target = labelled(targets, nontargets)
    assert eer(scores, target) == pytest.approx(float(brute_eer(targets, nontargets)), abs=1e-12)
    for prior in (*PRIORS, 0.5, 0.9):
        expected = float(brute_min_dcf(targets, nontargets, prior))
        assert min_dcf(scores, target, prior) == pytest.approx(expected, abs=1e-12)
        expected = float(brute_act_dcf(targets, nontargets, prior))
        assert act_dcf(scores, target, prior) == pytest.approx(expected, abs=1e-12)
    for far in (0.5, 0.25, 0.2, 0):
        assert frr_at_far(scores, target, far) == float(brute_frr(targets, nontargets, far))


@settings(derandomize=True, max_examples=100, deadline=None)
@given(few, few)
def test_every_point_of_the_det_curve_is_that_of_its_threshold_and_no_corner_is_missing(targets, nontargets):
    scores, target = labelled(targets, nontargets)
    det = det_points(scores, target)
    for far, frr, threshold in zip(det.far, det.frr, det.threshold, strict=True):
        assert frr == np.mean(scores[target] < threshold) and far == np.mean(scores[~target] >= threshold)
    for miss, false_alarm in points(targets, nontargets):
        below = (det.far <= float(false_alarm)) & (det.frr <= float(miss))
        on_edge = (det.far == float(false_alarm)) | (det.frr == float(miss))
        assert (below & on_edge).any()


@settings(derandomize=True, max_examples=100, deadline=None)
@given(few, few)
def test_thresholds_give_the_rates_that_are_told(targets, nontargets):
    scores, target = labelled(targets, nontargets)
    result = summarise(scores, target, calibrated=True)
    for prior, threshold in result["min_dcf_threshold"].items():
        miss, false_alarm = rates_at(scores, target, threshold)
        cost = float(prior) * miss + (1 - float(prior)) * false_alarm
        assert cost / float(prior) == pytest.approx(result["min_dcf"][prior], abs=1e-12)
        assert result["act_dcf"][prior] >= result["min_dcf"][prior] - 1e-12
    for far, threshold in result["frr_at_far_threshold"].items():
        miss, false_alarm = rates_at(scores, target, threshold)
        assert miss == result["frr_at_far"][far] and false_alarm <= float(far)
    assert result["cllr"] >= result["min_cllr"] - 1e-12


def rates_at(scores, target, threshold):
    accepted = scores >= (math.inf if threshold is None else threshold)
    return np.mean(~accepted[target]), np.mean(accepted[~target])


def test_long_runs_of_one_kind_are_one_step():
    random = np.random.default_rng(5)
    scores, target = labelled(random.normal(20, 1, 5000), random.normal(0, 1, 5000))
    assert len(find_roc(scores, target).targets_below) == 3


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


def test_false_rejections_and_the_actual_cost_of_two_gaussians_are_those_of_the_closed_form():
    normal, random, distance = NormalDist(), np.random.default_rng(6), 2.5
    scores, target = labelled(random.normal(distance, 1, 400_000), random.normal(0, 1, 400_000))
    for far, slack in zip(FALSE_ALARM_RATES, (0.005, 0.01, 0.03), strict=True):
        expected = normal.cdf(normal.inv_cdf(1 - far) - distance)
        assert frr_at_far(scores, target, far) == pytest.approx(expected, abs=slack)
    threshold = bayes_threshold(0.05) / distance + distance / 2  # of the scores, where the ratio is at Bayes' threshold
    expected = normal.cdf(threshold - distance) + 19 * (1 - normal.cdf(threshold))
    llrs = distance * scores - distance**2 / 2
    assert act_dcf(llrs, target, 0.05) == pytest.approx(expected, abs=0.01)
    assert act_dcf(llrs, target, 0.05) == pytest.approx(min_dcf(llrs, target, 0.05), abs=0.005)
    assert act_dcf(llrs + 3, target, 0.05) > 1.5 * min_dcf(llrs, target, 0.05)


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
    # One false alarm of 4 is more than 1 %, so the threshold is above 4.
    assert result["frr_at_far"]["0.01"] == 0.5 and result["frr_at_far_threshold"]["0.01"] == 5
    assert result["counts"] == {"target": 4, "nontarget": 4}


def test_the_eer_is_at_the_target_where_misses_come_up_with_the_false_alarms():
    # From 1 to 4 one of two non-targets is accepted: half of the four targets have to be missed, those up to 2.
    result = summarise(*labelled([1, 2, 3, 4], [0, 5]))
    assert result["eer"] == 0.5 and result["eer_threshold"] == 2


def test_rejecting_everything_has_cost_1_and_no_threshold():
    result = summarise(*labelled([0, 0], [1, 1]))
    assert result["min_dcf"] == {"0.01": 1, "0.05": 1, "0.001": 1}
    assert set(result["min_dcf_threshold"].values()) == {None} == set(result["frr_at_far_threshold"].values())
    assert set(result["frr_at_far"].values()) == {1}


def test_scores_that_are_no_likelihood_ratios_have_neither_an_actual_cost_nor_a_cllr():
    scores, target = labelled([2, 4, 5, 6], [0, 1, 3, 4])
    plain, calibrated = summarise(scores, target), summarise(scores, target, calibrated=True)
    assert calibrated.keys() - plain.keys() == {"act_dcf", "cllr"}
    assert {key: calibrated[key] for key in plain} | {"calibrated": False} == plain


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
        "eer", "min_dcf", "min_cllr", "frr_at_far", "eer_threshold", "min_dcf_threshold", "frr_at_far_threshold",
        "calibrated", "counts", "intervals", "bootstrap", "by", "trials_sha256",
    ]  # fmt: skip
    assert list(result["min_dcf"]) == list(result["intervals"]["min_dcf"]) == ["0.01", "0.05", "0.001"]
    assert list(result["intervals"]) == ["eer", "min_dcf", "min_cllr", "frr_at_far"] and result["by"] == {}
    low, high = result["intervals"]["eer"]
    assert 0 < low < result["eer"] < high < 0.5
    assert result["bootstrap"] == {
        "unit": "speaker", "speakers": 5, "speakers_from": "utt2spk", "replicates": 1000, "seed": 3,
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


def test_likelihood_ratios_are_named_and_have_a_cllr_in_json_and_table(run, root, scores):
    argv = ("--bootstrap", "20", "--name", "one", "--name", "two", "--calibrated", "two", scores, scores)
    results = json.loads(metrics(run, root, *argv, "--json").stdout)
    assert not results["one"]["calibrated"] and "cllr" not in results["one"]
    assert results["two"]["calibrated"] and list(results["two"]["intervals"]["act_dcf"]) == ["0.01", "0.05", "0.001"]
    low, high = results["two"]["intervals"]["cllr"]
    assert low < results["two"]["cllr"] < high
    one, two = [line.split() for line in metrics(run, root, *argv).stdout.splitlines() if line[:4] in ("one ", "two ")][
        2:
    ]
    assert "-" in one and "-" not in two and f"{results['two']['cllr']:.3f}" in two
    assert "did you mean 'two'" in metrics(run, root, *argv, "--calibrated", "twoo", code=2).stderr


def test_breakdowns_stand_in_json_and_table(run, root, scores):
    tables = {"spk2gender": "s0 f\ns1 f\ns2 m\ns3 m\ns4 m\n", "utt2dur": ""}
    names = (scores.parent / "utt2spk").read_text().split()[::2]
    tables["utt2dur"] = "".join(f"{name} {1 + 2 * (k % 3)}\n" for k, name in enumerate(names))
    for name, text in tables.items():
        (scores.parent / name).write_text(text)
    argv = (
        scores, "--bootstrap", "20", "--utt2spk", scores.parent / "utt2spk", "--utt2dur", scores.parent / "utt2dur",
        "--attribute", f"gender={scores.parent}/spk2gender",
    )  # fmt: skip
    by = json.loads(metrics(run, root, *argv, "--json").stdout)["by"]
    assert list(by["gender"]) == ["f", "m", "same", "cross"]
    assert list(by["duration"])[:2] == ["< 2 s", "< 2 s / 2-6 s"] and len(by["duration"]) == 3
    rows = [line.split()[:2] for line in metrics(run, root, *argv).stdout.splitlines() if line]
    assert ["test.scores", "cross"] in rows and ["trials", "duration"] in rows
    bins = json.loads(metrics(run, root, *argv, "--duration-bins", "4", "--json").stdout)["by"]["duration"]
    assert list(bins) == ["< 4 s", "< 4 s / >= 4 s", ">= 4 s"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--attribute", "gender"], "--attribute gender: expected name=file"),
        (["--attribute", "gender=none"], "none: no such file"),
        (["--attribute", "duration=utt2spk"], "durations are those of --utt2dur"),
        (["--utt2dur", "utt2spk"], "utt2spk:1: 's0' is no number of seconds"),
        (["--utt2dur", "utt2spk", "--duration-bins", "6,2"], "not '6,2'"),
        (["--utt2dur", "utt2spk", "--duration-bins", "2,x"], "not '2,x'"),
        (["--attribute", "a=utt2spk", "--attribute", "a=other"], "other:1: 'FIRST' has x here, and s0 in another"),
        (["--attribute", "a=one"], "799 ids of the trials have no a: "),
    ],
)
def test_a_mistaken_breakdown_is_an_error(run, root, scores, argv, message):
    first = (scores.parent / "utt2spk").read_text().split()[0]
    for name in ("other", "one"):
        (scores.parent / name).write_text(f"{first} x\n")
    done = metrics(run, root, scores, "--bootstrap", "0", "--out", "out/r.json", *argv, code=1)
    assert message.replace("FIRST", first) in done.stderr and "Traceback" not in done.stderr
    assert not (scores.parent / "out").exists()


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
