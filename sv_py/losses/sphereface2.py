"""SphereFace2: a binary classifier for each speaker instead of a softmax over all."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.losses.arguments import SphereFace2Arguments
from sv_py.losses.base import Loss, is_nearest, put, target_of
from sv_py.losses.margin import add_margin, take_off
from sv_py.losses.shards import OneShard


class SphereFace2(Loss):
    """Weighted binary cross-entropies of every speaker (Wen et al. 2022), as Han et al. 2023 use them for speakers.

    With g(x) = 2 ((x + 1) / 2)^t - 1, a trained bias b and weight w: L = w log(1 + e^{-(s yes + b)}) for the speaker
    itself, plus (1 - w) log(1 + e^{s no + b}) for each other one, where type C has yes = g(cos) - m, no = g(cos) + m
    and type A has yes = g(cos(angle + m)), no = g(cos(angle - m)).
    """

    def __init__(self, arguments: SphereFace2Arguments):
        super().__init__(arguments)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, similarities: Tensor, labels: Tensor, shards: OneShard) -> tuple[Tensor, Tensor]:
        """As of the base class."""
        target = target_of(similarities, labels, shards)
        if self.arguments.margin_type == "A":
            yes = self._spread(add_margin(target, 1.0, self.margin, 0.0))
            no = self._spread(take_off(similarities, self.margin))
        else:
            yes, no = self._spread(target) - self.margin, self._spread(similarities) + self.margin
        scale, weight = self.arguments.scale, self.arguments.balance
        logits = put(scale * no + self.bias, labels, torch.full_like(target, -math.inf))  # not among the others
        others = shards.gather(F.softplus(logits).sum(1)).sum(0)
        losses = weight * F.softplus(-(scale * yes + self.bias)) + (1 - weight) * others
        return losses, is_nearest(similarities, labels, shards)

    def _spread(self, cosine: Tensor) -> Tensor:
        return 2 * ((cosine + 1) / 2).clamp(min=0).pow(self.arguments.t) - 1
