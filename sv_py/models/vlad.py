"""VLAD poolings: what frames differ by from learnt centres, summed over time, one sum per cluster."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.models.arguments import GhostVLADArguments, NetVLADArguments


class NetVLAD(nn.Module):
    """NetVLAD (Arandjelovic et al., CVPR 2016) over the frames of a map, as Xie et al. (ICASSP 2019) place it.

    One convolution over all rows gives each frame t its values x_t, another its weights a_kt, a softmax over the
    clusters. Of each cluster, V_k = sum_t a_kt (x_t - c_k) is scaled to length 1.
    """

    def __init__(self, arguments: NetVLADArguments, channels: int, rows: int, ghosts: int = 0):
        super().__init__()
        self.clusters = arguments.clusters
        self.output_dim = arguments.clusters * arguments.values
        self.values = nn.Conv2d(channels, arguments.values, (rows, 1))
        self.assignment = nn.Conv2d(channels, arguments.clusters + ghosts, (rows, 1))
        # The centres of ghosts take part in nothing; published checkpoints and parameter counts have them.
        self.centres = nn.Parameter(torch.empty(arguments.clusters + ghosts, arguments.values))
        for weight in (self.values.weight, self.assignment.weight, self.centres):
            nn.init.orthogonal_(weight)
        for bias in (self.values.bias, self.assignment.bias):
            nn.init.zeros_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, clusters * values)."""
        values = F.relu(self.values(x)).squeeze(2)
        weights = self.assignment(x).squeeze(2).softmax(1)[:, : self.clusters]
        sums = weights @ values.transpose(1, 2) - weights.sum(2, keepdim=True) * self.centres[: self.clusters]
        return F.normalize(sums, dim=2, eps=1e-6).flatten(1)


class GhostVLAD(NetVLAD):
    """NetVLAD with further clusters that draw weight from noisy frames and are left out (Zhong et al., ACCV 2018)."""

    def __init__(self, arguments: GhostVLADArguments, channels: int, rows: int):
        super().__init__(arguments, channels, rows, arguments.ghosts)
