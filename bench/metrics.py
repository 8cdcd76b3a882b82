"""How long do EER and minDCF of 600,000 trials take, and how does that compare with merely sorting them?

Prints one JSON line per figure. The shares of targets are VoxCeleb1-E's (half) and a sparse list's (1 %).
"""

import json
import time
from collections.abc import Callable

import numpy as np

from sv_py.io.pairs import Pairs
from sv_py.metrics import REPLICATES
from sv_py.scoring.bootstrap import intervals
from sv_py.scoring.metrics import summarise

TRIALS, SPEAKERS = 600_000, 1251


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The best of ``repeats``: the others were disturbed."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def report(figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": "metrics", "figure": figure, "value": round(value, 4), "unit": unit}))


def main() -> None:
    """Measure."""
    random = np.random.default_rng(0)
    for share in (0.5, 0.01):
        target = random.random(TRIALS) < share
        scores = random.standard_normal(TRIALS) + 3 * target
        taken = seconds(lambda s=scores, t=target: summarise(s, t), 20)
        sorting = seconds(lambda s=scores: np.argsort(s), 20)
        label = f"{share:.0%} targets"
        report(f"EER and 3 minDCF of {TRIALS} trials, {label}", taken, "s")
        report(f"ratio to numpy.argsort, {label}", taken / sorting, "1")

        enrol = random.integers(SPEAKERS, size=TRIALS)
        test = np.where(target, enrol, (enrol + random.integers(1, SPEAKERS, size=TRIALS)) % SPEAKERS)
        pairs = Pairs([str(k) for k in range(SPEAKERS)], enrol, test)
        taken = seconds(lambda p=pairs, s=scores, t=target: intervals(p, s, t, np.arange(SPEAKERS), REPLICATES, 0), 1)
        report(f"speaker bootstrap, {REPLICATES} replicates, {label}", taken, "s")


if __name__ == "__main__":
    main()
