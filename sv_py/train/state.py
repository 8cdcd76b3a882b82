"""What the files of a training hold, and how a training takes up from them."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from sv_py.cli import InputError, first_few
from sv_py.config import from_dict, lookup, to_dict
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.store import AudioStore
from sv_py.features.arguments import same_features
from sv_py.io.shard_index import sha256_of
from sv_py.schema import SECTIONS

if TYPE_CHECKING:
    from sv_py.train.loop import Trainer


def identity(trainer: "Trainer") -> dict[str, Any]:
    """Which training a file belongs to."""
    initial, sounds = trainer.resources.initial, {role: pool.store for role, pool in trainer.pools.items()}
    return {
        "config": to_dict(trainer.config), "speakers": trainer.classes, "utterances": _digest_of(trainer.sets),
        "feats_id": trainer.utterances[0].id, "feature_dim": trainer.feature_dim,
        "initial": sha256_of(initial) if initial is not None else "", "sounds": _digest_of(sounds),
    }  # fmt: skip


def _digest_of(sets: Mapping[str, FeatureSet | AudioSet | AudioStore]) -> str:
    """Of the ids and lengths that decide which crops an epoch has; who goes on with others is not where it says."""
    digest = hashlib.sha256()
    for role, utterances in sorted(sets.items()):
        digest.update(f"{role} {len(utterances)}\n".encode())
        for column in (utterances.table.utts, utterances.table.length):
            digest.update(np.ascontiguousarray(column))
    return digest.hexdigest()


def facts(trainer: "Trainer") -> dict[str, Any]:
    """What a user wants to know before it begins."""
    parameters = sum(p.numel() for p in trainer.network.parameters())
    rows = math.prod(trainer.loss.row_shape(trainer.network.head_dim))
    steps = {phase.name: steps for phase, steps in zip(trainer.config.phases, trainer.steps, strict=True)}
    classes = len(trainer.head.speakers)
    return {
        "device": trainer.resources.device, "parameters": parameters, "classes": classes,
        "parameters_with_head": parameters + classes * rows, "steps": steps,
    }  # fmt: skip


def model(trainer: "Trainer", network: nn.Module | None = None) -> dict[str, Any]:
    """A model file: ``network``, if not the one that trains, and the head. All processes must ask for it."""
    head = trainer.head.full_state() | {"optimizer": {}}
    return trainer.identity | {"head": head, "model": (network or trainer.network).state_dict()}


def snapshot(trainer: "Trainer") -> dict[str, Any]:
    """All that decides how the training goes on. All processes must ask for it."""
    optimizer = trainer.optimizers.get("network")
    return trainer.identity | {
        "model": trainer.network.state_dict(), "head": trainer.head.full_state(),
        "optimizer": optimizer.state_dict() if optimizer else {}, "precision": trainer.precision.state_dict(),
        "average": trainer.average.state_dict() if trainer.average is not None else {},
        "phase": trainer.phase, "epoch": trainer.epoch, "step": trainer.step, "sums": trainer.sums,
        "seconds": trainer.seconds, "history": trainer.history, "unreadable": trainer.unreadable,
    }  # fmt: skip


def check(trainer: "Trainer", state: dict[str, Any]) -> None:
    """Raise InputError unless ``state`` is that of the same training."""
    mine = trainer.identity
    if lacking := (mine.keys() - state.keys()) | ({"speakers"} - state.get("head", {}).keys()):
        raise refusal(trainer.folder, f"are of another version of this software (no {', '.join(sorted(lacking))})")
    before = from_dict(state["config"], str(trainer.folder))
    changed = [key for key in SECTIONS["train"] if lookup(before, key) != lookup(trainer.config, key)]
    changed += [key for key in ("speakers", "utterances", "sounds", "feature_dim") if state[key] != mine[key]]
    if not same_features(state["feats_id"], mine["feats_id"]):
        changed.append("feats_id")
    if state["initial"] != mine["initial"]:
        changed.append("--init")
    if changed:
        raise refusal(trainer.folder, f"were made with another {first_few(changed)}")


def all_have(trainer: "Trainer", state: dict[str, Any] | None) -> bool:
    """Whether there is a newest checkpoint, ``state``. All processes must ask; InputError if they found others."""
    mine = "none" if state is None else f"phase {state['phase'] + 1}, epoch {state['epoch'] + 1}, step {state['step']}"
    if len(seen := trainer.processes.texts([mine])) > 1:
        why = f"the processes see different checkpoints there ({'; '.join(seen)}): they need one file system"
        raise InputError(why, trainer.folder)
    return state is not None


def restore(trainer: "Trainer", state: dict[str, Any]) -> None:
    """Take up what `snapshot` gave; the phase's optimisers exist. Raises InputError."""
    try:
        trainer.network.load_state_dict(state["model"])
        trainer.head.load_full_state(state["head"])
        if "network" in trainer.optimizers:
            trainer.optimizers["network"].load_state_dict(state["optimizer"])
        if trainer.average is not None:
            trainer.average.load_state_dict(state["average"])
        trainer.precision.load_state_dict(state["precision"])
        trainer.step, trainer.sums, trainer.seconds = state["step"], state["sums"], state["seconds"]
        trainer.history, trainer.unreadable = state["history"], state["unreadable"]
    except (InputError, RuntimeError, ValueError, KeyError) as error:
        why = f"are of another version of this software ({shorten(str(error), 150)})"
        raise refusal(trainer.folder, why) from None


def refusal(folder: Path, why: str) -> InputError:
    """The error of checkpoints that cannot be used."""
    advice = "take another --tag, or discard them with --restart true"
    return InputError(f"the checkpoints there {why}: {advice}", folder)
