"""steps/fit_backend.sh, score.sh and compute_metrics.sh: from embeddings and trials to scores and error rates."""

import json

import numpy as np
import pytest

from sv_py.io.ark import write_ark

VECTORS = {"a-1": [1, 0], "a-2": [1, 0.1], "b-1": [0, 1], "b-2": [0.2, 1]}


@pytest.fixture
def scored(tmp_path):
    """Embeddings of two utterances of two speakers, and a trial list."""
    folder = tmp_path / "embeddings"
    folder.mkdir()
    write_ark(folder / "x.ark", folder / "xvector.scp", ((u, np.array(v, np.float32)) for u, v in VECTORS.items()))
    (tmp_path / "trials").write_text("a-1 a-2 target\na-1 b-1 nontarget\nb-1 b-2 target\na-2 b-2 nontarget\n")
    (tmp_path / "utt2spk").write_text("a-1 a\na-2 a\nb-1 b\nb-2 b\n")
    return tmp_path


def read(path) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in path.read_text().splitlines()]


def test_scores_are_cosines_in_the_order_of_the_trials(scored, root, run):
    run(root / "steps/score.sh", "trials", "embeddings", "out/scores")
    lines = read(scored / "out/scores")
    assert [line[:2] for line in lines] == [("a-1", "a-2"), ("a-1", "b-1"), ("b-1", "b-2"), ("a-2", "b-2")]
    assert [line[3] for line in lines] == ["target", "nontarget", "target", "nontarget"]
    assert [float(line[2]) for line in lines[:2]] == pytest.approx([1 / np.sqrt(1.01), 0], abs=1e-5)
    log = (scored / "out/log/score_scores.log").read_text()
    assert log.startswith("# python -m sv_py.score") and "# Ended (code 0)" in log


def test_a_model_is_the_mean_of_its_enrolment_utterances(scored, root, run):
    (scored / "spk2utt").write_text("m a-1 b-1\n")
    (scored / "model_trials").write_text("m a-2 target\nm b-2 nontarget\n")
    run(root / "steps/score.sh", "--enrol-spk2utt", "spk2utt", "model_trials", "embeddings", "scores")
    mean = np.array([0.5, 0.5])
    expected = [mean @ v / np.linalg.norm(mean) / np.linalg.norm(v) for v in (VECTORS["a-2"], VECTORS["b-2"])]
    assert [float(line[2]) for line in read(scored / "scores")] == pytest.approx(expected, abs=1e-5)


def test_a_fitted_mean_is_subtracted_on_both_sides(scored, root, run):
    run(root / "steps/fit_backend.sh", "--set", "mean=global", "utt2spk", "embeddings", "out/cosine.npz")
    run(root / "steps/score.sh", "--fitted", "out/cosine.npz", "trials", "embeddings", "scores")
    mean = np.mean([*VECTORS.values()], axis=0)
    a, b = VECTORS["a-1"] - mean, VECTORS["b-1"] - mean
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert float(read(scored / "scores")[1][2]) == pytest.approx(expected, abs=1e-5)
    assert "# Ended (code 0)" in (scored / "out/log/fit_cosine.log").read_text()


def test_a_model_may_score_as_the_mean_of_its_utterances_scores(scored, root, run):
    (scored / "spk2utt").write_text("m a-1 b-1\n")
    (scored / "model_trials").write_text("m a-2 target\n")
    options = ("--models", "scores", "--enrol-spk2utt", "spk2utt")
    run(root / "steps/score.sh", *options, "model_trials", "embeddings", "scores")
    expected = np.mean(np.array([1, 0.1]) / np.sqrt(1.01))
    assert float(read(scored / "scores")[0][2]) == pytest.approx(expected, abs=1e-5)


def test_a_back_end_that_cannot_be_fitted_leaves_no_file(scored, root, run):
    for options, message in (
        ((), "has nothing to fit"),
        (("--backend", "plda", "--set", "lda_dim=2"), "2 dimensions and 2 speakers have at most 1 directions"),
        (("--backend", "plda", "--set", "adapt=coral", "--adapt-dir", "none"), "no such file: none/xvector.scp"),
    ):
        done = run(root / "steps/fit_backend.sh", *options, "utt2spk", "embeddings", "out.npz", code=1)
        assert message in done.stderr and not (scored / "out.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "embeddings", "scores"], "no such file: none"),
        (["trials", "none", "scores"], "no such file: none/xvector.scp"),
        (["--enrol-spk2utt", "none", "trials", "embeddings", "scores"], "no such file: none"),
        (["--backend", "cosin", "trials", "embeddings", "scores"], "did you mean 'cosine'"),
        (["trials", "embeddings"], "2 arguments instead of 3"),
    ],
)
def test_a_mistake_fails_and_leaves_no_scores(scored, root, run, arguments, message):
    assert message in run(root / "steps/score.sh", *arguments, code=1).stderr
    assert not (scored / "scores").exists()


def test_error_rates_of_several_lists_go_into_one_file_that_says_nothing_of_time_or_place(scored, root, run):
    run(root / "steps/score.sh", "trials", "embeddings", "scores")
    command = [root / "steps/compute_metrics.sh", "--bootstrap", "10", "--utt2spk", "utt2spk"]
    names = ["--name", "first", "--name", "second"]
    run(*command, *names, "scores", "scores", "results.json")
    results = json.loads((scored / "results.json").read_text())
    assert set(results) == {"first", "second"} and results["first"] == results["second"]
    assert results["first"]["eer"] == 0 and results["first"]["counts"] == {"target": 2, "nontarget": 2}
    before = (scored / "results.json").read_bytes()
    run(*command, *names, "scores", "scores", "results.json")
    assert (scored / "results.json").read_bytes() == before
    assert str(scored).encode() not in before


def test_the_step_passes_on_calibration_and_breakdowns(scored, root, run):
    run(root / "steps/score.sh", "trials", "embeddings", "scores")
    (scored / "spk2gender").write_text("a f\nb m\n")
    (scored / "utt2dur").write_text("a-1 1\na-2 3\nb-1 3\nb-2 3\n")
    options = ["--bootstrap", "0", "--utt2spk", "utt2spk", "--name", "x", "--calibrated", "x"]
    options += ["--attribute", "gender=spk2gender", "--utt2dur", "utt2dur", "--duration-bins", "2"]
    run(root / "steps/compute_metrics.sh", *options, "scores", "results.json")
    found = json.loads((scored / "results.json").read_text())["x"]
    assert found["calibrated"] and 0 < found["cllr"] < 1
    assert list(found["by"]["gender"]) == ["f", "m", "same", "cross"]
    assert {name: group["counts"] for name, group in found["by"]["duration"].items()} == {
        "< 2 s / >= 2 s": {"target": 1, "nontarget": 1}, ">= 2 s": {"target": 1, "nontarget": 1},
    }  # fmt: skip


def test_metrics_of_scores_without_labels_are_an_error(scored, root, run):
    (scored / "scores").write_text("a b 0.5\n")
    assert "scores:1" in run(root / "steps/compute_metrics.sh", "scores", "out.json", code=1).stderr
    assert not (scored / "out.json").exists()
