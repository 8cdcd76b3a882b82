"""Trainings in float64 in 1, 2, 3 and 4 processes, with every head: ``python distributed_job.py <folder>``.

Writes <folder>/found.pt: what each process finds, by the name of the training, such as "of2", and the kind of head.
Trainings that three processes begin and do not end, "stopped", go on in 1, 2 and 3, as "on1" and so forth. Of two
processes, "apart", only the first sees what they left.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib.figure  # noqa: F401  the parent imports it once for all
import numpy as np
import torch
from ranks import run_ranks

from sv_py.cli import InputError
from sv_py.config import from_dict
from sv_py.data.dataset import FeatureSet
from sv_py.io.ark import write_ark
from sv_py.io.text import write_lines, write_table
from sv_py.schema import Config
from sv_py.train.distributed import Processes
from sv_py.train.loop import Resources, Trainer
from sv_py.train.model import open_set

HEADS = {"full": {}, "sampled": {"rate": 0.5}, "sharded": {}}
TRAININGS = {1: [*HEADS], 2: [*HEADS], 3: [*HEADS], 4: ["full", "sharded"], 7: ["full"]}  # kinds by processes
RESUMED = ["sampled", "sharded"]
SPEAKERS, UTTS, DIM = 7, 5, 8
STEPS = 25  # of an epoch, each of six micro-batches of two utterances
STOPPED = 35  # steps after which the second process is asked to stop


def make_data(folder: Path) -> Path:
    """Utterances of which an epoch makes no whole number of steps, with dev trials among them."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    voices = rng.normal(size=(SPEAKERS, DIM))
    names = [f"spk{k}-utt{u}" for k in range(SPEAKERS) for u in range(UTTS)]
    feats = {
        u: rng.random((20 + i, 1)) * voices[i // UTTS] + rng.normal(size=(20 + i, DIM)) for i, u in enumerate(names)
    }
    write_ark(folder / "feats.ark", folder / "feats.scp", feats.items())
    write_table(folder / "utt2spk", {utt: utt.split("-")[0] for utt in names})
    write_table(folder / "utt2num_frames", {utt: len(x) for utt, x in feats.items()})
    (folder / "feats.id").write_text("frontend=test\n")
    write_lines(folder / "trials", ["spk0-utt0 spk0-utt1 target", "spk0-utt0 spk1-utt1 nontarget"])
    return folder


def settings(kind: str = "full") -> dict:
    """An experiment of two epochs of 304 crops, of which 25 steps take 300."""
    phase = {
        "name": "first", "epochs": 2, "batch_size": 12, "micro_batch": 2, "crop": 16, "crops_per_utt": 8.7,
        "rate": {"peak": 0.02, "warmup": 1.0},
    }  # fmt: skip
    resnet = {"width": 4, "blocks": [1, 1], "embedding_dim": 8}
    return {
        "model": {"name": "resnet", "args": resnet}, "head": {"name": kind, "args": HEADS[kind]}, "phases": [phase],
        "loss": {"name": "sphereface2"}, "optimizer": {"name": "sgd"}, "grad_clip": 3.0,
    }  # fmt: skip


@dataclass
class Asked:
    """Stands for a signal that the second process gets after so many steps; 0: never."""

    trainer: Trainer
    steps: int

    @property
    def reason(self) -> str | None:
        done = STEPS * self.trainer.epoch + self.trainer.step
        return "a test" if self.steps and self.trainer.processes.rank == 1 and done >= self.steps else None


def train(folder: Path, processes: Processes, config: Config, data: FeatureSet, steps: int) -> dict:
    """Train until the end, or until the second process is asked to stop: what becomes of all that is trained."""
    resources = Resources(torch.device("cpu"))
    trainer = Trainer(config, {"train": data}, folder, resources, lambda *_: {"dev_eer": 0.5}, {}, processes)
    trainer.network.double().register_forward_pre_hook(lambda _, arguments: (arguments[0].double(), *arguments[1:]))
    trainer.head.double()
    done = trainer.run(Asked(trainer, steps))
    head = trainer.head.full_state()
    return {
        "done": done, "place": [trainer.epoch, trainer.step], "rows": head["rows"], "loss": head["loss"],
        "model": trainer.network.state_dict(), "losses": [entry["loss"] for entry in trainer.history],
    }  # fmt: skip


def with_heads(
    folder: Path, processes: Processes, data: FeatureSet, name: str, kinds: list[str], steps: int = 0
) -> dict:
    """What `train` gives with each kind of head, or the message of the error."""
    found = {}
    for kind in kinds:
        try:
            found[kind] = train(folder / name / kind, processes, from_dict(settings(kind), ""), data, steps)
        except InputError as error:
            found[kind] = str(error)
    return found


def apart(folder: Path, processes: Processes, data: FeatureSet) -> dict:
    """What `with_heads` gives if the folder of the first process is not that of the second."""
    return with_heads(folder, processes, data, "stopped" if processes.first else "elsewhere", RESUMED[:1])


def main() -> None:
    """Forks of this process, in which torch has not computed yet, begin at once."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    data = open_set(make_data(folder / "data"), from_dict(settings(), ""))
    found = {f"of{n}": run_ranks(folder, n, with_heads, data, f"of{n}", kinds) for n, kinds in TRAININGS.items()}
    found["stopped"] = run_ranks(folder, 3, with_heads, data, "stopped", RESUMED, STOPPED)
    found["apart"] = run_ranks(folder, 2, apart, data)
    for n in (1, 2, 3):
        shutil.copytree(folder / "stopped", folder / f"on{n}")
        found[f"on{n}"] = run_ranks(folder, n, with_heads, data, f"on{n}", RESUMED)
    torch.save(found, folder / "found.pt")


if __name__ == "__main__":
    main()
