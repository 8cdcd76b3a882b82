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


def progress(items: Iterable, total: int | None = None, what: str = "", unit: str = "utt", initial: int = 0) -> tqdm:
    """A progress bar with rate and time left; a line every 30 s where stderr is a log file."""
    live = sys.stderr.isatty()
    return tqdm(
        items, total=total, desc=what, unit=unit, initial=initial, dynamic_ncols=live, file=sys.stderr,
        mininterval=0.5 if live else 30, maxinterval=10 if live else 60,
    )  # fmt: skip
