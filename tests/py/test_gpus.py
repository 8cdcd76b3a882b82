"""Trainings on GPUs, on machines that have them: the same as in one process, and to the same bits after a stop."""

import json
import sys
from pathlib import Path

import pytest
import torch
from distributed_job import HEADS, make_data, settings

DEVICE = "cuda"


@pytest.fixture
def train(run, root, tmp_path):
    """``train(exp, *options, processes=1, **changes)``: a training in ``exp`` of so ``changes``d settings."""
    data = make_data(tmp_path / "data")

    def call(exp: Path, *options: object, processes: int = 1, **changes: dict) -> None:
        config = tmp_path / "config.yaml"
        config.write_text(json.dumps(settings() | changes))
        launch = ["sv_py.launch", "--processes", processes] if processes > 1 else []
        places = config, data, data, exp
        run(sys.executable, "-m", *launch, "sv_py.train", "--device", DEVICE, *options, *places, PYTHONPATH=root)

    return call


def stopped(exp: Path) -> bool:
    """Whether the training stopped politely."""
    return (exp / "unfinished").exists() and not (exp / "final.pt").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
@pytest.mark.parametrize("kind", HEADS)
def test_a_gpu_goes_on_in_bfloat16_to_the_same_bits(train, tmp_path, kind):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    head = {"name": kind, "args": HEADS[kind]}
    changes = {"compute": {"autocast": "bf16", "deterministic": True}, "head": head}
    train(whole, **changes)
    for _ in range(2):
        train(parts, "--max-hours", 1e-9, **changes)  # a step
        assert stopped(parts)
    train(parts, "--num-workers", 2, **changes)
    assert (parts / "final.pt").read_bytes() == (whole / "final.pt").read_bytes()
    first, last = (json.loads(line) for line in (whole / "phases/first/metrics.jsonl").read_text().splitlines())
    assert last["loss"] < first["loss"] - 1


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="torch finds no two GPUs")
@pytest.mark.parametrize("kind", HEADS)
def test_two_gpus_train_like_one(train, tmp_path, kind):
    alone, together = tmp_path / "alone", tmp_path / "together"
    changes = {"compute": {"tf32": False}, "head": {"name": kind, "args": HEADS[kind]}}
    train(alone, **changes)
    train(together, "--max-hours", 1e-9, processes=2, **changes)
    assert stopped(together)
    train(together, processes=2, **changes)
    ours, theirs = (torch.load(exp / "final.pt", weights_only=True) for exp in (together, alone))
    torch.testing.assert_close(ours["model"], theirs["model"], rtol=0, atol=5e-3)
    torch.testing.assert_close(ours["head"]["rows"], theirs["head"]["rows"], rtol=0, atol=5e-3)
