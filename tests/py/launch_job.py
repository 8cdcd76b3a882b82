"""A process that does nothing but meet the others: ``python -m launch_job <minutes> <step> <kind of death>``.

The second of them meets with the death at that step: "hang", "fail" with status 3, "refuse" with an InputError, or
"crash"; or both of them, "all hang". Each prints its pid at first.
"""

import itertools
import os
import sys
import time

import torch

from sv_py import log
from sv_py.cli import InputError, command
from sv_py.train.distributed import connect


def main() -> None:
    """Meet until the death."""
    minutes, last, how = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    log.setup()
    with connect("cpu", minutes) as processes:
        said = processes.texts(["ä" * processes.rank])
        print(f"rank {processes.rank} of {processes.count}: pid {os.getpid()}, {said}", flush=True)
        for step in itertools.count():
            processes.beat(f"step {step}")
            if step == last and (processes.rank == 1 or how == "all hang"):
                die(how)
            processes.sum_async(torch.ones(2)).wait()
            time.sleep(0.05)


def die(how: str) -> None:
    """End, or never go on."""
    if how == "fail":
        sys.exit(3)
    elif how == "refuse":
        raise InputError("data/x: it cannot be read")
    elif how == "crash":
        raise ZeroDivisionError
    time.sleep(600)


if __name__ == "__main__":
    command(main)
