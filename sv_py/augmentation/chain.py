"""Augmentations one after the other, or one instead of another."""

from collections.abc import Mapping, Sequence
from itertools import chain, compress, repeat

import numpy as np
import torch

from sv_py.augmentation import AUGMENTATIONS
from sv_py.augmentation.arguments import AllOfArguments, OneOfArguments, roles_of
from sv_py.augmentation.base import Augmentation, Drawn, Sounds
from sv_py.registry import Part


class AllOf(Augmentation):
    """Every one of its parts, in their order."""

    def __init__(self, arguments: AllOfArguments | OneOfArguments, pools: Mapping[str, Sounds], rate: int):
        super().__init__(arguments, pools, rate)
        self.parts = _build(arguments.parts, pools, rate)

    @property
    def leaves(self) -> list[Augmentation]:
        """Those of the parts."""
        return list(chain.from_iterable(part.leaves for part in self.parts))

    def _draw(self, rng: np.random.Generator, num_samples: int, row: int | None) -> Drawn:
        return list(chain.from_iterable(part.draw(rng, num_samples, row) for part in self.parts))


class OneOf(AllOf):
    """One of its parts, chosen by their weights."""

    def __init__(self, arguments: OneOfArguments, pools: Mapping[str, Sounds], rate: int):
        super().__init__(arguments, pools, rate)
        self._edges = np.cumsum(arguments.weights or [1.0] * len(self.parts))

    def _draw(self, rng: np.random.Generator, num_samples: int, row: int | None) -> Drawn:
        chosen = np.searchsorted(self._edges, rng.random() * self._edges[-1], side="right")
        return [
            drawn
            for i, part in enumerate(self.parts)
            for drawn in (part.draw(rng, num_samples, row) if i == chosen else repeat(None, len(part.leaves)))
        ]


class Chain:
    """What a phase does to waveforms. ``roles``: the sources that it takes sounds from."""

    def __init__(self, parts: Sequence[Part], pools: Mapping[str, Sounds], rate: int):
        self.roles = roles_of(parts)
        self._parts = _build(parts, pools, rate)
        self._leaves = [leaf for part in self._parts for leaf in part.leaves]

    def draw(self, rng: np.random.Generator, num_samples: int, row: int | None = None) -> Drawn:
        """What is to be done to one utterance: an entry per leaf, None where it is not applied.

        ``num_samples``: length of its waveform; ``row``: its place in the training set, if it is of that. Draws
        hold arrays and numbers only; they can be sent to another process.
        """
        return [drawn for part in self._parts for drawn in part.draw(rng, num_samples, row)]

    def apply(self, waveforms: torch.Tensor, drawn: Sequence[Drawn]) -> torch.Tensor:
        """Waveforms (B, samples), float32 on the scale of 16-bit integers, on any device, and what was drawn for each.

        Returns new waveforms of the same shape. They may exceed the range of 16-bit integers.
        """
        result = torch.empty_like(waveforms)
        jumping = [leaf.jumps for leaf in self._leaves]
        jumps = [any(entry is not None for entry in compress(entries, jumping)) for entries in drawn]
        # What comes to a jump is in double precision from the start: else last bits, which differ from batch to batch
        # and from device to device, would decide on which side of it a sample falls.
        for dtype, rows in (
            (waveforms.dtype, [b for b, jump in enumerate(jumps) if not jump]),
            (torch.float64, [b for b, jump in enumerate(jumps) if jump]),
        ):
            if rows:
                result[rows] = self._apply(waveforms[rows].to(dtype), [drawn[b] for b in rows]).to(waveforms.dtype)
        return result

    def _apply(self, waveforms: torch.Tensor, drawn: Sequence[Drawn]) -> torch.Tensor:
        """The same to waveforms that may be written to."""
        for i, leaf in enumerate(self._leaves):
            rows = [b for b, entries in enumerate(drawn) if entries[i] is not None]
            if rows:
                waveforms[rows] = leaf.apply(waveforms[rows], [drawn[b][i] for b in rows])
        return waveforms


def build_chain(parts: Sequence[Part], pools: Mapping[str, Sounds], rate: int) -> Chain:
    """The chain of a phase's ``augment.waveform`` for audio of ``rate`` Hz.

    ``pools``: the sounds of each role that is bound. Raises InputError for a role that is needed and is not.
    """
    return Chain(parts, pools, rate)


def _build(parts: Sequence[Part], pools: Mapping[str, Sounds], rate: int) -> list[Augmentation]:
    return [AUGMENTATIONS.build(part.name, part.args, pools=pools, rate=rate) for part in parts]
