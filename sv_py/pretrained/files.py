"""Others' files with weights -> tensors by name. Nothing in a file is run."""

import pickle
import re
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from sv_py.cli import InputError, first_few

_NESTED = ("state_dict", "model")  # where some keep the weights beside other things
_WANTED = "wanted is a file of tensors alone, as torch.save(model.state_dict(), file) makes it"


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a state_dict, on the CPU, without the prefix `module.` of data-parallel training.

    Raises InputError for a file that is missing, damaged or holds anything but tensors by name.
    """
    if not path.is_file():
        raise InputError("no such file", path)
    if _is_program(path):
        raise InputError(f"is a TorchScript program, which is code; {_WANTED}", path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        kind = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({kind[1]})" if kind else ""
        raise InputError(f"holds pickled objects{what}, and loading those could run code; {_WANTED}", path) from None
    except (RuntimeError, zipfile.BadZipFile, EOFError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or ["empty"])[0]
        raise InputError(f"truncated or not a file of tensors: {reason}", path) from None
    nested = next((key for key in _NESTED if isinstance(state, dict) and isinstance(state.get(key), dict)), None)
    if nested:
        state = state[nested]
    if not isinstance(state, dict) or not state:
        raise InputError(f"holds no tensors by name, but a {type(state).__name__}", path)
    others = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise InputError(f"holds more than tensors: {first_few(others)}", path)
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return dict(state)


def _is_program(path: Path) -> bool:
    """Whether a file is what torch.jit.save makes."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
