"""From audio and embeddings to calibrated scores and decisions by the steps alone."""

import json

import numpy as np
import pytest

from sv_py.io.ark import write_ark
from sv_py.io.text import write_table


@pytest.fixture
def ready(tiny_data_dir, tmp_path):
    """Embeddings and durations of the eight utterances of four speakers, who are alike and differ in magnitude."""
    random = np.random.default_rng(0)
    utt2spk = dict(line.split() for line in (tiny_data_dir / "utt2spk").read_text().splitlines())
    center = {speaker: random.standard_normal(4) + 1 for speaker in sorted(set(utt2spk.values()))}
    vectors = {
        utt: (center[s] + 0.7 * random.standard_normal(4)).astype(np.float32) for utt, s in sorted(utt2spk.items())
    }
    (tmp_path / "emb").mkdir()
    write_ark(tmp_path / "emb/x.ark", tmp_path / "emb/xvector.scp", vectors.items())
    write_table(tiny_data_dir / "utt2dur", {utt: 3 + 5 * (utt[-1] == "2") for utt in utt2spk})
    return tmp_path


def test_the_steps_make_log_likelihood_ratios_and_decisions_of_audio_and_embeddings(ready, root, run):
    data, trials, cal = "data/tiny", "cal/trials", "cal/calibration.json"
    done = run(
        root / "steps/make_calibration_trials.sh", "--trials-per-kind", 6, f"{data}/utt2spk", f"{data}/utt2dur", trials
    )
    assert "short-long: 4 instead of 6 trials of each label" in done.stderr and "8 trials in cal/trials" in done.stdout
    run(root / "steps/score.sh", trials, "emb", "cal/scores")
    measures = "duration,speech_duration,snr,magnitude"
    done = run(root / "steps/compute_quality.sh", "--nj", 3, "--measures", measures, data, "emb", trials, "cal/quality")
    lines = [line.split() for line in (ready / "cal/quality").read_text().splitlines()]
    assert lines[0] == ["utt", *measures.split(",")] and len(lines) == 9
    assert all(0 < float(speech) < 1 and -10 <= float(snr) <= 60 for _, _, speech, snr, _ in lines[1:])
    fit = [root / "steps/fit_calibration.sh", "--utt2spk", f"{data}/utt2spk", "--far", "0.25", "--bootstrap", 20]
    run(*fit, "--quality", "cal/quality", "--measures", "snr", "--prior", "0.1", "cal/scores", cal)
    run(root / "steps/calibrate_scores.sh", "--quality", "cal/quality", cal, "cal/scores", "out/ratios")
    model = json.loads((ready / cal).read_text())
    assert list(model["weights"]) == ["score", "min snr", "max snr"] and model["prior"] == 0.1
    points = model["thresholds"]["far"]["0.25"]
    ratios = [line.split() for line in (ready / "out/ratios").read_text().splitlines()]
    accepted = [float(ratio) >= points["threshold"] for _, _, ratio, label in ratios if label == "nontarget"]
    assert sum(accepted) / len(accepted) == points["far"] <= 0.25


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        ("make_calibration_trials", ["--short", "2", "x", "y", "out"], "no such file: x"),
        ("compute_quality", ["data/tiny", "emb", "data/tiny/utt2dur", "out"], "--config or --measures says which"),
        ("compute_quality", ["--measures", "snr", "data/tiny", "emb", "data/JOB", "out"], "JOB in a path"),
        ("compute_quality", ["--measures", "age", "data/tiny", "emb", "trials", "out"], "no table has the measure"),
        ("compute_quality", ["--measures", "snr", "data/tiny", "emb", "strangers", "out"], "lacks bob-1, bob-2"),
        ("calibrate_scores", ["none", "data/tiny/utt2dur", "out"], "none: no such file"),
        ("calibrate_scores", ["none", "out"], "2 arguments instead of at least 3"),
    ],
)  # fmt: skip
def test_a_mistake_fails_with_its_reason_and_leaves_nothing(ready, root, run, step, arguments, message):
    (ready / "trials").write_text("ann-1 ann-2 target\nann-1 bea-1 nontarget\n")
    (ready / "strangers").write_text("bob-1 bob-2 target\n")
    done = run(root / f"steps/{step}.sh", *arguments, code=None)
    assert done.returncode in (1, 2) and message in done.stderr + done.stdout
    assert not (ready / "out").exists()
