"""The highest scores of embeddings against a cohort, on a GPU: the one module of scoring that imports torch."""

from collections.abc import Callable

import numpy as np
import torch

from sv_py.scoring.backend import Side
from sv_py.scoring.highest import Highest, pairs_of

_COLUMNS = 16384  # of a tile


class HighestOnGpu(Highest):
    """As `Highest`, on ``device``; the cohort lies in its memory, and ``memory`` bytes beside it."""

    def __init__(self, memory: int, device: torch.device):
        super().__init__(memory)
        self.device = device

    def each(
        self, vectors: np.ndarray, cohort: Side, keep: int, left_out: np.ndarray,
        take: Callable[[slice, np.ndarray], None],
    ) -> None:  # fmt: skip
        """As `Highest.each`."""
        columns = max(_COLUMNS, 4 * keep)
        rows = max(1, self.memory // (3 * vectors.itemsize * (columns + keep)))  # a tile, a copy, what topk needs
        others = torch.from_numpy(cohort.vectors).to(self.device).T
        offsets = None if cohort.offsets is None else torch.from_numpy(cohort.offsets).to(self.device)
        for start in range(0, len(vectors), rows):
            part = slice(start, min(start + rows, len(vectors)))
            block = torch.from_numpy(vectors[part]).to(self.device)
            pairs = torch.from_numpy(pairs_of(left_out, part)).to(self.device)
            best = block.new_empty((len(block), 0))
            for first in range(0, others.shape[1], columns):
                tile = block @ others[:, first : first + columns]
                if offsets is not None:
                    tile += offsets[first : first + columns]
                inside = (first <= pairs[1]) & (pairs[1] < first + columns)
                tile[pairs[0, inside], pairs[1, inside] - first] = -torch.inf
                best = torch.cat([best, tile], dim=1)
                best = best.topk(min(keep, best.shape[1]), dim=1).values
            take(part, best.flip(1).cpu().numpy())
