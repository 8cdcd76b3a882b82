"""The moving average of a network's weights over the steps of a training."""

import copy
from typing import Any

import torch
from torch import nn


class MovingAverage:
    """Exponential moving average of weights and running statistics; ``network`` is a copy that has it, in eval mode.

    The n-th update keeps min(``decay``, (1 + n) / (10 + n)) of the average, so that the first weights, which are
    hardly trained, do not weigh for long. Integers are those of the last update.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after a step."""
        self.updates += 1
        kept = min(self.decay, (1 + self.updates) / (10 + self.updates))
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in floats], [new for _, new in floats], 1 - kept)
        for mine, new in pairs:
            if not mine.is_floating_point():
                mine.copy_(new)

    def state_dict(self) -> dict[str, Any]:
        """The average and the number of updates."""
        return {"updates": self.updates, "network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.updates = state["updates"]
        self.network.load_state_dict(state["network"])


def _tensors(network: nn.Module) -> list[torch.Tensor]:
    return [*network.parameters(), *network.buffers()]
