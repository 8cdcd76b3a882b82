"""Run a module of this package in several processes on this machine, which find each other as torchrun's do.

SIGTERM and SIGUSR1 are passed on, and the processes then have ten minutes to save what they have done. If one fails,
the others are ended, and its number is told.
"""

import math
import os
import signal
import socket
import subprocess
import sys
import time

from sv_py.cli import Parser, command

_STOPPING = 600.0  # seconds that processes may take to stop after a signal
_FAILING = 5.0  # seconds that they have to say what they know, after one has failed
_POLL = 0.1  # seconds


def main() -> int:
    """Start all processes and wait for them; the exit status of the first that fails, or 0."""
    parser = Parser(prog="python -m sv_py.launch", description=__doc__)
    parser.add_argument("--processes", type=int, required=True, help="how many")
    parser.add_argument("module", help="what each runs, such as sv_py.train")
    parser.add_argument("arguments", nargs="...", help="of the module")
    args = parser.parse_args()
    if args.processes < 1:
        parser.error(f"--processes is 1 or more, not {args.processes}")
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, _: signals.append(number))
    meeting = socket.create_server(("127.0.0.1", 0))
    argv = [sys.executable, "-m", args.module, *args.arguments]
    ranks = [
        subprocess.Popen(argv, env=os.environ | _variables(rank, args.processes, meeting.getsockname()[1]))
        for rank in range(args.processes)
    ]
    store = _keep_store(meeting, args.processes)
    failed = _wait(ranks, signals)
    del store
    if failed is None:
        return 0
    code = ranks[failed].returncode
    how = f"ended with status {code}" if code > 0 else f"was killed by {signal.Signals(-code).name}"
    print(f"launch: rank {failed} (pid {ranks[failed].pid}) {how}; all were stopped", file=sys.stderr)
    return code if code > 0 else 128 - code


def _variables(rank: int, count: int, port: int) -> dict[str, str]:
    """What torchrun tells each process, and its share of the CPU."""
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    return {
        "RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True",
        "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
    }  # fmt: skip


def _keep_store(meeting: socket.socket, count: int) -> object:
    """Where the processes find each other: here, since it has to outlive one that hangs or dies."""
    from torch.distributed import TCPStore  # takes seconds, as in the processes, which begin meanwhile

    host, port = meeting.getsockname()
    return TCPStore(host, port, count, is_master=True, wait_for_workers=False, master_listen_fd=meeting.detach())


def _wait(ranks: list[subprocess.Popen], signals: list[int]) -> int | None:
    """Wait until all have ended; the rank that failed first, if any. Those that outlast their time are killed."""
    failed, deadline = None, math.inf
    while True:
        codes = [process.poll() for process in ranks]
        if failed is None and any(codes):
            failed = min((rank for rank in range(len(ranks)) if codes[rank]), key=codes.__getitem__)
            deadline = min(deadline, time.monotonic() + _FAILING)
        if None not in codes:
            return failed
        while signals:
            deadline = min(deadline, time.monotonic() + _STOPPING)
            _send(ranks, signals.pop(0))
        if time.monotonic() > deadline:
            _send(ranks, signal.SIGKILL)
        time.sleep(_POLL)


def _send(ranks: list[subprocess.Popen], number: int) -> None:
    for process in ranks:
        process.send_signal(number)


if __name__ == "__main__":
    command(main)
