"""Gradients of what all processes have alike: one buffer, summed over them while the backward pass still runs."""

from collections.abc import Iterable

import torch
from torch import nn

from sv_py.train.distributed import Processes

_BUCKET = 1 << 22  # values that are sent at once: enough to be fast, few enough to begin early


class SharedGradients:
    """The gradients of those ``parameters`` that learn, of one type: views of one buffer, ``flat`` (n,).

    A step is ``zero()``, backward passes, the last one after ``begin_sum()``, and ``finish()``: then every process has
    the sum over all of them. Places in the buffer and what is sent at once never change, so the sums have the same
    bits in a training that was resumed.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], processes: Processes):
        learning = [p for p in reversed(list(parameters)) if p.requires_grad]  # as the backward pass meets them
        self.processes, self._learning = processes, learning
        example = learning[0] if learning else torch.empty(0)
        self.flat = torch.zeros(sum(map(torch.numel, learning)), dtype=example.dtype, device=example.device)
        self._buckets: list[slice] = []
        self._sizes: list[int] = []  # parameters of each bucket
        self._summing, self._next = False, 0
        self._handles: list = []
        self._hooks: list = []
        begin = end = count = 0
        for parameter in learning:
            # optimisers are fast if gradients lie in memory as parameters do
            parameter.grad = self.flat[end : end + parameter.numel()].as_strided(parameter.shape, parameter.stride())
            end, count = end + parameter.numel(), count + 1
            if processes.count > 1:
                arrival = self._arrival_in(len(self._buckets))
                self._hooks.append(parameter.register_post_accumulate_grad_hook(arrival))
            if end - begin >= _BUCKET or parameter is learning[-1]:
                self._buckets.append(slice(begin, end))
                self._sizes.append(count)
                begin, count = end, 0

    def zero(self) -> None:
        """Begin a step."""
        self.flat.zero_()

    def begin_sum(self) -> None:
        """What the backward pass that follows has brought will not grow any more: it may be sent."""
        self._missing, self._summing, self._next = list(self._sizes), True, 0

    def finish(self) -> None:
        """Wait until ``flat`` is the sum over processes."""
        while self.processes.count > 1 and self._next < len(self._buckets):  # of parameters without gradient
            self._send()
        for handle in self._handles:
            handle.wait()
        self._handles.clear()
        self._summing = False

    def release(self) -> None:
        """Leave the parameters alone, without gradients: one that learns no more would keep the whole buffer."""
        for hook in self._hooks:
            hook.remove()
        for parameter in self._learning:
            parameter.grad = None

    def _arrival_in(self, bucket: int):
        def arrived(_: nn.Parameter) -> None:
            if not self._summing:
                return
            self._missing[bucket] -= 1
            while self._next < len(self._buckets) and self._missing[self._next] == 0:  # all processes in one order
                self._send()

        return arrived

    def _send(self) -> None:
        self._handles.append(self.processes.sum_async(self.flat[self._buckets[self._next]]))
        self._next += 1
