"""Checkpoints: written whole, the last ones kept, read without running code."""

import errno
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch

from sv_py.cli import InputError
from sv_py.io.atomic import replace_file
from sv_py.log import logger

_NUMBERED = "[0-9]*.pt"  # files of a step or an epoch
_PLACE = ("phase", "epoch", "step")  # what a checkpoint has beyond a model


def save(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, plain values, dicts and lists of them) to ``path``, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path, "wb") as file:
        torch.save(state, file)


def load(path: str | Path) -> dict[str, Any]:
    """What ``save`` wrote, on the CPU. Raises InputError for a file that is missing, truncated or foreign."""
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of damaged bytes, by which every check of torch.load may fail
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a truncated file has it seek before the start
            raise
        reason = (str(error).splitlines() or ["empty"])[0]
        raise InputError(f"truncated or not a checkpoint: {reason}", path) from None
    if not isinstance(state, dict) or "config" not in state or "model" not in state:
        raise InputError(
            "not a checkpoint of this project: no config and model inside; sv_py.import_checkpoint takes others'",
            path,
        )
    return state


def save_step(folder: Path, step: int, state: dict[str, Any], keep: int = 2) -> None:
    """Write the checkpoint of ``step`` and drop all but the last ``keep``, and any of a later step.

    Later ones were passed over as damaged; this one, which takes their place, must not count as the oldest.
    """
    path = folder / f"{step:09d}.pt"
    save(path, state)
    tidy(folder, [old for old in sorted(folder.glob(_NUMBERED)) if old <= path][-keep:])


def tidy(folder: Path, keep: Collection[Path]) -> None:
    """Drop the numbered files of ``folder`` but those to ``keep``, and what a writer that was killed has left."""
    for path in [*folder.glob(_NUMBERED), *folder.glob(f".{_NUMBERED}.*.tmp")]:
        if path not in keep:
            path.unlink()


def latest(folders: list[Path], check: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any] | None:
    """The newest checkpoint that can be used, of the last folder with one; others are named and passed over.

    Others are damaged, foreign, models without a place in a training, or refused by ``check``, which raises InputError;
    that is the error if all whole ones are refused.
    """
    refusals = []
    for path in (path for folder in reversed(folders) for path in sorted(folder.glob(_NUMBERED), reverse=True)):
        state = None
        try:
            state = _load_with_place(path)
            if check is not None:
                check(state)
        except InputError as error:
            logger.warning("%s: %s; trying the one before", path, error.message)
            if state is not None:
                refusals.append(error)
            continue
        logger.info("continuing from %s", path)
        return state
    if refusals:
        raise refusals[0]
    return None


def _load_with_place(path: Path) -> dict[str, Any]:
    state = load(path)
    if lacking := [key for key in _PLACE if key not in state]:
        raise InputError(f"a model, not a checkpoint of a training: no {', '.join(lacking)} inside", path)
    return state
