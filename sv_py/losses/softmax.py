"""Plain softmax, and the cross-entropy that all softmax losses share."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sv_py.losses.base import Loss, is_nearest, target_of
from sv_py.losses.shards import OneShard


class Softmax(Loss):
    """Cross-entropy of W x + b, without normalisation. The last value of a row is the speaker's b, at first 0."""

    def row_shape(self, embedding_dim: int) -> tuple[int, int]:
        """The shape (1, D + 1) of a speaker's row."""
        return self.centres, embedding_dim + 1

    def draw_rows(self, count: int, embedding_dim: int, bound: float, generator: torch.Generator) -> Tensor:
        """Initial rows (count, 1, D + 1), uniform up to ``bound``, without bias."""
        weights = torch.empty(count, 1, embedding_dim).uniform_(-bound, bound, generator=generator)
        return torch.cat([weights, torch.zeros(count, 1, 1)], dim=2)

    def similarities(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """W x + b of embeddings (B, D) and the rows (n, 1, D + 1) of n speakers: (B, n)."""
        return F.linear(F.pad(embeddings, (0, 1), value=1.0), rows.flatten(0, 1))

    def forward(self, similarities: Tensor, labels: Tensor, shards: OneShard) -> tuple[Tensor, Tensor]:
        """As of the base class."""
        target = target_of(similarities, labels, shards)
        return cross_entropy(similarities, labels, target, shards), is_nearest(similarities, labels, shards)


def cross_entropy(logits: Tensor, labels: Tensor, target: Tensor, shards: OneShard) -> Tensor:
    """Of logits (B, n), n in each shard, of which those of the ``labels`` (B,) are ``target`` (B,): (B,)."""
    if shards.count == 1:
        return F.cross_entropy(logits, labels, reduction="none")  # faster, above all its gradient
    return shards.gather(logits.logsumexp(1)).logsumexp(0) - target
