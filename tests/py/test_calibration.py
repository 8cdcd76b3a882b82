"""Calibration and fusion: closed forms, an independent minimum, the worked example of the documents, bad input."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

import sv_py.calibrate_scores
import sv_py.fit_calibration
from sv_py.cli import InputError
from sv_py.config import load
from sv_py.io.scores import read_scores
from sv_py.scoring.arguments import LinearArguments, QmfArguments
from sv_py.scoring.calibration import LogisticCalibration, load_calibration
from sv_py.scoring.cllr import cllr
from sv_py.scoring.logistic import fit_log_odds
from sv_py.scoring.metrics import eer

DOCS = Path(__file__).resolve().parents[2] / "docs/scoring.md"
NONE = np.empty((1, 0))  # quality of one id, which has no measures


def unmeasured(trials: int) -> np.ndarray:
    """The rows in NONE of both sides of so many trials."""
    return np.zeros((2, trials), int)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """``command(module, *argv)`` runs a command in tmp_path."""

    def call(module, *argv):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, argv)])
        module.main()

    return call


def test_the_fit_of_two_scores_is_the_logarithm_of_their_frequencies():
    scores = np.array([1, 1, 1, 0, 1, 0, 0, 0.0])
    weights, bias = fit_log_odds(scores[:, None], np.arange(8) < 4, 0.5)
    assert [bias, *weights] == pytest.approx([-np.log(3), 2 * np.log(3)], abs=1e-4)


@pytest.mark.parametrize("prior", [0.5, 0.01])
def test_scores_of_two_gaussians_are_mapped_to_their_log_likelihood_ratio_at_any_prior_and_balance(prior):
    random = np.random.default_rng(0)
    target = np.arange(80_000) < 20_000
    scores = random.standard_normal(len(target)) + np.where(target, 3, 1)  # the ratio is 2 x - 4
    weights, bias = fit_log_odds(scores[:, None], target, prior)
    assert [bias, *weights] == pytest.approx([-4, 2], rel=0.05)


def test_the_minimum_is_that_of_another_minimiser():
    random = np.random.default_rng(1)
    target = random.random(500) < 0.3
    inputs = random.standard_normal((500, 3)) * [1, 10, 0.1] + target[:, None] * [1, 5, 0.1]
    prior = 0.2

    def cost(point):
        ratios = inputs @ point[1:] + point[0] + np.log(prior / (1 - prior))
        return prior * np.logaddexp(0, -ratios[target]).mean() + (1 - prior) * np.logaddexp(0, ratios[~target]).mean()

    expected = minimize(cost, np.zeros(4), method="BFGS", options={"gtol": 1e-9, "maxiter": 1000}).x
    weights, bias = fit_log_odds(inputs, target, prior)
    assert [bias, *weights] == pytest.approx(expected, rel=1e-3)
    assert cost(np.array([bias, *weights])) <= cost(expected) + 1e-6


def test_scores_that_separate_all_trials_and_inputs_that_repeat_have_finite_weights():
    target = np.arange(10) < 5
    separated = np.where(target, 1.0, 0.0)
    weights, _ = fit_log_odds(np.stack([separated, separated, np.ones(10)], axis=1), target, 0.5)
    assert 0 < weights[0] < 100 and weights[1] == pytest.approx(weights[0]) and weights[2] == 0


@pytest.mark.parametrize(("labels", "kind"), [(True, "non-target"), (False, "target")])
def test_trials_of_one_kind_cannot_be_calibrated(labels, kind):
    with pytest.raises(InputError, match=f"no {kind} trials"):
        fit_log_odds(np.ones((4, 1)), np.full(4, labels), 0.5)


def test_a_linear_calibration_keeps_the_order_and_its_cost_is_least():
    random = np.random.default_rng(2)
    target = np.arange(2000) < 1000
    scores = random.standard_normal(2000) + 2 * target
    model = LogisticCalibration(LinearArguments()).fit([scores], target, [], NONE, unmeasured(2000))
    ratios = model.log_likelihood_ratios([scores], NONE, unmeasured(2000))
    assert list(model.weights) == ["score"] and (np.argsort(ratios) == np.argsort(scores)).all()
    assert all(
        cllr(ratios, target) < cllr(a * ratios + b, target) for a, b in ((1.1, 0), (0.9, 0), (1, 0.1), (1, -0.1))
    )


def test_scores_that_are_lower_for_targets_are_refused():
    target = np.arange(20) < 10
    with pytest.raises(InputError, match="labels or the scores reversed"):
        LogisticCalibration(LinearArguments()).fit([-1.0 * target], target, [], NONE, unmeasured(20))


def test_fused_systems_are_better_than_each():
    random = np.random.default_rng(3)
    target = np.arange(4000) < 2000
    systems = [random.standard_normal(4000) + 2 * target for _ in range(2)]
    fuser = LogisticCalibration(LinearArguments())
    found = []
    for scores in (systems, systems[:1], systems[1:]):
        model = fuser.fit(scores, target, [], NONE, unmeasured(4000))
        found.append(cllr(model.log_likelihood_ratios(scores, NONE, unmeasured(4000)), target))
    assert found[0] < 0.75 * min(found[1:])
    assert list(fuser.fit(systems, target, [], NONE, unmeasured(4000)).weights) == ["score 1", "score 2"]


@pytest.fixture
def noisy():
    """(scores, target, quality, ids): non-targets score as much higher as the lower quality of both sides is."""
    random = np.random.default_rng(4)
    quality = random.uniform(1, 40, (400, 1))
    ids = random.integers(400, size=(2, 6000))
    target = random.random(6000) < 0.5
    lower = np.log(quality[ids, 0]).min(axis=0)
    return random.standard_normal(6000) + 2 * target - 1.5 * lower, target, quality, ids


def test_measures_that_the_scores_depend_on_lower_the_errors(noisy):
    scores, target, quality, ids = noisy
    model = LogisticCalibration(QmfArguments()).fit([scores], target, ["duration"], quality, ids)
    ratios = model.log_likelihood_ratios([scores], quality, ids)
    assert eer(ratios, target) < eer(scores, target) - 0.05
    assert model.weights["min log duration"] == pytest.approx(3, rel=0.1)  # 2 x 1.5, as of two Gaussians
    assert abs(model.weights["max log duration"]) < 0.2


def test_the_difference_can_take_the_place_of_either_side(noisy):
    scores, target, quality, ids = noisy
    ratios = []
    for forms in (("min", "max"), ("min", "difference"), ("difference", "max")):
        model = LogisticCalibration(QmfArguments(forms=forms)).fit([scores], target, ["snr"], quality, ids)
        assert list(model.weights)[1:] == [f"{form} snr" for form in forms]
        ratios.append(model.log_likelihood_ratios([scores], quality, ids))
    assert np.allclose(ratios[0], ratios[1], atol=1e-3) and np.allclose(ratios[0], ratios[2], atol=1e-3)


def test_beyond_the_trials_of_the_fit_no_measure_is_believed_and_sides_may_be_swapped(noisy):
    scores, target, quality, ids = noisy
    model = LogisticCalibration(QmfArguments()).fit([scores], target, ["duration"], quality, ids)
    low, high = model.ranges["duration"]
    extreme = np.array([[0.0], [low], [1e6], [high]])
    rows = np.array([[0, 1, 2, 3, 0, 2], [0, 1, 2, 3, 2, 0]])
    ratios = model.log_likelihood_ratios([np.ones(6)], extreme, rows)
    assert ratios[0] == ratios[1] and ratios[2] == ratios[3] and ratios[4] == ratios[5]


def test_a_saved_calibration_gives_the_same_bits(noisy, tmp_path):
    scores, target, quality, ids = noisy
    model = LogisticCalibration(QmfArguments()).fit([scores], target, ["duration"], quality, ids)
    model.save(tmp_path / "json")
    loaded = load_calibration(tmp_path / "json")
    assert loaded == model
    expected = model.log_likelihood_ratios([scores], quality, ids)
    one_by_one = [loaded.log_likelihood_ratios([scores[[k]]], quality, ids[:, [k]])[0] for k in range(50)]
    assert one_by_one == expected[:50].tolist()


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"format": "calibration 2"}', '{"format": "calibration 1", "weights": 3}',
        '{"format": "calibration 1", "bias": 0, "weights": {"score": NaN}, "ranges": {}}',
        '{"format": "calibration 1", "bias": 0, "weights": {"score": 1, "min snr": 1}, "ranges": {}}',
        '{"format": "calibration 1", "bias": 0, "weights": {"score": 1, "snr": 1}, "ranges": {"snr": [0, 1]}}',
        '{"format": "calibration 1", "bias": 0, "weights": {"score": 1}, "ranges": {"snr": 1}}',
    ],
)  # fmt: skip
def test_what_is_no_calibration_is_refused(tmp_path, text):
    (tmp_path / "json").write_text(text)
    with pytest.raises(InputError, match="json: is no calibration"):
        load_calibration(tmp_path / "json")


def test_the_worked_example_of_the_documents_is_right(command, tmp_path):
    section = DOCS.read_text().split("### A worked example")[1].split("###")[0]
    model, quality, trials = re.findall(r"^```\w*\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    for name, text in (("model", model), ("quality", quality), ("scores", trials)):
        (tmp_path / name).write_text(text)
    command(sv_py.calibrate_scores, "--quality", "quality", "model", "scores", "out")
    written = {
        " ".join(line.split()[:2]): float(line.split()[2]) for line in (tmp_path / "out").read_text().splitlines()
    }
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| \w+-\d .*$", section, re.MULTILINE)
    ]
    assert len(rows) == len(written) == 2
    for trial, bias, *terms, ratio in rows:
        summands = [float(bias)]
        for term in terms:
            weight, value, product = map(float, re.fullmatch(r"(\S+) x (\S+) = (\S+)", term).groups())
            assert weight * value == pytest.approx(product, abs=1e-4)
            summands.append(product)
        assert sum(summands) == pytest.approx(float(ratio), abs=2e-4)
        assert written[trial] == pytest.approx(float(ratio), abs=2e-4)
    times = [float(number) for number in re.findall(r"(\d\.\d) times", section)]
    assert sorted(times) == [round(float(np.exp(float(row[-1]))), 1) for row in rows]


@pytest.fixture
def files(tmp_path):
    """Score files `one` and `two` of the same trials, and a quality table; all trials of u and v are targets."""
    random = np.random.default_rng(5)
    names = [f"{speaker}-{k}" for speaker in "abcdef" for k in range(6)]
    pairs = [(x, y) for x in names for y in names if x < y]
    for system in ("one", "two"):
        lines = []
        for x, y in pairs:
            is_target = x[0] == y[0]
            score = random.standard_normal() + 2 * is_target
            lines.append(f"{x} {y} {score:.6f} {'target' if is_target else 'nontarget'}\n")
        (tmp_path / system).write_text("".join(lines))
    table = "".join(f"{name} {random.uniform(1, 9):.3f} {random.uniform(0, 30):.3f}\n" for name in names)
    (tmp_path / "quality").write_text("utt duration snr\n" + table)
    return tmp_path


def test_one_command_fits_and_another_calibrates(files, command):
    command(sv_py.fit_calibration, "--quality", "quality", "--bootstrap", 20, "one", "two", "sub/json")
    found = json.loads((files / "sub/json").read_text())
    assert list(found["weights"]) == [
        "score 1", "score 2", "min log duration", "max log duration", "min snr", "max snr",
    ]  # fmt: skip
    assert found["counts"] == {"target": 90, "nontarget": 540, "speakers": 6} and found["prior"] == 0.5
    command(sv_py.calibrate_scores, "--quality", "quality", "sub/json", "one", "two", "out")
    fused, one = (read_scores(files / name, labelled=True) for name in ("out", "one"))
    assert fused.ids == one.ids and (fused.target == one.target).all()
    assert eer(fused.scores, fused.target) < eer(one.scores, one.target)
    before = (files / "sub/json").read_bytes()
    command(sv_py.fit_calibration, "--quality", "quality", "--bootstrap", 20, "one", "two", "sub/json")
    assert (files / "sub/json").read_bytes() == before


def test_speakers_that_cannot_be_left_out_spoil_no_fit_and_overfitting_is_told(files, command, caplog):
    command(sv_py.fit_calibration, "--bootstrap", 0, "--leave-out", 7, "one", "json")
    assert "6 speakers can be left out in 3 to 6 folds, not in 7" in caplog.text
    assert "leave_out" not in json.loads((files / "json").read_text())
    command(sv_py.fit_calibration, "--bootstrap", 0, "--leave-out", 3, "--quality", "quality", "one", "json")
    found = json.loads((files / "json").read_text())["leave_out"]["calibrations"]
    assert found["qmf"]["cllr"] > found["linear"]["cllr"] and "overfitted" in caplog.text  # the measures are noise


def test_scores_without_labels_are_calibrated_too(files, command):
    command(sv_py.fit_calibration, "--bootstrap", 0, "one", "json")
    (files / "bare").write_text("x y 2.5\nx z -1\n")
    command(sv_py.calibrate_scores, "json", "bare", "out")
    model = load_calibration(files / "json")
    expected = [model.bias + model.weights["score"] * score for score in (2.5, -1)]
    assert (files / "out").read_text().splitlines() == [f"x {y} {r:.6f}" for y, r in zip("yz", expected, strict=True)]
    assert model.facts["thresholds"]["far"]["0.05"]["intervals"] is None


def test_an_experiment_says_measures_forms_and_prior(files, command):
    part = "{name: qmf, args: {measures: [snr], forms: [difference], prior: 0.1}}"
    text = f"model: {{name: ecapa_tdnn}}\nphases: [{{name: main, epochs: 1}}]\nscoring: {{calibration: {part}}}\n"
    (files / "x.yaml").write_text(text)
    command(sv_py.fit_calibration, "--config", "x.yaml", "--quality", "quality", "--bootstrap", 0, "one", "json")
    model = load_calibration(files / "json")
    assert list(model.weights) == ["score", "difference snr"] and model.facts["prior"] == 0.1


def test_impostor_measures_are_refused_where_no_norm_has_impostors(files):
    text = "model: {name: ecapa_tdnn}\nphases: [{name: main, epochs: 1}]\nscoring: {calibration: {name: qmf}%s}\n"
    (files / "x.yaml").write_text(text % "")
    with pytest.raises(InputError, match="has impostor_mean, which only a norm's cohort gives"):
        load(files / "x.yaml")
    (files / "x.yaml").write_text(text % ", norm: {name: as_norm}")
    assert load(files / "x.yaml").scoring.calibration.args.measures == ("duration", "magnitude", "impostor_mean")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["none", "json"], "none: no such file"),
        (["bare", "json"], "bare:1: no label in the 4th column"),
        (["one", "short", "json"], "short: 629 trials, where one has 630"),
        (["one", "other", "json"], "other:3: another trial than in one"),
        (["--quality", "none", "one", "json"], "none: no such file"),
        (["--measures", "snr", "one", "json"], "--quality names the table that has snr"),
        (["--measures", "sn", "--quality", "quality", "one", "json"], "no measure 'sn' .did you mean 'snr'"),
        (["--prior", "1", "one", "json"], "prior lies between 0 and 1"),
        (["--utt2spk", "utt2spk", "one", "json"], "not in utt2spk"),
        (["--config", "plain.yaml", "one", "json"], "plain.yaml: scoring.calibration.name is none"),
    ],
)
def test_a_fit_that_cannot_be_right_is_refused_and_writes_nothing(files, command, argv, message):
    lines = (files / "one").read_text().splitlines(keepends=True)
    (files / "short").write_text("".join(lines[:-1]))
    (files / "other").write_text("".join([*lines[:2], lines[3], lines[2], *lines[4:]]))
    (files / "bare").write_text("a b 1\n")
    (files / "utt2spk").write_text("a-0 a\n")
    (files / "plain.yaml").write_text("model: {name: ecapa_tdnn}\nphases: [{name: main, epochs: 1}]\n")
    with pytest.raises(InputError, match=message):
        command(sv_py.fit_calibration, *argv)
    assert not (files / "json").exists()


@pytest.mark.parametrize("option", [["--measures", "a,,b"], ["--measures", "a,a"], ["--far", "0.1,2"], ["--far", "x"]])
def test_a_list_that_is_none_is_refused(files, command, option, capsys):
    with pytest.raises(SystemExit):
        command(sv_py.fit_calibration, *option, "one", "json")
    assert (
        f"invalid {'words' if option[0] == '--measures' else 'shares'} value: '{option[1]}'" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["linear", "one", "two", "out"], "linear: is a calibration of 1 score files, not of 2"),
        (["--quality", "quality", "linear", "one", "out"], "linear: uses no --quality"),
        (["qmf", "one", "out"], "qmf: needs --quality with duration, snr"),
        (["--quality", "partial", "qmf", "one", "out"], "partial:1: has no measure 'snr'"),
        (["--quality", "few", "qmf", "one", "out"], "few: lacks a-0, a-1, a-2 and 33 more"),
        (["one", "one", "out"], "one: is no calibration"),
        (["none", "one", "out"], "none: no such file"),
    ],
)
def test_what_does_not_fit_the_calibration_is_refused_and_nothing_is_written(files, command, argv, message):
    command(sv_py.fit_calibration, "--bootstrap", 0, "one", "linear")
    command(sv_py.fit_calibration, "--bootstrap", 0, "--quality", "quality", "one", "qmf")
    (files / "partial").write_text("utt duration\na-0 1\n")
    (files / "few").write_text("utt duration snr\nz 1 1\n")
    with pytest.raises(InputError, match=message):
        command(sv_py.calibrate_scores, *argv)
    assert not (files / "out").exists()
