"""How fast is cosine scoring as a user runs it: 145,000 embeddings of 256 and 580,000 trials, as VoxCeleb1-E has them?

Prints one JSON line per figure. The time is that of the whole process, seen from outside, start-up included; the parts
are measured in a second pass with the same functions. Data is made in a temporary folder first.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sv_py.io.ark import write_ark
from sv_py.io.embeddings import load_embeddings
from sv_py.io.scores import write_scores
from sv_py.io.text import read_table
from sv_py.io.trials import look_up, read_trials
from sv_py.scoring import BACKENDS

EMBEDDINGS, DIMENSION, TRIALS, SPEAKERS, ARKS = 145_000, 256, 580_000, 1250, 4
PEER = 4_100  # trials/s of WeSpeaker's scorer on two cores, start-up included


def make_data(folder: Path) -> None:
    """xvector.scp over several arks, and a trial list of which half are targets."""
    random = np.random.default_rng(0)
    ids = [f"id{10001 + k % SPEAKERS}-{k * 7919 % 10**9:09d}ab-{k // SPEAKERS:05d}" for k in range(EMBEDDINGS)]
    lines = []
    for ark, part in enumerate(np.array_split(np.argsort(ids), ARKS)):
        scp = folder / f"xvector.{ark}.scp"
        vectors = ((ids[k], random.standard_normal(DIMENSION)) for k in part)
        write_ark(folder / f"xvector.{ark}.ark", scp, vectors)
        lines.append(scp.read_text())
    (folder / "xvector.scp").write_text("".join(lines))

    enrol = random.integers(EMBEDDINGS, size=TRIALS)
    other = random.integers(EMBEDDINGS, size=TRIALS)
    same = random.random(TRIALS) < 0.5
    test = np.where(same, (other // SPEAKERS * SPEAKERS + enrol % SPEAKERS) % EMBEDDINGS, other)
    labels = np.where(enrol % SPEAKERS == test % SPEAKERS, "target", "nontarget")
    rows = zip(enrol.tolist(), test.tolist(), labels.tolist(), strict=True)
    (folder / "trials").write_text("".join(f"{ids[i]} {ids[j]} {label}\n" for i, j, label in rows))


def parts(folder: Path) -> dict[str, float]:
    """Seconds of each part, measured in this process."""
    clock = [time.perf_counter()]
    trials = read_trials(folder / "trials")
    clock.append(time.perf_counter())
    places = read_table(folder / "xvector.scp", columns=2)
    names, rows = look_up(trials, places, folder / "trials")
    embeddings = load_embeddings(places, names)
    clock.append(time.perf_counter())
    backend = BACKENDS.build("cosine", BACKENDS.arguments("cosine")())
    scores = backend.score(embeddings, embeddings, rows)
    clock.append(time.perf_counter())
    write_scores(folder / "again", trials, scores, trials.target)
    clock.append(time.perf_counter())
    return dict(zip(["read trials", "read embeddings", "score", "write scores"], np.diff(clock).tolist(), strict=True))


def report(figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": "score", "figure": figure, "value": round(value, 3), "unit": unit}))


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder)
        command = [sys.executable, "-m", "sv_py.score"]
        command += [str(folder / file) for file in ("trials", "xvector.scp", "scores")]
        start = time.perf_counter()
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        wall = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        report(f"whole process, {TRIALS} trials over {EMBEDDINGS} embeddings", wall, "s")
        report("trials per second, whole process", TRIALS / wall, "trials/s")
        report(f"ratio to a peer's {PEER} trials/s", TRIALS / wall / PEER, "1")
        report("processor time, whole process", used.ru_utime + used.ru_stime, "s")
        report("peak memory", used.ru_maxrss / 1024, "MiB")
        taken = parts(folder)
        for part, seconds in taken.items():
            report(part, seconds, "s")
        report("share of reading and writing files", 1 - taken["score"] / sum(taken.values()), "1")


if __name__ == "__main__":
    main()
