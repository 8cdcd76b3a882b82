"""What do heads of 333,852 speakers cost: the full one, the sampled one, and shards of it in 2 and 4 processes?

A step is forward, backward and SGD with momentum, on a batch of 256 embeddings of 256 dimensions, one core per process.
Each head is in a process of its own; its memory is the peak of that process above what it has before the head is made.
Prints one JSON line per figure.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEAKERS, DIM, BATCH, STEPS = 333_852, 256, 256, 2
HEADS = {"full": {}, "sampled": {"rate": 0.1}, "sharded": {}}
RANKS = (2, 4)


def peak() -> float:
    """MiB that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(kind: str, rank: int, ranks: int, meeting: str) -> None:
    """In a process of its own: print the seconds of the faster step and the peak memory of the head in MiB."""
    import torch
    import torch.distributed as dist

    from sv_py.losses import HEADS as TABLE
    from sv_py.losses import LOSSES
    from sv_py.train import OPTIMIZERS

    torch.set_num_threads(1)
    torch.manual_seed(rank)
    if kind == "sharded":
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    speakers = [f"id{i:06d}" for i in range(SPEAKERS)]
    before = peak()
    loss = LOSSES.build("aam_softmax", LOSSES.arguments("aam_softmax")())
    arguments = TABLE.arguments(kind)(**HEADS[kind])
    head = TABLE.build(kind, arguments, loss=loss, embedding_dim=DIM, speakers=speakers, seed=0)
    optimizer = OPTIMIZERS.build("sgd", OPTIMIZERS.arguments("sgd")(), parameters=head.parameters())
    head.follow(optimizer)
    seconds = []
    for _ in range(1 + STEPS):  # the first makes the momentum
        embeddings = torch.randn(BATCH // ranks, DIM, requires_grad=True)
        labels = torch.randint(SPEAKERS, (BATCH // ranks,))
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        head.begin_step(labels)  # in a training, of the labels of all processes
        head(embeddings, labels)[0].backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps([min(seconds[1:]), peak() - before]))
    if kind == "sharded":
        dist.destroy_process_group()


def run(kind: str, ranks: int = 1) -> tuple[float, float]:
    """Seconds of a step and memory in MiB, the most of all processes."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        words = [sys.executable, __file__, kind]
        processes = [
            subprocess.Popen(
                [*words, str(rank), str(ranks), str(Path(folder, "meeting"))], env=environment, stdout=subprocess.PIPE
            )
            for rank in range(ranks)
        ]
        found = [json.loads(process.communicate()[0]) for process in processes]
    return max(seconds for seconds, _ in found), max(memory for _, memory in found)


def report(figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": "heads", "figure": figure, "value": round(value, 3), "unit": unit}), flush=True)


def main() -> None:
    """Measure."""
    if len(sys.argv) == 5:
        measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
        return
    full, sampled = run("full"), run("sampled")
    for name, (seconds, memory) in (("full", full), ("sampled", sampled)):
        report(f"{name}: step, {SPEAKERS} speakers", seconds, "s")
        report(f"{name}: memory", memory, "MiB")
    report("full over sampled: time", full[0] / sampled[0], "1")
    report("full over sampled: memory", full[1] / sampled[1], "1")
    for ranks in RANKS:
        seconds, memory = run("sharded", ranks)
        report(f"sharded among {ranks}: step of all together", seconds, "s")
        report(f"sharded among {ranks}: memory of each", memory, "MiB")


if __name__ == "__main__":
    main()
