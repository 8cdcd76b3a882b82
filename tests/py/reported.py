"""Small experiments' folders with all that a report shows."""

import json
from pathlib import Path

import numpy as np

from sv_py.io.pairs import Pairs
from sv_py.io.quality import write_quality
from sv_py.io.scores import read_scores, write_scores
from sv_py.io.text import write_table
from sv_py.provenance import record
from sv_py.scoring.breakdown import Attribute
from sv_py.scoring.calibration import Calibration
from sv_py.scoring.decision import find_thresholds
from sv_py.scoring.evaluation import evaluate, find_speakers

SPEAKERS, UTTS = 10, 4
ODD = 'a<b>&"x'  # the first speaker: nothing in a file's name or lines may become markup
UTT2SPK = {f"{speaker}-{n}": speaker for speaker in (ODD, *(f"s{i}" for i in range(1, SPEAKERS))) for n in range(UTTS)}
STEPS = {"": 1.0, "_asnorm": 1.3, "_qmf": 1.6}  # suffix of the scores -> how far apart both kinds lie


def make_experiment(folder: Path, lists: tuple[str, ...] = ("calls", "calls_hard"), seed: int = 0) -> Path:
    """An experiment that has gone through all stages; lists after the first have fewer trials."""
    (folder / "scores").mkdir(parents=True)
    write_table(folder / "scores/utt2spk", dict(sorted(UTT2SPK.items())))
    results = {}
    for number, name in enumerate(lists):
        for suffix, distance in STEPS.items():
            path = folder / "scores/cosine" / f"{name}{suffix}"
            write_trials(path, distance, seed, number)
            results[f"cosine/{name}{suffix}"] = measure(path, calibrated=suffix == "_qmf")
        random = np.random.default_rng(seed)
        columns = {"duration": random.gamma(4, 1, len(UTT2SPK)), "snr": random.normal(20, 5, len(UTT2SPK))}
        (folder / "quality/cosine").mkdir(parents=True, exist_ok=True)
        write_quality(folder / "quality/cosine" / name, list(UTT2SPK), columns)
    (folder / "results.json").write_text(json.dumps(results))
    calibrated = read_scores(folder / f"scores/cosine/{lists[0]}_qmf", labelled=True)
    thresholds = find_thresholds(calibrated, find_speakers(calibrated, UTT2SPK), [0.05, 0.001], 20, 0)
    (folder / "calibration/cosine").mkdir(parents=True)
    Calibration({"score": 1.0}, 0.0, {}, {"thresholds": thresholds}).save(
        folder / "calibration/cosine/calibration.json"
    )
    write_training(folder)
    return folder


def write_trials(path: Path, distance: float, seed: int, skip: int) -> None:
    """Normal scores of all pairs but some: those of targets around ``distance``, of non-targets around its negative."""
    names = list(UTT2SPK)
    enrol, test = np.triu_indices(len(names), 1)
    target = np.array([UTT2SPK[names[i]] == UTT2SPK[names[j]] for i, j in zip(enrol, test, strict=True)])
    kept = target | ((enrol + test) % 3 > skip)
    scores = np.random.default_rng(seed).normal(np.where(target, distance, -distance))[kept]
    path.parent.mkdir(exist_ok=True)
    write_scores(path, Pairs(names, enrol[kept], test[kept]), scores, target[kept])


def measure(path: Path, calibrated: bool) -> dict:
    """What stage 9 says of a score file."""
    gender = Attribute("gender", {speaker: "fm"[i % 2] for i, speaker in enumerate(dict.fromkeys(UTT2SPK.values()))})
    return evaluate(read_scores(path, labelled=True), UTT2SPK, [gender], calibrated, replicates=20)


def write_training(folder: Path) -> None:
    """Configuration, two phases of training, a model and a launch."""
    phases = {"warmup": 4, "lmft": 2}
    config = {"seed": 1, "model": {"name": folder.name}, "phases": [{"name": name} for name in phases]}
    (folder / "config.yaml").write_text(json.dumps(config))
    for phase, epochs in phases.items():
        (folder / "phases" / phase).mkdir(parents=True)
        lines = [
            {"phase": phase, "epoch": n + 1, "loss": 3 - 0.5 * n, "accuracy": 0.1 * n, "dev_eer": 0.2 / (n + 1)}
            | {"dev_min_dcf": 0.9, "rate": 0.001, "margin": 0.2, "valid_loss": 3.5 - 0.5 * n, "seconds": 60}
            for n in range(epochs)
        ]
        (folder / "phases" / phase / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "model.json").write_text(json.dumps({"parameters": 1234567}))
    (folder / "launches").mkdir()
    launch = record(["./run.sh", "--tag", f"{folder.name} </pre>"], [folder / "config.yaml"])
    (folder / "launches/20260101-000000-1_run.json").write_text(json.dumps(launch))
