"""What every loss is."""

import dataclasses
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.losses.shards import OneShard

TINY = 1e-5  # shorter vectors are not brought to length 1, whose gradient would grow beyond all bounds


class Loss(nn.Module):
    """A function of the similarities between embeddings and the rows of a head. Here they are cosines.

    ``loss(similarities (B, n), labels (B,), shards)`` -> losses (B,) and whether each label's speaker is the most
    similar one (B,). With shards, the n columns are the speakers of this one, and a label is -1 where
    the speaker is another's; both results are over the speakers of all.
    ``margin`` is the one margin, as it stands, a list of several, or None of a loss that has none.
    """

    centres = 1  # rows of each speaker

    def __init__(self, arguments: Any):
        super().__init__()
        self.arguments = arguments
        self.set_margins(1.0)

    def set_margins(self, share: float, **full: float) -> None:
        """Bring all margins to ``share`` of their full size; ``full`` replaces arguments of these names."""
        arguments = dataclasses.replace(self.arguments, **full)
        self.margin = share * arguments.margin if hasattr(arguments, "margin") else None
        self._set_margins(arguments, share)

    def _set_margins(self, arguments: Any, share: float) -> None:
        """What else of margins there is."""

    def row_shape(self, embedding_dim: int) -> tuple[int, int]:
        """The shape (K, D) of a speaker's K rows."""
        return self.centres, embedding_dim

    def draw_rows(self, count: int, embedding_dim: int, bound: float, generator: torch.Generator) -> Tensor:
        """Initial rows (count, K, D), uniform up to ``bound``."""
        return torch.empty(count, *self.row_shape(embedding_dim)).uniform_(-bound, bound, generator=generator)

    def similarities(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """Of embeddings (B, D) to the rows (n, K, D) of n speakers: (B, n). Of several rows the nearest counts."""
        factors = rows.norm(dim=2).clamp(min=TINY).reciprocal().flatten()  # on products: normalised rows are a copy
        cosines = F.linear(F.normalize(embeddings, eps=TINY), rows.flatten(0, 1)) * factors
        return cosines if self.centres == 1 else cosines.unflatten(1, (-1, self.centres)).amax(2)


def target_of(similarities: Tensor, labels: Tensor, shards: OneShard) -> Tensor:
    """The similarity (B,) of each embedding to its speaker, whichever shard has that."""
    mine = similarities.gather(1, labels.clamp(min=0)[:, None])[:, 0]
    return shards.gather(torch.where(labels < 0, 0.0, mine)).sum(0)


def is_nearest(similarities: Tensor, labels: Tensor, shards: OneShard) -> Tensor:
    """Whether (B,) the speaker of the label is the most similar one; of equals in a shard, the first is."""
    nearest, places = similarities.detach().max(1)
    right = torch.where(places == labels, nearest, -math.inf)
    return shards.gather(right).amax(0) == shards.gather(nearest).amax(0)


def put(values: Tensor, labels: Tensor, target: Tensor) -> Tensor:
    """``values`` (B, n), changed in place: ``target`` (B,) in the columns ``labels``, where these are not -1."""
    return _Put.apply(values, labels[:, None], target[:, None])


class _Put(torch.autograd.Function):
    """Without asking where labels are -1, for which a GPU would have to be waited for."""

    @staticmethod
    def forward(ctx, values: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        ctx.save_for_backward(labels)
        ctx.mark_dirty(values)
        columns = labels.clamp(min=0)
        return values.scatter_(1, columns, torch.where(labels < 0, values.gather(1, columns), target))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, Tensor]:
        (labels,) = ctx.saved_tensors
        columns = labels.clamp(min=0)
        mine, zero = gradient.gather(1, columns), gradient.new_zeros(())
        rest = gradient.scatter(1, columns, torch.where(labels < 0, mine, zero))
        return rest, None, torch.where(labels < 0, zero, mine)
