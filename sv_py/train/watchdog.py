"""A thread in each process of a training that notices when nobody goes on, and says whom all wait for."""

import faulthandler
import json
import logging
import os
import socket
import sys
import threading
import time
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from sv_py.log import logger

_ANSWER = timedelta(seconds=20)  # how long the store may take
_FAREWELL = 10  # seconds that this process may be slower than the one that keeps the store
_GAP = 5  # intervals without a look around


class Watchdog:
    """Ends this process with status 1 if it makes no progress for ``timeout`` seconds: ``rank`` of ``count``.

    Each process keeps what it is doing in ``store``, of which this one has a connection of its own. Whom all wait for
    is the process that is not running (stopped, or its machine is gone), else those that came to the fewest meetings.
    """

    def __init__(self, store: dist.Store, rank: int, count: int, timeout: float):
        self._store, self._rank, self._count, self._timeout = store, rank, count, timeout
        self._interval = min(5.0, timeout / 8)
        self._meetings, self._writes = 0, 0
        self._stopped = threading.Event()
        store.set_timeout(_ANSWER)

    def start(self) -> None:
        """Begin to watch."""
        self.beat("start")
        self._write()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer."""
        self.beat("end")
        self._stopped.set()

    def beat(self, what: str) -> None:
        """There is progress: ``what`` begins."""
        self._what, self._since = what, time.monotonic()

    def meet(self) -> None:
        """There is progress: a computation of all processes begins, which none ends before all have come."""
        self._meetings += 1
        self._since = time.monotonic()

    @property
    def _idle(self) -> float:
        """Seconds since there was progress."""
        return time.monotonic() - self._since

    def _watch(self) -> None:
        try:
            looked = time.monotonic()
            while not self._stopped.wait(self._interval):
                looked, before = time.monotonic(), looked
                if looked - before > _GAP * self._interval:  # it was stopped, as batch systems suspend jobs
                    self._since = looked
                self._write()
                if self._idle > self._timeout and (reason := self._find()):
                    if self._store.add("ends", 1) == 1:  # one process says it for all
                        logger.error("%s", reason)
                    time.sleep(self._interval)  # for what others have to say: all are ended after the first
                    self._end()
        except RuntimeError as error:  # of the store
            if not self._stopped.wait(_FAREWELL):
                logger.error("what started this training, or its first process, has gone: %s", error)
                self._end()

    def _write(self) -> None:
        self._writes += 1
        now = time.time()
        state = {
            "what": self._what, "since": now - self._idle, "now": now, "meetings": self._meetings,
            "writes": self._writes, "host": socket.gethostname(), "pid": os.getpid(),
        }  # fmt: skip
        self._store.set(str(self._rank), json.dumps(state))

    def _read(self) -> list[dict[str, Any]]:
        """What all processes say of themselves."""
        return [json.loads(self._store.get(str(rank))) for rank in range(self._count)]

    def _find(self) -> str:
        """Whom all wait for; nobody, if it was worth the waiting. Those that run have written meanwhile."""
        before = self._read()
        for _ in range(3):
            time.sleep(self._interval)
            self._write()
        if self._idle <= self._timeout:
            return ""
        states = self._read()
        silent = [rank for rank, state in enumerate(states) if state["writes"] == before[rank]["writes"]]
        meetings = [state["meetings"] for state in states]
        late = [rank for rank, met in enumerate(meetings) if met < max(meetings) and met == min(meetings)]
        found = silent or late
        if not found or self._rank in found:
            print(f"rank {self._rank} is here:", file=sys.stderr, flush=True)
            faulthandler.dump_traceback(sys.stderr)
        texts = [_tell(rank, states[rank], rank in silent) for rank in found or range(self._count)]
        return "; ".join(texts) + ("; the others wait for it" if found else "; each waits for the others")

    def _end(self) -> None:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(1)


def _tell(rank: int, state: dict[str, Any], silent: bool) -> str:
    """What a process does, or did when it last said so."""
    who, now = f"rank {rank} ({state['host']}, pid {state['pid']})", time.time()
    if silent:
        return f"{who} has not been running for {now - state['now']:.0f} s, stopped or cut off in '{state['what']}'"
    return f"{who} has been in '{state['what']}' for {now - state['since']:.0f} s"
