"""What do many speakers cost a training: how much memory, and how long does a checkpoint take?

Memory is the peak of a process that trains ResNet34 of width 32 on 16 crops of 2 s at once, SGD with momentum, with
10,000, 100,000 and 333,852 speakers (VoxBlink2 at three speeds) and checkpoints of all of it: the full head, and a
sampled tenth of the rows. A checkpoint is that of a network of 50 million parameters with the full head of 73,125
speakers, and it is to be written every ten minutes. Each figure is of a process of its own. Arguments, to measure a
part: memory, checkpoint. Prints one JSON line per figure.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEAKERS, BATCH, STEPS = (10_000, 100_000, 333_852), 16, 2
HEADS = {"full": [], "sampled": ["head={name: sampled, args: {rate: 0.1}}"]}
LARGE = "model={name: resnet, args: {width: 64, blocks: [6, 16, 24, 3], attention: simam, pooling: {name: asp}}}"
LARGE_SPEAKERS = 73_125
INTERVAL, SAVES = 600, 3  # seconds between checkpoints; how many are timed


def train(folder: Path, speakers: int, batch: int, overrides: list[str]):
    """A job that has made its steps."""
    import torch
    from train_job import Job, make_data_dir

    torch.set_num_threads(1)
    size = [f"phases.0.batch_size={batch}", f"phases.0.crops_per_utt={batch * STEPS / speakers}"]
    plain = ["phases.0.augment={}", "optimizer.name=sgd"]
    job = Job(
        make_data_dir(folder / "data", speakers, speakers),
        folder / "exp",
        [*overrides, *size, *plain],
        torch.device("cpu"),
    )
    job.run()
    return job


def measure(folder: Path, part: str, head: str, speakers: int) -> list[float]:
    """In a process of its own."""
    if part == "memory":
        train(folder, speakers, BATCH, HEADS[head])
        return [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]
    job = train(folder, speakers, 2, [LARGE, "phases.0.crop=50"])
    seconds = []
    for _ in range(SAVES):
        start = time.perf_counter()
        job._save()
        seconds.append(time.perf_counter() - start)
    newest = max((folder / "exp/phases/only/checkpoints").iterdir())
    return [sum(p.numel() for p in job.network.parameters()), newest.stat().st_size, sorted(seconds)[SAVES // 2]]


def run(part: str, head: str, speakers: int) -> list[float]:
    """What `measure` prints in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, folder, part, head, str(speakers)]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout)


def report(figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": "train_size", "figure": figure, "value": round(value, 5), "unit": unit}), flush=True)


def main() -> None:
    """Measure."""
    if len(sys.argv) == 5:
        print(json.dumps(measure(Path(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4]))))
        return
    parts = sys.argv[1:] or ["checkpoint", "memory"]
    if "checkpoint" in parts:
        parameters, size, seconds = run("checkpoint", "full", LARGE_SPEAKERS)
        report("checkpoint: parameters of the network", parameters / 1e6, "million")
        report("checkpoint: size", size / 2**20, "MiB")
        report("checkpoint: time", seconds, "s")
        report(f"checkpoint: share of {INTERVAL} s", seconds / INTERVAL, "1")
    if "memory" in parts:
        for speakers in SPEAKERS:
            for head in HEADS:
                report(f"memory: {speakers} speakers, head {head}", *run("memory", head, speakers), "MiB")


if __name__ == "__main__":
    main()
