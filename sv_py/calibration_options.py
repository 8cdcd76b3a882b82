"""What the commands of calibration share: the experiment's choice, and score files of one trial list."""

import numpy as np

from sv_py.cli import InputError
from sv_py.config import load
from sv_py.io.scores import Scores, read_scores
from sv_py.registry import Part
from sv_py.scoring.arguments import LinearArguments


def words(text: str) -> list[str]:
    """The words of a list such as 'duration,snr'. Raises ValueError, as argparse wants, for empty or repeated ones."""
    found = text.split(",")
    if not all(found) or len(set(found)) < len(found):
        raise ValueError
    return found


def shares(text: str) -> list[float]:
    """The numbers between 0 and 1 of a list such as '0.05,0.01'. Raises ValueError."""
    found = [float(word) for word in words(text)]
    if not all(0 < number < 1 for number in found):
        raise ValueError
    return found


def chosen_calibration(config: str | None) -> Part:
    """The `scoring.calibration` of an experiment, or without one linear calibration with its default arguments.

    Raises InputError where the experiment has none.
    """
    if not config:
        return Part("linear", LinearArguments())
    part = load(config).scoring.calibration
    if part is None:
        raise InputError("scoring.calibration.name is none: linear or qmf", config)
    return part


def read_systems(paths: list[str], labelled: bool = False) -> list[Scores]:
    """Score files of one trial list, in one order. Raises InputError at the first line that names another trial."""
    systems = [read_scores(path, labelled) for path in paths]
    first = systems[0]
    for path, system in zip(paths[1:], systems[1:], strict=True):
        if len(system) != len(first):
            raise InputError(f"{len(system)} trials, where {paths[0]} has {len(first)}", path)
        names = [np.array(scores.ids, dtype=object) for scores in (first, system)]
        same = (names[0][first.enrol] == names[1][system.enrol]) & (names[0][first.test] == names[1][system.test])
        if first.target is not None and system.target is not None:
            same &= first.target == system.target
        if not same.all():
            raise InputError(f"another trial than in {paths[0]}", path, int(np.argmin(same)) + 1)
    return systems
