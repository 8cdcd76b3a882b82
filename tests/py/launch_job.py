"""A process that does nothing but meet the others: ``python -m launch_job <minutes> <step> <kind of death>``.

The second of them meets with the death at that step: "hang", or "fail" with status 3. Each prints its pid at first.
"""

import os
import sys
import time

import torch

from sv_py import log
from sv_py.train.distributed import connect


def main() -> None:
    """Meet until the death."""
    minutes, last, how = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    log.setup()
    processes = connect(torch.device("cpu"), minutes)
    print(f"rank {processes.rank} of {processes.count}: pid {os.getpid()}, {processes.texts(['ä' * processes.rank])}")
    sys.stdout.flush()
    step = 0
    while True:
        processes.beat(f"step {step}")
        if processes.rank == 1 and step == last:
            if how == "fail":
                sys.exit(3)
            time.sleep(600)
        processes.sum(torch.ones(2))
        step += 1
        time.sleep(0.05)


if __name__ == "__main__":
    main()
