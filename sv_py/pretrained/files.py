"""Others' files with weights -> tensors by name. Nothing in a file is run."""

import pickle
import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from sv_py.cli import InputError, first_few

_NESTED = ("state_dict", "model")  # where some keep the weights beside other things
_PREFIXES = ("module.", "_orig_mod.")  # of data-parallel training and of torch.compile
_WANTED = "wanted is a file of tensors alone, as torch.save(model.state_dict(), file) makes it"


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a state_dict, on the CPU, without the prefixes that wrapping a network adds to all names.

    Raises InputError for a file that is missing, damaged or holds anything but tensors by name.
    """
    if not path.is_file():
        raise InputError("no such file", path)
    state = _load(path)
    while nested := next((key for key in _NESTED if isinstance(state, dict) and isinstance(state.get(key), dict)), ""):
        state = state[nested]
    if not isinstance(state, dict) or not state:
        raise InputError(f"holds no tensors by name, but a {type(state).__name__}", path)
    others = [str(key) for key, value in state.items() if not (isinstance(key, str) and _is_plain(value))]
    if others:
        raise InputError(f"holds more than tensors by name: {first_few(others)}; {_WANTED}", path)
    while prefix := next((prefix for prefix in _PREFIXES if all(key.startswith(prefix) for key in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def _load(path: Path) -> object:
    """What torch.save put into a file. Raises InputError for anything that is not plain."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TorchScript, which is refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        kind = re.search(r"GLOBAL (\S+)", str(error))
        what = f"holds pickled objects ({kind[1]})" if kind else "is not of torch.save, or holds pickled objects"
        raise InputError(f"{what}, and loading those could run code; {_WANTED}", path) from None
    except Exception as error:  # of damaged bytes, by which every check of torch.load may fail
        if "TorchScript" in str(error):
            raise InputError(f"is a TorchScript program, which is code; {_WANTED}", path) from None
        if "legacy .tar" in str(error):
            raise InputError(f"has a format from before PyTorch 0.4, which is not read; {_WANTED}", path) from None
        reason = (str(error).splitlines() or ["empty"])[0].partition(". ")[0]  # advice follows
        raise InputError(f"truncated or not a file of tensors: {reason}", path) from None


def _is_plain(value: object) -> bool:
    """Whether a value is a tensor that holds its numbers one by one."""
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized and not value.is_meta
