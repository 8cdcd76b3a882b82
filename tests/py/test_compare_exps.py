"""The command that compares experiments: their table, and which differences are more than chance."""

import json
import re
import sys

import numpy as np
import pytest

from sv_py.io.scores import Scores, write_scores
from sv_py.scoring.evaluation import evaluate

SPEAKERS, UTTS = 20, 4


@pytest.fixture
def trials():
    """All pairs of utterances of 20 speakers, without scores."""
    ids = [f"s{k // UTTS:02d}-{k}" for k in range(SPEAKERS * UTTS)]
    enrol, test = np.triu_indices(len(ids), 1)
    return Scores(ids, enrol, test, np.zeros(len(enrol)), enrol // UTTS == test // UTTS)


@pytest.fixture
def experiments(tmp_path, trials):
    """`poor` and `good`: two systems with most of their noise in common; `good` has normalised scores too."""
    random = np.random.default_rng(0)
    noise = random.normal(size=len(trials))
    write_experiment(tmp_path / "poor", trials, {"cosine/test": 1.5 * trials.target + noise})
    scores = 1.8 * trials.target + noise + random.normal(0, 0.2, len(trials))
    write_experiment(tmp_path / "good", trials, {"cosine/test": scores, "cosine/test_asnorm": scores + trials.target})
    return tmp_path


def write_experiment(folder, trials, scores):
    (folder / "scores/cosine").mkdir(parents=True)
    (folder / "config.yaml").write_text(f"seed: {len(folder.name)}\n")
    utt2spk = {name: name.split("-")[0] for name in trials.ids}
    (folder / "scores/utt2spk").write_text("".join(f"{utt} {speaker}\n" for utt, speaker in sorted(utt2spk.items())))
    results = {}
    for key, values in scores.items():
        values = values.round(6)
        write_scores(folder / "scores" / key, trials, values, trials.target)
        scored = Scores(trials.ids, trials.enrol, trials.test, values, trials.target)
        results[key] = evaluate(scored, utt2spk, replicates=20)
    (folder / "results.json").write_text(json.dumps(results))


def compare(run, root, *argv, code=0):
    return run(sys.executable, "-m", "sv_py.compare_exps", *argv, code=code, PYTHONPATH=root)


def row(text, title):
    return next(line for line in text.splitlines() if line.startswith(title))


def p_values(text):
    return [float(found) for found in re.findall(r", p ([\d.]+)", text)]


def test_differences_from_the_first_experiment_have_p_values(run, root, experiments):
    text = compare(run, root, "poor", "good", "--bootstrap", "100").stdout
    (chance,) = p_values(row(text, "test, cosine: EER %"))
    assert chance < 0.05
    assert not p_values(row(text, "test_asnorm, cosine: EER %"))  # the first has no such scores
    assert not p_values(compare(run, root, "poor", "good", "--bootstrap", "0").stdout)


def test_an_experiment_does_not_differ_from_itself(run, root, experiments):
    text = compare(run, root, "poor", "poor", "--bootstrap", "30").stdout
    assert set(p_values(text)) == {1.0}


def test_all_results_of_the_same_trials_are_compared_with_a_baseline(run, root, experiments):
    text = compare(run, root, "good", "poor", "--baseline", "cosine/test", "--bootstrap", "100").stdout
    assert len(p_values(row(text, "test, cosine: EER %"))) == 1
    assert p_values(row(text, "test_asnorm, cosine: EER %")) == [pytest.approx(2 / 101, abs=1e-3)]
    done = compare(run, root, "good", "--baseline", "cosine/tset", code=1)
    assert "good has cosine/test, cosine/test_asnorm (did you mean 'cosine/test'?)" in done.stderr


def test_other_trials_are_not_compared(run, root, experiments, trials):
    kept = np.arange(len(trials)) % 2 == 0
    fewer = Scores(trials.ids, trials.enrol[kept], trials.test[kept], trials.scores[kept], trials.target[kept])
    write_experiment(experiments / "other", fewer, {"cosine/test": fewer.target + np.linspace(0, 1, len(fewer))})
    assert not p_values(compare(run, root, "poor", "other", "--bootstrap", "20").stdout)


def test_results_without_their_scores_have_no_p_value_which_is_told(run, root, experiments):
    (experiments / "good/scores/cosine/test").unlink()
    done = compare(run, root, "poor", "good", "--bootstrap", "20")
    assert "no p-value of cosine/test of good: no good/scores/cosine/test" in done.stderr and not p_values(done.stdout)


def test_scores_that_are_not_those_of_the_results_are_an_error(run, root, experiments):
    path = experiments / "good/scores/cosine/test"
    path.write_bytes((experiments / "poor/scores/cosine/test").read_bytes())
    done = compare(run, root, "poor", "good", "--bootstrap", "20", code=1)
    assert "good/scores/cosine/test: results.json has cosine/test of other scores: run stage 9 again" in done.stderr
