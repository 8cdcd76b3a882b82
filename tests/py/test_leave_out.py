"""The check of QMF on speakers left out: a gain where the measures tell something, on real embeddings too."""

import csv
import re
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.trials import read_trials
from sv_py.scoring.arguments import LinearArguments, QmfArguments
from sv_py.scoring.bootstrap import speakers_by_table
from sv_py.scoring.calibration import LogisticCalibration
from sv_py.scoring.calibration_trials import draw_trials
from sv_py.scoring.cllr import cllr
from sv_py.scoring.leave_out import leave_out

DOCS = Path(__file__).resolve().parents[2] / "docs/scoring.md"


@pytest.fixture
def corpus():
    """(scores, target, speakers of the sides, quality, ids) of 60 speakers, whose short utterances score lower."""
    random = np.random.default_rng(0)
    seconds = random.uniform(1, 20, (60 * 5, 1))
    ids = random.integers(300, size=(2, 20_000))
    ids[1, ::2] = ids[0, ::2] // 5 * 5 + random.integers(5, size=10_000)
    ids = ids[:, ids[0] != ids[1]]
    speakers = ids // 5
    target = speakers[0] == speakers[1]
    scores = random.standard_normal(len(target)) + 2 * target + np.log(seconds[ids, 0]).sum(axis=0)
    return scores, target, speakers, seconds, ids


def check(corpus, measures=("duration",), folds=5, seed=0, scores=None):
    found, target, speakers, quality, ids = corpus
    arguments = QmfArguments() if measures else LinearArguments()
    return leave_out(
        LogisticCalibration(arguments), [found] if scores is None else scores, target, speakers, list(measures),
        quality[:, : len(measures)], ids, folds, seed,
    )  # fmt: skip


def test_measures_help_speakers_left_out_and_those_of_others_do_not(corpus):
    found = check(corpus)["calibrations"]
    assert found["qmf"]["cllr"] < 0.9 * found["linear"]["cllr"] and found["qmf"]["eer"] < found["linear"]["eer"] - 0.01
    assert found["shuffled"]["cllr"] == pytest.approx(found["linear"]["cllr"], rel=0.01)
    assert found["shuffled"]["eer"] == pytest.approx(found["linear"]["eer"], abs=0.005)


def test_a_trial_is_judged_by_a_fit_without_its_speakers(corpus):
    scores, target, speakers, quality, ids = corpus
    has_wild = (speakers == 0).any(axis=0)
    wild = np.where(has_wild, 1000 * (scores - scores.mean()), scores)  # one speaker's scores are of another scale
    found = check((wild, target, speakers, quality, ids), measures=())["calibrations"]["linear"]
    assert found["cllr"] > 10  # no fit that he is in may tame them
    tamed = LogisticCalibration(LinearArguments()).fit([wild], target, [], quality[:, :0], ids)
    assert cllr(tamed.log_likelihood_ratios([wild], quality[:, :0], ids), target) < 1


def test_without_measures_only_the_scores_are_judged_and_the_seed_decides(corpus):
    found = check(corpus, measures=())
    assert list(found["calibrations"]) == ["linear"]
    assert found == check(corpus, measures=()) != check(corpus, measures=(), seed=1)


@pytest.mark.parametrize("folds", [2, 61])
def test_folds_need_speakers(corpus, folds):
    with pytest.raises(InputError, match=f"60 speakers can be left out in 3 to 60 folds, not in {folds}"):
        check(corpus, folds=folds)


def test_folds_need_trials_of_both_kinds(corpus):
    scores, target, speakers, quality, ids = corpus
    few = np.flatnonzero(speakers.max(axis=0) < 3)
    with pytest.raises(InputError, match="3 folds of 3 speakers leave no trials of both kinds"):
        check((scores[few], target[few], speakers[:, few], quality, ids[:, few]), folds=3)


def test_on_real_embeddings_the_gain_is_the_one_that_the_documents_show(shared, tmp_path):
    table = (shared / "corpora/so762/so762.tsv").read_text().splitlines()
    rows = [row for row in csv.DictReader(table, delimiter="\t") if row["part"] == "train"]
    utt2spk = {row["utt-id"]: row["speaker"] for row in rows}
    seconds = {row["utt-id"]: float(row["duration_s"]) for row in rows}
    gender = {row["speaker"]: row["gender"] for row in rows}
    lines = draw_trials(utt2spk, seconds, (1.5, 3.5), 3.5, 3000, 0, gender).lines
    (tmp_path / "trials").write_text("".join(f"{line}\n" for line in lines))
    trials = read_trials(tmp_path / "trials")
    with open(shared / "embeddings/wespeaker_so762.ark", "rb") as file:
        vectors = dict(kaldiio.load_ark(file))
    matrix = np.stack([vectors[name] for name in trials.ids]).astype(float)
    lengths = np.linalg.norm(matrix, axis=1)
    quality = np.stack([[seconds[name] for name in trials.ids], lengths, np.abs(matrix).sum(axis=1)], axis=1)
    ids = np.stack([trials.enrol, trials.test])
    speakers = speakers_by_table(trials, utt2spk)[ids]
    scores = np.einsum("nd,nd->n", *(matrix / lengths[:, None])[ids])
    measures = ["duration", "magnitude", "magnitude_l1"]
    calibration = LogisticCalibration(QmfArguments())
    found = leave_out(calibration, [scores], trials.target, speakers, measures, quality, ids, 5, 0)

    section = DOCS.read_text().split("### Is the gain real?")[1].split("##")[0]
    shown = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \|$", section, re.MULTILINE)
    assert [name for name, *_ in shown] == list(found["calibrations"]) == ["linear", "qmf", "shuffled"]
    for name, cost, rate in shown:
        assert float(cost) == pytest.approx(found["calibrations"][name]["cllr"], abs=6e-4)
        assert float(rate) == pytest.approx(100 * found["calibrations"][name]["eer"], abs=0.006)
