"""Running statistics of batch norms, moved once per step by what all of its micro-batches have."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sv_py.train.distributed import Processes


class BatchNorms:
    """The batch norms of ``network`` that are in training mode.

    A step is ``begin()``, forward passes, each followed by ``keep(m)`` for micro-batch m of ``micro_batches``, which
    the processes share out, and ``end()``: running statistics move towards the mean over the micro-batches by each
    layer's momentum, on every process to the same bits. ``release()`` gives the layers their own way back.
    """

    def __init__(self, network: nn.Module, micro_batches: int, processes: Processes):
        self._processes = processes
        layers = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
        self._layers = [layer for layer in layers if layer.running_mean is not None]
        self._momenta = [layer.momentum for layer in self._layers]
        for layer in self._layers:
            layer.momentum = 1.0  # running statistics become those of the micro-batch
        self._statistics = [s for layer in self._layers for s in (layer.running_mean, layer.running_var)]
        self._counts = [layer.num_batches_tracked for layer in self._layers]
        self._sizes = [s.numel() for s in self._statistics]
        if self._layers:
            weights = torch.tensor([m for m in self._momenta for _ in range(2)], dtype=self._statistics[0].dtype)
            self._weight = weights.repeat_interleave(torch.tensor(self._sizes)).to(self._statistics[0].device)
            self._kept = self._weight.new_zeros(micro_batches, len(self._weight))

    def begin(self) -> None:
        """Before the first micro-batch of a step."""
        if self._layers:
            self._before, self._counted = torch.cat(self._statistics), torch.stack(self._counts)
            self._kept.zero_()

    def keep(self, micro_batch: int) -> None:
        """After the forward pass of this process's ``micro_batch``."""
        if self._layers:
            torch.cat(self._statistics, out=self._kept[micro_batch])

    def end(self) -> None:
        """After the last one."""
        if self._layers:
            mean = self._processes.sum(self._kept).mean(0)
            moved = torch.lerp(self._before, mean, self._weight)
            torch._foreach_copy_(self._statistics, list(moved.split(self._sizes)))
            torch._foreach_copy_(self._counts, list((self._counted + 1).unbind()))

    def release(self) -> None:
        """Leave the layers as they are built."""
        for layer, momentum in zip(self._layers, self._momenta, strict=True):
            layer.momentum = momentum
