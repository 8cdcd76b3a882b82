"""Log lines and progress bars."""

import logging
import sys
from collections.abc import Iterable

from tqdm import tqdm

logger = logging.getLogger("sv_py")


def setup() -> None:
    """Send log lines with time and level to stderr (a job's log takes both streams)."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )


class _Lines:
    """A stream on which a progress bar writes lines, where it would redraw itself on a terminal."""

    def write(self, text: str) -> None:
        if text.strip():
            sys.stderr.write(f"{text.strip()}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(
    items: Iterable | None, total: int | None = None, what: str = "", unit: str = "utt", initial: int = 0,
    width: int = 100, hidden: bool = False, delay: float = 0,
) -> tqdm:  # fmt: skip
    """A progress bar with rate and time left; in a log file a line of ``width`` every 30 s.

    What takes less than ``delay`` seconds has none.
    """
    live = sys.stderr.isatty()
    return tqdm(
        items, total=total, desc=what, unit=unit, initial=initial, dynamic_ncols=live, ncols=None if live else width,
        file=sys.stderr if live else _Lines(), mininterval=0.5 if live else 30, maxinterval=10 if live else 60,
        disable=hidden, delay=delay,
    )  # fmt: skip
