"""Sounds that augmentation mixes in: a role such as `noise`, bound to a data dir with audio shards."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from sv_py.cli import InputError
from sv_py.data.store import AudioStore

_TRIES = 8  # to find another speaker than one's own


class Pool:
    """The utterances of a store, each of which is as likely to be drawn as any other. A draw reads what it returns."""

    def __init__(self, store: AudioStore):
        self.store = store

    def segment(self, rng: np.random.Generator, num_samples: int, other_than: int | None = None) -> np.ndarray:
        """So many samples from anywhere in an utterance, int16; a shorter one is repeated, from anywhere in it.

        ``other_than``: a row whose speaker is not wanted; only where nearly all is of that speaker may it be drawn.
        """
        table = self.store.table
        row = int(rng.integers(len(table)))
        for _ in range(_TRIES if other_than is not None else 0):
            if table.speaker[row] != table.speaker[other_than]:
                break
            row = int(rng.integers(len(table)))
        length = int(table.length[row])
        if length >= num_samples:
            start = int(rng.integers(length - num_samples + 1))
            return self.store.read(row, start, start + num_samples)
        return np.resize(np.roll(self.store.read(row), -int(rng.integers(length))), num_samples)

    def whole(self, rng: np.random.Generator) -> np.ndarray:
        """All samples of an utterance, int16."""
        return self.store.read(int(rng.integers(len(self.store))))


def open_pools(
    bindings: Mapping[str, Path], roles: Iterable[str], rate: int, train: AudioStore | None = None
) -> dict[str, Pool]:
    """The pools of those ``roles`` that are bound; ``train``: what the role of that name stands for, where it is known.

    Raises InputError for a data dir that does not exist, has no audio shards, or has another rate than ``rate`` Hz.
    """
    stores = {role: AudioStore(bindings[role]) for role in sorted(roles) if role in bindings}
    if train is not None and "train" in roles:
        stores["train"] = train
    for role, store in stores.items():
        if store.rate != rate:
            raise InputError(f"is of {store.rate} Hz, as '{role}' for audio of {rate} Hz", store.path / "audio.id")
    return {role: Pool(store) for role, store in stores.items()}
