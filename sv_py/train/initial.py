"""Where a training starts from: the weights of another one, and which of them stay as they are."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sv_py.cli import InputError, first_few, near_miss
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.features.arguments import difference, same_features
from sv_py.log import logger
from sv_py.losses.head import Head
from sv_py.train import checkpoint

State = dict[str, Any]


def read_initial(path: str | Path, network: nn.Module, utterances: FeatureSet | AudioSet) -> State:
    """A model file, ours or imported. InputError unless it is of this network and of features like ``utterances``."""
    state = checkpoint.load(path)
    if "feats_id" not in state:
        raise InputError("not a model of this project: it does not say of which features", path)
    if not same_features(state["feats_id"], utterances.id):
        there, here = difference(state["feats_id"], utterances.id)
        raise InputError(f"was trained on other features: {there}; here {here}", path)
    there, here = _mean_of(**state["config"]["features"]), _mean_of(**vars(utterances.frames.options))
    if there != here:
        raise InputError(f"was trained with features.cmn: {there}, and this experiment has {here}", path)
    _check_weights(state, network, path)
    return state


def load_initial(path: str | Path, network: nn.Module, head: Head, utterances: FeatureSet | AudioSet) -> list[str]:
    """Take up the weights of a model file and, of its head, the rows of those speakers whom ``head`` has.

    Rows of its other speakers are drawn. Returns the names of those whom the file knows, of none if its rows are of
    another shape or loss. Raises InputError as `read_initial`.
    """
    state = read_initial(path, network, utterances)
    network.load_state_dict(state["model"])
    logger.info("init: %d tensors of %s from %s", len(state["model"]), state["config"]["model"]["name"], path)
    known = _take_rows(state.get("head", {}), head, path)
    counts = [f"{count:,}" for count in (len(head.speakers), len(known), len(head.speakers) - len(known))]
    logger.info("head: %s speakers, %s of them known from there, %s new", *counts)
    return known


def freeze(network: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Let those of the network's parameters that match a pattern stay as they are, and all others learn.

    A pattern, with ``*`` and ``?``, stands for parameters and for modules with all that is in them. Returns the names
    of the parameters that are frozen. Raises InputError for a pattern that matches nothing.
    """
    modules = dict(network.named_modules())
    parameters = dict(network.named_parameters())
    norms = {name: module for name, module in modules.items() if isinstance(module, _BatchNorm)}
    for pattern in patterns:
        if not any(_matches(name, [pattern]) for name in (*parameters, *norms)):
            raise InputError(f"'{pattern}' matches no parameter{near_miss(pattern, [*modules, *parameters])}")
    frozen = [name for name in parameters if _matches(name, patterns)]
    for name, parameter in parameters.items():
        parameter.requires_grad_(name not in frozen)
        if not parameter.requires_grad:
            parameter.grad = None  # of an earlier phase, which an optimiser would still follow
    for name, norm in norms.items():
        learns = norm.weight is None or norm.weight.requires_grad
        norm.frozen = not learns or _matches(name, patterns)
    return frozen


def set_train_mode(network: nn.Module) -> None:
    """Training mode, but for batch norms that `freeze` has frozen: their running statistics stay as they are, too."""
    network.train()
    for module in network.modules():
        if getattr(module, "frozen", False):
            module.eval()


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*") for pattern in patterns)


def _mean_of(cmn: str, cmn_window: int, **_: Any) -> str:
    return f"{cmn} of {cmn_window} frames" if cmn == "sliding" else cmn


def _check_weights(state: State, network: nn.Module, path: str | Path) -> None:
    theirs, ours = _shapes(state["model"]), _shapes(network.state_dict())
    differences = {
        "it lacks": [name for name in ours if name not in theirs],
        "it has also": [name for name in theirs if name not in ours],
        "other shapes": [
            f"{name} {theirs[name]}, here {ours[name]}" for name in ours if theirs.get(name, ours[name]) != ours[name]
        ],
    }
    if found := [f"{what} {first_few(names)}" for what, names in differences.items() if names]:
        name = state["config"]["model"]["name"]
        raise InputError(f"its network ({name}) is not that of this experiment: {'; '.join(found)}", path)


def _take_rows(state: State, head: Head, path: str | Path) -> list[str]:
    """Give ``head`` the rows of the speakers whom it shares with the head of a file; their names."""
    theirs, wanted = set(state.get("speakers", ())), list(head.speakers)
    known = [name for name in wanted if name in theirs]
    if not known:
        return []
    there, here = tuple(state["rows"].shape[1:]), head.loss.row_shape(head.embedding_dim)
    if there != here or _shapes(state["loss"]) != _shapes(head.loss.state_dict()):
        logger.warning("%s: its speakers' rows, of shape %s, are of another loss and do not serve here", path, there)
        return []
    head.select(state["speakers"])
    fresh = dict.fromkeys(head.state_keys, 0) | {"optimizer": {}}
    head.load_full_state(fresh | {key: state[key] for key in ("speakers", "rows", "loss")})
    head.select(wanted)
    return known


def _shapes(weights: State) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in weights.items()}
