"""How much of the speed of its network does a whole training reach?

The training reads shards of audio, augments with the preset `wespeaker` (three speeds; noise or reverberation for six
crops in ten), makes filter banks, logs, and writes a checkpoint every ten minutes, which is timed by itself; one
process reads ahead, or eight for a GPU. The network by itself is a loop of forward, backward and optimiser on random
tensors, in the same process, half of it before and half of it after.
ResNet34 of width 32, crops of 2 s, 5,994 speakers at three speeds.
With a GPU also: the share of the time in which it is busy, as nvidia-smi says, bfloat16 over float32, and the
multiply-adds beside what the chip can do. Prints one JSON line per figure.
"""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from train_job import Job, make_data_dir, report

from sv_py.losses import HEADS, LOSSES
from sv_py.models import BACKBONES
from sv_py.models.complexity import count
from sv_py.train import OPTIMIZERS
from sv_py.train.precision import Precision

SPEAKERS, FRAMES, BINS = 5994, 200, 80
WARM_UP = 3  # steps that are not counted
PEAKS = {"V100": 125e12, "A100": 312e12, "H100": 989e12, "H200": 989e12, "L40": 181e12, "4090": 165e12}  # dense, bf16


@dataclass(frozen=True)
class Size:
    """Of a measurement."""

    batch: int
    steps: int  # that are counted
    workers: int


def bare(job: Job, size: Size) -> float:
    """Seconds of a step of the network by itself, as the job's configuration has it."""
    config, device = job.config, job.resources.device
    torch.manual_seed(0)
    network = BACKBONES.build(config.model.name, config.model.args, feature_dim=BINS).to(device).train()
    loss = LOSSES.build(config.loss.name, config.loss.args)
    head = HEADS.build(
        config.head.name, config.head.args, loss=loss, embedding_dim=network.head_dim, speakers=job.classes, seed=0
    ).to(device)
    make = OPTIMIZERS.load(config.optimizer.name)
    optimizers = [make(config.optimizer.args, list(part.parameters())) for part in (network, head)]
    feats = torch.randn(size.batch, FRAMES, BINS, device=device)
    labels = torch.randint(len(job.classes), (size.batch,), device=device)
    precision = Precision(config.compute, device)
    for step in range(WARM_UP + size.steps // 2):
        if step == WARM_UP:
            synchronise(device)
            start = time.perf_counter()
        with precision.autocast():
            embeddings = network(feats)
        for optimizer in optimizers:
            optimizer.zero_grad()
        head(embeddings, labels)[0].backward()
        for optimizer in optimizers:
            optimizer.step()
    synchronise(device)
    return (time.perf_counter() - start) / (size.steps // 2)


def synchronise(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


class Busy:
    """The share of the time in which the GPU computes anything: a context manager."""

    def __enter__(self) -> "Busy":
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200", "-i", "0"]
        self._process = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        percent = [float(line) for line in self._process.communicate()[0].split()]
        counted = percent[len(percent) // 2 :]  # the readers' start is behind
        self.share = sum(counted) / len(counted) / 100


def measure(data_dir: Path, folder: Path, overrides: list[str], device: torch.device, size: Size) -> tuple[float, Job]:
    """Utterances per second of the job, and the job; reports it and the ratio to the network by itself."""
    steps = size.steps + WARM_UP
    utterances = sum(1 for _ in (data_dir / "utt2spk").open())
    overrides = [
        *overrides, f"phases.0.batch_size={size.batch}", f"phases.0.crops_per_utt={size.batch * steps / utterances}"
    ]  # fmt: skip
    job = Job(data_dir, folder, overrides, device, size.workers)
    name = {"none": "float32", "bf16": "bfloat16"}[job.config.compute.autocast]
    seconds = bare(job, size)
    if device.type == "cuda":
        with Busy() as busy:
            job.run()
        report("train", f"{name}: share of the time that the GPU is busy", busy.share, "1")
    else:
        job.run()
    seconds = (seconds + bare(job, size)) / 2
    times = [after - before for before, after in pairwise(job.ends[WARM_UP - 1 :])]
    start = time.perf_counter()
    job._save()
    checkpoints = (time.perf_counter() - start) / (60 * job.resources.checkpoint_minutes)
    rate = size.batch * len(times) / sum(times) * (1 - checkpoints)
    report("train", f"{name}: training", rate, "utt/s")
    report("train", f"{name}: the network by itself", size.batch / seconds, "utt/s")
    report("train", f"{name}: training over the network by itself", rate * seconds / size.batch, "1")
    return rate, job


def main() -> None:
    """Measure."""
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    size = Size(256, 200, min(8, cores - 1)) if gpu else Size(32, 12, 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data_dir = make_data_dir(folder / "data", SPEAKERS, 2 * SPEAKERS)
        full, _ = measure(data_dir, folder / "float32", [], device, size)
        half, job = measure(data_dir, folder / "bfloat16", ["compute.autocast=bf16"], device, size)
        report("train", "bfloat16 over float32", half / full, "1")
        if not gpu:
            return
        chip = torch.cuda.get_device_name()
        products = 3 * 2 * count(job.network, FRAMES, BINS)[1] * half  # backward is twice forward; two operations each
        report("train", f"bfloat16: products on {chip}", products / 1e12, "TFLOP/s")
        for kind, peak in PEAKS.items():
            if kind in chip:
                report("train", f"bfloat16: share of the peak of {chip}", products / peak, "1")


if __name__ == "__main__":
    main()
