"""What the classifier sees of given utterances, computed by all processes together."""

from collections.abc import Iterator

import torch
from torch import Tensor

from sv_py.data.batches import Preparation
from sv_py.data.read_ahead import ReadAhead
from sv_py.data.still_batches import StillBatches
from sv_py.log import progress
from sv_py.models.backbone import Backbone
from sv_py.train.distributed import Processes


@torch.no_grad()
def project(
    network: Backbone, batches: StillBatches, device: torch.device, processes: Processes, workers: int,
    unreadable: list[str] | None, what: str,
) -> Iterator[tuple[slice, Tensor, Tensor]]:  # fmt: skip
    """This process's share of the crops: their places among all, embeddings (n, head_dim) and labels (n,) on the CPU.

    The network is put into evaluation mode. ``workers``, ``unreadable`` and errors: as of `ReadAhead`; ``what`` names
    the progress.
    """
    network.eval()
    prepare = Preparation(batches.utterances.frames, None, batches.phase.mask, device, dither=False)
    numbers = range(processes.rank, len(batches), processes.count)
    size = batches.phase.batch_size
    with ReadAhead(batches, prepare, workers, numbers, unreadable) as ahead:
        shown = progress(ahead, len(numbers), what, "batch", hidden=not processes.first, delay=10)
        for number, (frames, labels) in zip(numbers, shown, strict=True):
            processes.beat(what)
            first = number * size
            count = min(size, batches.crops - first)
            yield slice(first, first + count), network.project(network(frames))[:count].cpu(), labels[:count].cpu()
