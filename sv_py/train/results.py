"""The model files of a phase's epochs, and the weights that the phase ends with."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from sv_py.cli import InputError
from sv_py.log import logger
from sv_py.schema import Result
from sv_py.train import checkpoint

_FALL_BACK = 2  # epochs: the last checkpoint may prove damaged, or not be written any more


class EpochFiles:
    """Model files of finished epochs, ``folder``/0001.pt and so on; those that ``result`` may need are kept.

    A history is a list of the numbers of the phase's finished epochs, in their order: dicts with ``epoch``, counted
    from 1, and what ``result.by`` names.
    """

    def __init__(self, folder: Path, result: Result):
        self.folder, self.result = folder, result

    def save(self, history: Sequence[dict], state: dict[str, Any]) -> None:
        """Write the model of the last epoch of ``history``, and drop the files that are not needed any more.

        Needed are those of the result as it stands, the best and the last one; also as it stood one and two epochs
        ago, from where a training may have to go on.
        """
        checkpoint.save(self._path(history[-1]), state)
        needed = set()
        for end in range(len(history), max(0, len(history) - 1 - _FALL_BACK), -1):
            past = history[:end]
            needed |= {self._path(entry) for entry in (*self._chosen(past), self._ranked(past)[0], past[-1])}
        checkpoint.tidy(self.folder, needed)

    def is_over(self, history: Sequence[dict]) -> bool:
        """Whether ``result.patience`` epochs in a row have not been better than the best one before them."""
        if not self.result.patience or not history:
            return False
        return history[-1]["epoch"] - self._ranked(history)[0]["epoch"] >= self.result.patience

    def weights(self, history: Sequence[dict]) -> dict[str, Any]:
        """The model that the phase ends with: that of an epoch, or the mean of several.

        Raises InputError if a file is missing or damaged, or if they are not of one network with the same speakers.
        """
        chosen = sorted(self._chosen(history), key=lambda entry: entry["epoch"])
        numbers = ", ".join(str(entry["epoch"]) for entry in chosen)
        logger.info("%s: weights of epoch%s %s", self.folder.parent.name, "s" * (len(chosen) > 1), numbers)
        return mean_of([self._path(entry) for entry in chosen])

    def _chosen(self, history: Sequence[dict]) -> Sequence[dict]:
        """The epochs whose weights make the result."""
        average = self.result.average
        return history[-average:] if self.result.of == "last" else self._ranked(history)[:average]

    def _ranked(self, history: Sequence[dict]) -> list[dict]:
        """The epochs from the best to the worst, of equals the first one first; what is no number is the worst."""
        values = ((entry[self.result.by], entry) for entry in history)
        return [entry for _, entry in sorted(values, key=lambda pair: (math.isnan(pair[0]), pair[0]))]

    def _path(self, entry: dict) -> Path:
        return self.folder / f"{entry['epoch']:04d}.pt"


def mean_of(paths: Sequence[Path]) -> dict[str, Any]:
    """The model whose floating-point tensors are the means, taken in float64, over model files.

    Everything else is that of the last file. Raises InputError as `EpochFiles.weights`.
    """
    state = checkpoint.load(paths[0])
    if len(paths) == 1:
        return state
    total = _of_floats(torch.Tensor.double, state)
    for path in paths[1:]:
        state = checkpoint.load(path)
        if _layout(state) != _layout(total):
            raise InputError(f"cannot be averaged with {paths[0]}: another network or other speakers", path)
        total = _of_floats(torch.Tensor.add_, total, state)
    return _of_floats(lambda value, last: (value / len(paths)).to(last.dtype), total, state)


def _of_floats(function: Callable[..., torch.Tensor], *states: Any) -> Any:
    """``function`` of the floating-point tensors that have one place in all states; other values of the last one."""
    last = states[-1]
    if isinstance(last, dict):
        return {key: _of_floats(function, *(state[key] for state in states)) for key in last}
    return function(*states) if isinstance(last, torch.Tensor) and last.is_floating_point() else last


def _layout(state: Any) -> Any:
    """What states must have alike to be averaged: keys, shapes and lists, such as that of the speakers."""
    if isinstance(state, dict):
        return {key: _layout(value) for key, value in state.items()}
    return state.shape if isinstance(state, torch.Tensor) else state if isinstance(state, list) else None
