"""Where the rows of a head are: in one process, or divided among those of a training."""

import torch
import torch.distributed as dist
from torch import Tensor


class OneShard:
    """All rows are here."""

    rank, count = 0, 1

    def gather(self, values: Tensor) -> Tensor:
        """``values`` of all shards, (shards, *shape), on every one of them; differentiable."""
        return values[None]

    def total(self, value: Tensor) -> Tensor:
        """The sum of a number over the shards, each of which derives the sum of what all of them have."""
        return value

    def collect(self, rows: Tensor, total: int) -> Tensor:
        """All ``total`` rows, of which each shard has its `span`; not differentiable."""
        return rows

    def span(self, total: int, rank: int | None = None) -> range:
        """The rows that are this shard's, or those of ``rank``."""
        rank = self.rank if rank is None else rank
        return range(total * rank // self.count, total * (rank + 1) // self.count)


class Ranks(OneShard):
    """A shard for each process of ``torch.distributed``. Calls of one process must be those of all, in their order."""

    def __init__(self):
        self.rank, self.count = dist.get_rank(), dist.get_world_size()

    def gather(self, values: Tensor) -> Tensor:
        """As of the base class. Shapes must be equal."""
        return _Gather.apply(values, self.rank, self.count)

    def total(self, value: Tensor) -> Tensor:
        """As of the base class."""
        return _Total.apply(value)

    def collect(self, rows: Tensor, total: int) -> Tensor:
        """As of the base class."""
        collected = rows.new_empty(total, *rows.shape[1:])
        for rank in range(self.count):
            span = self.span(total, rank)
            part = collected[span.start : span.stop]
            if rank == self.rank:
                part.copy_(rows)
            dist.broadcast(part, rank)
        return collected


class _Gather(torch.autograd.Function):
    """All have all values; so what all of them derive by a value adds up."""

    @staticmethod
    def forward(ctx, values: Tensor, rank: int, count: int) -> Tensor:
        ctx.rank = rank
        parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(count)]
        dist.all_gather(parts, values.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[ctx.rank], None, None


class _Total(torch.autograd.Function):
    """A sum that every process knows, and of which each begins the derivation with its own summand."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient
