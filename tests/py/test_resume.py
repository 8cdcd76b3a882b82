"""Trainings that are killed, stopped or damaged at any moment end with the bits of one that was left alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from loader_data import make_audio, read_wavs

from sv_py.io.text import write_lines
from sv_py.train import checkpoint

PHASE = {"batch_size": 4, "crop": 30, "result": {"ema": 0.9}}
SPEEDS = {"augment": {"speed": [0.9, 1.1]}}
BOTH = {"sets": ["train", "extra"], "mix": [1, 2]}
CONFIG = {
    "model": {"name": "bilstm", "args": {"width": 6, "hidden_dim": 8, "head_dim": 8}},  # it has dropout
    "features": {"frontend": {"name": "kaldi_fbank", "args": {"num_mel_bins": 20, "dither": 1.0}}},
    "data": {"source": "audio", "window": 2},
    "grad_clip": 5.0,
    "phases": [
        PHASE | SPEEDS | {"name": "warm", "epochs": 3, "crops_per_utt": 4, "rate": {"peak": 0.05}, "micro_batch": 2},
        PHASE | SPEEDS | BOTH | {"name": "mix", "epochs": 2, "crops_per_utt": 4, "rate": {"decay": "step", "every": 1}},
        PHASE | BOTH | {"name": "lmft", "epochs": 2, "crops_per_utt": 4, "crop": [35, 45], "margin": 0.4}
        | {"rate": {"peak": 0.01, "decay": "cosine"}, "result": {"average": 2}},
    ],
}  # fmt: skip


class Trainings:
    """Runs trainings by ``resumed_job.py``, on the same data."""

    def __init__(self, folder: Path, process: subprocess.Popen):
        self.folder, self.process = folder, process
        self.running = False

    def argv(self, exp: Path, *options: object) -> list[str]:
        """Arguments of sv_py.train."""
        data = self.folder
        argv = ["sv_py.train", "--device", "cpu", "--num-threads", 1, *options, "--extra-dir", data / "extra"]
        return [str(word) for word in (*argv, data / "config.yaml", data / "train", data / "dev", exp)]

    def start(self, exp: Path, *options: object, kill: tuple | None = None, file_size: int | None = None) -> int:
        """Begin a training in ``exp``, to be awaited before the next; its process, and process group."""
        if self.running:  # a test has failed
            self.wait()
        exp.mkdir(exist_ok=True)
        (exp / "log").touch()
        job = {"argv": self.argv(exp, *options), "kill": kill, "file_size": file_size, "log": str(exp / "log")}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        self.running = True
        return int(self.process.stdout.readline())

    def wait(self) -> int:
        """The exit status; -9 of one that was killed."""
        code, self.running = int(self.process.stdout.readline()), False
        return code

    def run(self, exp: Path, *options: object, **how) -> int:
        """The exit status of a training."""
        self.start(exp, *options, **how)
        return self.wait()


@pytest.fixture(scope="module")
def trainings(tmp_path_factory, tiny_wavs, root):
    folder = tmp_path_factory.mktemp("trainings")
    waves = read_wavs(tiny_wavs)
    backwards = {
        f"{name}-{n}": waves[f"{spk}-{n}"][::-1] for name, spk in (("eve", "ann"), ("fay", "cal")) for n in "12"
    }
    for name, audio in (("train", waves), ("extra", backwards), ("dev", waves)):
        make_audio(folder / name, audio)
    write_lines(folder / "dev/trials", ["ann-1 ann-2 target", "ann-1 bea-1 nontarget", "cal-1 bea-1 nontarget"])
    (folder / "config.yaml").write_text(json.dumps(CONFIG))  # JSON is YAML
    command = [sys.executable, Path(__file__).with_name("resumed_job.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(root)}, text=True, **pipes) as process:
        yield Trainings(folder, process)


@pytest.fixture(scope="module")
def undisturbed(trainings, tmp_path_factory) -> Path:
    exp = tmp_path_factory.mktemp("undisturbed")
    assert trainings.run(exp) == 0, (exp / "log").read_text()
    return exp


def moments() -> list[tuple[str, int, float]]:
    """24 moments of death: (part of a path, which opening of such a file, ms after it); in and between all phases."""
    rng = np.random.default_rng(0)
    found = []
    for phase in ("warm", "mix", "lmft"):
        found += [("checkpoints", int(rng.integers(1, 4)), rng.uniform(0, 8)) for _ in range(6)]
        found += [(f"{phase}/epochs", 1, 0.0), (f"{phase}/.final.pt", 1, rng.uniform(0, 4))]
    return found


@pytest.fixture(scope="module")
def halfway(trainings, tmp_path_factory) -> Path:
    """An experiment that died in its second phase, with two checkpoints of it."""
    exp = tmp_path_factory.mktemp("halfway")
    assert trainings.run(exp, "--checkpoint-minutes", 0, kill=("mix/checkpoints", 9, 0.0)) == -signal.SIGKILL
    return exp


@pytest.fixture
def exp(halfway, tmp_path) -> Path:
    return Path(shutil.copytree(halfway, tmp_path / "exp"))


@pytest.fixture
def newest(exp) -> Path:
    """The newest of its checkpoints."""
    return sorted((exp / "phases/mix/checkpoints").glob("*.pt"))[1]


@pytest.fixture
def ends_as_undisturbed(trainings, undisturbed):
    """``check(exp, *options)``: gone on with, the training ends with the bits of one that was left alone."""

    def check(exp: Path, *options: object) -> None:
        assert trainings.run(exp, *options) == 0, (exp / "log").read_text()
        assert (exp / "final.pt").read_bytes() == (undisturbed / "final.pt").read_bytes()
        assert not (exp / "unfinished").exists()

    return check


def test_killed_at_two_dozen_moments_with_other_readers_each_time_the_bits_are_the_same(
    trainings, tmp_path, undisturbed, ends_as_undisturbed
):
    exp = tmp_path / "exp"
    for i, moment in enumerate(moments()):
        options = "--checkpoint-minutes", 0, "--num-workers", i % 3
        assert trainings.run(exp, *options, kill=moment) == -signal.SIGKILL, moment
    ends_as_undisturbed(exp)
    for phase in ("warm", "mix", "lmft"):
        told, expected = (
            [json.loads(line) for line in (folder / f"phases/{phase}/metrics.jsonl").read_text().splitlines()]
            for folder in (exp, undisturbed)
        )
        for key in ("epoch", "loss", "accuracy", "rate", "margin", "dev_eer"):
            assert [numbers[key] for numbers in told] == [numbers[key] for numbers in expected]


def test_at_the_start_the_head_is_that_of_the_first_phase(undisturbed):
    assert "with the head of 12 classes" in (undisturbed / "log").read_text()  # of 18 with those of the second


def test_a_checkpoint_that_ends_at_any_byte_is_refused(newest, caplog):
    whole = newest.read_bytes()
    state = checkpoint.load(newest)
    lengths = [0, 1, len(whole) - 1, *np.random.default_rng(0).integers(len(whole), size=40).tolist()]
    for length in lengths:
        newest.write_bytes(whole[:length])
        assert checkpoint.latest([newest.parent])["step"] == state["step"] - 1
    assert caplog.text.count("truncated or not a checkpoint") == len(lengths)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("truncated", "truncated or not a checkpoint"),
        ("empty", "truncated or not a checkpoint"),
        ("text", "truncated or not a checkpoint"),
        ("model", "a model, not a checkpoint of a training"),
        ("other", "were made with another seed"),
    ],
)
def test_a_newest_checkpoint_that_is_damaged_or_foreign_is_told_and_the_one_before_is_used(
    undisturbed, exp, newest, ends_as_undisturbed, content, reason
):
    if content == "model":
        shutil.copy(undisturbed / "final.pt", newest)
    elif content == "other":
        state = checkpoint.load(newest)
        checkpoint.save(newest, state | {"config": state["config"] | {"seed": 7}})
    else:
        newest.write_bytes({"truncated": newest.read_bytes()[:5000], "empty": b"", "text": b"hello\n"}[content])
    ends_as_undisturbed(exp)
    log = (exp / "log").read_text()
    assert f"{newest}: " in log and reason in log and "; trying the one before" in log


def test_where_all_checkpoints_are_another_experiments_nothing_is_trained(trainings, exp):
    for path in (exp / "phases").rglob("checkpoints/*.pt"):
        state = checkpoint.load(path)
        checkpoint.save(path, state | {"config": state["config"] | {"seed": 7}})
    before = {path: path.read_bytes() for path in (exp / "phases").rglob("*.*")}
    assert trainings.run(exp) == 1
    assert "were made with another seed: take another --tag" in (exp / "log").read_text().splitlines()[-1]
    assert {path: path.read_bytes() for path in (exp / "phases").rglob("*.*")} == before


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_signal_to_all_processes_stops_with_a_checkpoint_and_success(
    trainings, tmp_path, ends_as_undisturbed, name, workers
):
    exp = tmp_path / "exp"
    group = trainings.start(exp, "--num-workers", workers)
    deadline = time.monotonic() + 60
    while "warm epoch 2/3:" not in (exp / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for _ in range(3):  # as a dispatcher and a launcher may both pass it on
        os.killpg(group, getattr(signal, name))
    assert trainings.wait() == 0, (exp / "log").read_text()
    assert (exp / "unfinished").read_text().endswith(f": stopped by {name}\n")
    assert not (exp / "final.pt").exists() and "Traceback" not in (exp / "log").read_text()
    ends_as_undisturbed(exp, "--num-workers", 2 - workers)


def test_after_so_many_hours_it_stops_with_a_checkpoint(trainings, tmp_path, ends_as_undisturbed):
    exp = tmp_path / "exp"
    for step in (1, 2):
        assert trainings.run(exp, "--max-hours", 1e-9) == 0
        assert (exp / "unfinished").read_text() == f"warm, epoch 1 of 3, step {step}: stopped by --max-hours 1e-09\n"
    ends_as_undisturbed(exp, "--max-hours", 10)


def test_a_disk_that_is_full_ends_the_training_and_leaves_the_checkpoints(trainings, exp, newest, ends_as_undisturbed):
    before = {path: path.read_bytes() for path in newest.parent.iterdir()}
    assert trainings.run(exp, "--checkpoint-minutes", 0, file_size=newest.stat().st_size // 2) == 1
    last = (exp / "log").read_text().splitlines()[-1]
    assert last.endswith("checkpoints/000000008.pt: File too large"), last
    assert {path: path.read_bytes() for path in newest.parent.iterdir()} == before
    ends_as_undisturbed(exp)
