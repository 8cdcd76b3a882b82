"""Softmax classifiers over speakers with a margin."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.cli import InputError
from sv_py.losses.arguments import AAMArguments


class AAMSoftmax(nn.Module):
    """Additive angular margin softmax (Deng et al. 2019): cross-entropy of scaled cosines, the target's angle + margin.

    Raises InputError if there are fewer than two classes.
    """

    def __init__(self, arguments: AAMArguments, embedding_dim: int, num_classes: int):
        super().__init__()
        if num_classes < 2:
            raise InputError(f"a classifier needs two speakers or more, not {num_classes}")
        self.margin = arguments.margin
        self.scale = arguments.scale
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, E), labels (B,) -> mean loss, logits (B, N) without margin and without gradient."""
        cosine = F.linear(F.normalize(embeddings), F.normalize(self.weight))
        target = labels.unsqueeze(1)
        logits = cosine.scatter(1, target, add_margin(cosine.gather(1, target), self.margin))
        return F.cross_entropy(self.scale * logits, labels), self.scale * cosine.detach()


def add_margin(cosine: Tensor, margin: float) -> Tensor:
    """cos(angle + margin) of cos(angle), with finite gradients everywhere.

    Where angle + margin passes pi the cosine would rise again and reward a worse angle. There the classic
    extension, a straight line of slope 1, takes its place: the one that the published recipes were trained with.
    """
    sine = (1 - cosine.square()).clamp(min=1e-7).sqrt()  # the floor bounds the slope of the root at angles 0 and pi
    shifted = cosine * math.cos(margin) - sine * math.sin(margin)
    beyond = cosine - margin * math.sin(margin)
    return torch.where(cosine > -math.cos(margin), shifted, beyond)
