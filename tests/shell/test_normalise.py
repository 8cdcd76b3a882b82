"""steps/make_cohort.sh and steps/normalise_scores.sh, on public embeddings of real recordings."""

import subprocess

import kaldiio
import numpy as np
import pytest

from sv_py.io.ark import write_ark
from sv_py.io.scores import read_scores
from sv_py.io.text import write_table
from sv_py.io.trials import read_trials
from sv_py.scoring.metrics import eer

PUBLISHED = 5.59  # per cent EER of SpeechBrain's ECAPA-TDNN on so762_test, by cosine


def speaker(utt: str) -> str:
    return "-".join(utt.split("-")[:2])


@pytest.fixture(scope="module")
def so762(shared, root, tmp_path_factory):
    """Folder with so762_test, its scores, embeddings and data dirs of its speakers and the others; the embeddings."""
    folder = tmp_path_factory.mktemp("so762")
    embeddings = dict(kaldiio.load_ark(str(shared / "embeddings/ecapa_so762.ark")))
    (folder / "embeddings").mkdir()
    write_ark(folder / "x.ark", folder / "embeddings/xvector.scp", sorted(embeddings.items()))
    trials = (shared / "corpora/trials/so762_test.txt").read_text()
    (folder / "trials").write_text(trials)
    speakers = {speaker(utt) for utt in read_trials(folder / "trials").ids}
    for name, there in (("test", True), ("others", False)):
        (folder / name).mkdir()
        write_table(folder / name / "utt2spk", {u: speaker(u) for u in embeddings if (speaker(u) in speakers) == there})
    command = [root / "steps/score.sh", folder / "trials", folder / "embeddings", folder / "scores"]
    subprocess.run(command, check=True, capture_output=True)
    return folder, embeddings


def test_as_norm_by_utterances_of_the_same_corpus_lowers_the_error_rate(so762, root, run, tmp_path):
    folder, embeddings = so762
    run(root / "steps/make_cohort.sh", "--cohort", "utterances", folder / "others", folder / "embeddings", "cohort")
    out = run(
        root / "steps/normalise_scores.sh", "--top", "100", "--top", "300", "--num-threads", "2", "--utt2spk",
        folder / "test/utt2spk", "--impostors-out", "quality",
        folder / "scores", folder / "embeddings", "cohort", "normalised",
    )  # fmt: skip
    assert "normalise_scores.sh: 10122 scores, normalised in normalised" in out.stdout
    assert "# Ended (code 0)" in (tmp_path / "log/normalise_normalised.log").read_text()

    rates = {}
    for path in (folder / "scores", tmp_path / "normalised100", tmp_path / "normalised300"):
        scores = read_scores(path)
        rates[path.name] = 100 * eer(scores.scores, scores.target)
    assert rates["scores"] == pytest.approx(PUBLISHED, abs=0.005)
    assert rates["normalised100"] == pytest.approx(4.32, abs=0.005)  # as docs/scoring.md says
    assert rates["normalised300"] < 4.4

    cohort = np.stack([embeddings[utt] for utt in kaldiio.load_scp(str(tmp_path / "cohort/cohort.scp"))]).astype(float)
    cohort /= np.linalg.norm(cohort, axis=1, keepdims=True)
    scores = read_scores(folder / "scores")
    vectors = np.stack([embeddings[utt] for utt in scores.ids]).astype(float)
    best = np.sort(vectors / np.linalg.norm(vectors, axis=1, keepdims=True) @ cohort.T, axis=1)[:, -100:]
    mean, deviation = best.mean(axis=1), best.std(axis=1)
    expected = sum((scores.scores - mean[side]) / deviation[side] for side in (scores.enrol, scores.test)) / 2
    assert read_scores(tmp_path / "normalised100").scores == pytest.approx(expected, abs=1e-4)
    assert len((tmp_path / "quality").read_text().splitlines()) == 1 + len(scores.ids)


def test_speakers_of_the_trials_in_the_cohort_are_found(so762, root, run, tmp_path):
    folder, _ = so762
    run(root / "steps/make_cohort.sh", "--share", "0.5", folder / "test", folder / "embeddings", "cohort")
    command = [root / "steps/normalise_scores.sh", "--utt2spk", folder / "test/utt2spk"]
    places = [folder / "scores", folder / "embeddings", "cohort", "normalised"]
    assert "118 speakers of the cohort are in the trials: so762-0024" in run(*command, *places, code=1).stderr
    assert not (tmp_path / "normalised").exists()
    run(*command, "--own-speaker", "leave_out", *places)
    left_out = read_scores(tmp_path / "normalised").scores
    run(*command, "--own-speaker", "allow", *places)
    assert np.abs(read_scores(tmp_path / "normalised").scores - left_out).max() > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "embeddings", "cohort", "out"], "no such file: none"),
        (["scores", "none", "cohort", "out"], "no such file: none/xvector.scp"),
        (["scores", "embeddings", "none", "out"], "no such file: none/cohort.scp"),
        (["--top", "many", "scores", "embeddings", "cohort", "out"], "--top wants an integer, not 'many'"),
        (["--gpu", "2", "scores", "embeddings", "cohort", "out"], "--gpu is 0 or 1, not 2"),
        (["scores", "embeddings", "out"], "3 arguments instead of 4"),
    ],
)
def test_a_mistake_fails_at_once(root, run, tmp_path, arguments, message):
    for name in ("scores", "embeddings/xvector.scp", "cohort/cohort.scp", "cohort/cohort_utt2spk"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a b\n")
    assert message in run(root / "steps/normalise_scores.sh", *arguments, code=1).stderr
    assert not (tmp_path / "out").exists()


def test_a_cohort_of_a_data_dir_that_is_not_there_is_not_made(root, run, tmp_path):
    assert "no such file: data/utt2spk" in run(root / "steps/make_cohort.sh", "data", "x", "out", code=1).stderr
    assert not (tmp_path / "out").exists()
