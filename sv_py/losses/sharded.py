"""Model-parallel classification: each process of a training has a share of the rows."""

from collections.abc import Sequence

import torch.distributed as dist

from sv_py.losses.arguments import ShardedArguments
from sv_py.losses.base import Loss
from sv_py.losses.head import Head
from sv_py.losses.sampled import SampledHead
from sv_py.losses.shards import OneShard, Ranks


def sharded_head(
    arguments: ShardedArguments, loss: Loss, embedding_dim: int, speakers: Sequence[str], seed: int = 0
) -> Head:
    """A head whose speakers are divided evenly, in their order, among the processes of ``torch.distributed``.

    Where that is not initialised, one process has them all. With a rate below 1, each samples its own.
    """
    shards = Ranks() if dist.is_available() and dist.is_initialized() else OneShard()
    kind = Head if arguments.rate == 1 else SampledHead
    return kind(arguments, loss, embedding_dim, speakers, seed, shards)
