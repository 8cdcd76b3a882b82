"""Softmax of scaled cosines with a margin: SphereFace, ArcFace, CosFace and mixtures, sub-centres, inter-top-k."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sv_py.losses.arguments import AAMArguments, AMArguments, MarginArguments
from sv_py.losses.base import Loss, is_nearest, put, target_of
from sv_py.losses.shards import OneShard
from sv_py.losses.softmax import cross_entropy


class MarginSoftmax(Loss):
    """Cross-entropy of scaled cosines, that of the speaker itself as cos(m1 * angle + m2) - m3.

    L = -log(e^{s (cos(m1 a_y + m2) - m3)} / (that + sum over j != y of e^{s cos a_j})): ArcFace (Deng et al. 2019) is
    m2, CosFace (Wang et al. 2018) m3, SphereFace (Liu et al. 2017) m1, without its norms and annealing; the sum of them
    as Hibraj et al. put it. With sub-centres (Deng et al. 2020) the nearest of a speaker's rows counts. The inter-top-k
    penalty (Zhao et al. 2022) takes ``inter_topk_margin`` off the angles to the k nearest of the other speakers.
    """

    def __init__(self, arguments: AAMArguments | AMArguments | MarginArguments):
        super().__init__(arguments)
        self.centres = arguments.sub_centres

    def _set_margins(self, arguments: AAMArguments | AMArguments | MarginArguments, share: float) -> None:
        m1, m2, m3 = arguments.margins
        self.margins = 1 + share * (m1 - 1), share * m2, share * m3
        if self.margin is None:
            self.margin = list(self.margins)
        self.penalty = share * arguments.inter_topk_margin

    def forward(self, similarities: Tensor, labels: Tensor, shards: OneShard) -> tuple[Tensor, Tensor]:
        """As of the base class."""
        target = target_of(similarities, labels, shards)
        goal = self.arguments.scale * add_margin(target, *self.margins)
        logits = self.arguments.scale * similarities
        if self.arguments.inter_topk and self.penalty:
            columns, nearest = self._nearest_others(similarities, labels, shards)
            logits = logits.scatter_(1, columns, self.arguments.scale * nearest)
        logits = put(logits, labels, goal)
        return cross_entropy(logits, labels, goal, shards), is_nearest(similarities, labels, shards)

    def _nearest_others(self, similarities: Tensor, labels: Tensor, shards: OneShard) -> tuple[Tensor, Tensor]:
        """Columns (B, k) of the nearest other speakers of this shard, and their cosines, penalised if among the k
        nearest of all shards."""
        wanted = self.arguments.inter_topk
        others = put(similarities.detach().clone(), labels, similarities.new_full((len(labels),), -math.inf))
        found, columns = others.topk(min(wanted, others.shape[1]))
        padded = F.pad(found, (0, wanted - found.shape[1]), value=-math.inf)
        least = shards.gather(padded).movedim(0, 1).flatten(1).topk(wanted).values[:, -1:]
        cosines = similarities.gather(1, columns)
        return columns, torch.where(found >= least, take_off(cosines, self.penalty), cosines)


def add_margin(cosine: Tensor, m1: float, m2: float, m3: float) -> Tensor:
    """cos(m1 * angle + m2) - m3 of cos(angle), with finite gradients everywhere.

    Where m1 * angle + m2 passes pi the cosine would rise again and reward a worse angle. There it goes on as a straight
    line in cos(angle), of slope 1 and without a step. For m1 = 1 that is WeSpeaker's extension.
    """
    if m1 == 1:
        moved = cosine * math.cos(m2) - _sine(cosine) * math.sin(m2)
    else:
        moved = (m1 * cosine.clamp(1e-7 - 1, 1 - 1e-7).acos() + m2).cos()
    turn = math.cos((math.pi - m2) / m1)
    return torch.where(cosine > turn, moved, cosine - turn - 1) - m3


def take_off(cosine: Tensor, margin: float) -> Tensor:
    """cos(angle - margin) of cos(angle); at angles below ``margin`` it rises on as a line of slope 1."""
    moved = cosine * math.cos(margin) + _sine(cosine) * math.sin(margin)
    return torch.where(cosine < math.cos(margin), moved, cosine - math.cos(margin) + 1)


def _sine(cosine: Tensor) -> Tensor:
    return (1 - cosine.square()).clamp(min=1e-7).sqrt()  # the floor bounds the slope of the root at angles 0 and pi
