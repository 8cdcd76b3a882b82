"""Runs a function, or a script that does so, in several processes of a training."""

import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sv_py.train.distributed import connect


def run_job(name: str, folder: Path, root: Path, timeout: float) -> None:
    """Run the script ``name``, beside this one, for what it writes into ``folder``; it forks, which a test must not."""
    command = [sys.executable, Path(__file__).with_name(name), folder]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr


def run_ranks(folder: Path, count: int, function: Callable, *arguments: Any) -> list[Any]:
    """What ``function(folder, processes, *arguments)``, tensors and plain values, returns in each of the processes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    forks = multiprocessing.get_context("fork")
    jobs = [(rank, count, port, folder, function, arguments) for rank in range(count)]
    processes = [forks.Process(target=_be_rank, args=job) for job in jobs]
    for one in processes:
        one.start()
    for one in processes:
        one.join(240)
        one.kill()
    assert [one.exitcode for one in processes] == [0] * count
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(count)]


def _be_rank(rank: int, count: int, port: int, folder: Path, function: Callable, arguments: tuple) -> None:
    torch.set_num_threads(1)
    variables = {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in variables.items()} | {"MASTER_ADDR": "127.0.0.1"}
    processes = connect("cpu", 1.0)
    found = function(folder, processes, *arguments)
    torch.save(found, folder / f"rank{rank}.pt")
    processes.close()
