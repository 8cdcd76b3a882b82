"""What every augmentation is: a drawing of random numbers and sounds, and their application to a batch."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from sv_py.cli import InputError

Drawn = list[Any]  # of one utterance: one entry per leaf of a tree of augmentations, None where it is not applied


class Sounds(Protocol):
    """What a role is bound to (`sv_py.data.pool.Pool`)."""

    def segment(self, rng: np.random.Generator, num_samples: int, other_than: int | None = None) -> np.ndarray:
        """So many samples, int16, of a sound drawn by ``rng``; not by the speaker of that row."""

    def whole(self, rng: np.random.Generator) -> np.ndarray:
        """All samples, int16, of a sound drawn by ``rng``."""


class Augmentation:
    """A leaf of the tree; ``OneOf`` and ``AllOf`` are its branches.

    Two steps, so that the same code runs in reading processes and on a GPU: ``draw`` on the CPU, utterance by
    utterance, and ``apply`` on batches. What is drawn depends on nothing but the generator and the arguments of
    ``draw``; what is applied to one waveform does not depend on its neighbours in the batch.

    ``jumps``: the result may change by much where the waveform changes in its last bit.
    """

    jumps = False

    def __init__(self, arguments: Any, pools: Mapping[str, Sounds], rate: int):
        self.arguments, self.rate = arguments, rate

    @property
    def leaves(self) -> list["Augmentation"]:
        """The augmentations that `draw` draws for, in the order of their application."""
        return [self]

    def draw(self, rng: np.random.Generator, num_samples: int, row: int | None = None) -> Drawn:
        """What is to be done to one utterance: an entry per leaf.

        ``num_samples``: length of its waveform; ``row``: its place in the training set, if it is of that.
        """
        if rng.random() >= self.arguments.probability:
            return [None] * len(self.leaves)
        return self._draw(rng, num_samples, row)

    def _draw(self, rng: np.random.Generator, num_samples: int, row: int | None) -> Drawn:
        return [self.sample(rng, num_samples, row)]

    def sample(self, rng: np.random.Generator, num_samples: int, row: int | None) -> Any:
        """Of a leaf: what is applied to one waveform, or None for nothing."""
        raise NotImplementedError

    def apply(self, waveforms: torch.Tensor, drawn: Sequence[Any]) -> torch.Tensor:
        """Of a leaf: waveforms (B, samples) and what was drawn for each of them -> new waveforms (B, samples)."""
        raise NotImplementedError


def bound(source: str, pools: Mapping[str, Sounds]) -> Sounds:
    """The sounds of a role. Raises InputError that says how to bind it."""
    if source not in pools:
        raise InputError(f"the augmentation needs sounds for '{source}': --augment-set {source}=<data-dir>")
    return pools[source]


def uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """A number between ``limits``."""
    return float(rng.uniform(*limits))


def column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    """Numbers of the waveforms of a batch, as a column (B, 1) on the device and of the type of ``like``."""
    return torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True)[:, None]


def stack(arrays: Sequence[np.ndarray], like: torch.Tensor) -> torch.Tensor:
    """Sounds of the same length as one batch (B, samples) on the device and of the type of ``like``."""
    return torch.from_numpy(np.stack(arrays)).to(like.device, non_blocking=True).to(like.dtype)


def fft_length(least: int, factor: int = 1) -> int:
    """A length for a fast Fourier transform, at least ``least``: ``factor`` times 4, 5, 6 or 7 times a power of two.

    These are few, so that waveforms whose needs differ a little are transformed in one batch.
    """
    units = -(-least // factor)
    power = 1 << max(0, units.bit_length() - 3)
    return -(-units // power) * power * factor
