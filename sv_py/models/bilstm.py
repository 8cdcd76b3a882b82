"""The recurrent network of ZHAW: two bidirectional LSTMs (Gerber and Glinski's of edualc/ZHAW_deep_voice)."""

import torch
from torch import Tensor, nn

from sv_py.models.arguments import BiLSTMArguments
from sv_py.models.backbone import Backbone


class BiLSTM(Backbone):
    """Two bidirectional LSTMs; the embedding is both directions' last states: after the last and the first frame.

    Two linear layers without activation stand between it and the classifier. Initial weights are Keras's.
    """

    def __init__(self, arguments: BiLSTMArguments, feature_dim: int):
        super().__init__()
        width, self.embedding_dim = arguments.width, 2 * arguments.width
        # Not one LSTM of two layers: cuDNN keeps the random state of its own dropout, which no seed sets again.
        self.lower = nn.LSTM(feature_dim, width, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.5)
        self.upper = nn.LSTM(2 * width, width, batch_first=True, bidirectional=True)
        self.projection = nn.Sequential(
            nn.Linear(2 * width, arguments.hidden_dim),
            nn.Dropout(0.25),
            nn.Linear(arguments.hidden_dim, arguments.head_dim),
        )
        for name, parameter in self.named_parameters():
            _initialise(name, parameter, width)

    @property
    def head_dim(self) -> int:
        """The width of ``project``'s output."""
        return self.projection[-1].out_features

    def forward(self, feats: Tensor) -> Tensor:
        """Features (B, T, F) -> embeddings (B, 2 * width), the forward direction first."""
        x, _ = self.lower(feats)
        _, (last, _) = self.upper(self.dropout(x))
        return last.transpose(0, 1).flatten(1)

    def project(self, embeddings: Tensor) -> Tensor:
        """Embeddings (B, E) -> what the classifier sees (B, head_dim)."""
        return self.projection(embeddings)


@torch.no_grad()
def _initialise(name: str, parameter: Tensor, width: int) -> None:
    if "bias" in name:
        parameter.zero_()
        if "bias_ih" in name:  # PyTorch's gates are input, forget, cell, output; the other bias is added to this one
            parameter[width : 2 * width] = 1
    elif "weight_hh" in name:
        nn.init.orthogonal_(parameter)
    else:
        nn.init.xavier_uniform_(parameter)
