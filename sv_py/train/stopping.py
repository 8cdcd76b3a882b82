"""Stopping a training politely: on a signal or after so many hours, with a checkpoint from which it can go on."""

import math
import os
import signal
import time
from pathlib import Path
from types import FrameType

from sv_py.io.text import write_lines
from sv_py.log import logger

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # of dispatchers and users; of batch systems, before the time is up
_ONE_REQUEST = 5.0  # s in which a repeated signal is the same request: group and launcher both pass it on
_PROMISE = b"a signal to stop: a checkpoint is saved after this step; another SIGTERM ends the training at once\n"


class Stopping:
    """Whether the training has to stop soon: ``with Stopping(hours) as stopping: ... if stopping.reason: ...``.

    Inside the block, SIGTERM and SIGUSR1 only give a reason; a second SIGTERM ends the process as it always would.
    ``max_hours`` counts from here on; 0: any time. To be entered in the main thread.
    """

    def __init__(self, max_hours: float = 0.0):
        self._max_hours = max_hours
        self._end = time.monotonic() + 3600 * max_hours if max_hours else math.inf
        self._signal: str | None = None
        self._since = 0.0

    def __enter__(self) -> "Stopping":
        self._before = {number: signal.signal(number, self._request) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def reason(self) -> str | None:
        """Why the training has to stop, such as ``SIGTERM`` or ``--max-hours 2``; None: it has not."""
        if self._signal is None and time.monotonic() >= self._end:
            return f"--max-hours {self._max_hours:g}"
        return self._signal

    def _request(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signal is None:
            self._signal, self._since = signal.Signals(number).name, now
            os.write(2, _PROMISE)  # a step may take a while; a log record could interrupt another one half-way
        elif number == signal.SIGTERM and now - self._since > _ONE_REQUEST:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def mark(folder: Path, text: str) -> None:
    """Say in one line in ``folder``/unfinished, and in the log, where and why the training stopped."""
    logger.info("%s; a checkpoint is saved, run again to go on", text)
    write_lines(folder / "unfinished", [text])


def clear(folder: Path) -> None:
    """Take back what `mark` said."""
    (folder / "unfinished").unlink(missing_ok=True)
