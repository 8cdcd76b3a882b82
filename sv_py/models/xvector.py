"""The x-vector TDNN (Snyder et al., "X-vectors: robust DNN embeddings for speaker recognition", ICASSP 2018)."""

from torch import Tensor, nn

from sv_py.models.arguments import POOLINGS, XVectorArguments
from sv_py.models.backbone import Backbone

CONTEXTS = ((5, 1), (3, 2), (3, 3), (1, 1))  # kernel and dilation of the frame layers before the last


class XVector(Backbone):
    """Frame layers with the contexts of Kaldi's egs/voxceleb/v2, pooling, and an affine layer: the embedding.

    Its activation and a second layer stand before the classifier. As in Kaldi, no frames are padded, and batch norms
    come after the ReLU and have neither scale nor offset.
    """

    min_frames = 1 + sum((kernel - 1) * dilation for kernel, dilation in CONTEXTS)

    def __init__(self, arguments: XVectorArguments, feature_dim: int):
        super().__init__()
        self.embedding_dim = arguments.embedding_dim
        self.frames = nn.Sequential()
        inputs = feature_dim
        for kernel, dilation in CONTEXTS:
            self.frames.extend(_relu_bn(nn.Conv1d(inputs, arguments.channels, kernel, dilation=dilation)))
            inputs = arguments.channels
        self.frames.extend(_relu_bn(nn.Conv1d(inputs, arguments.pooled_channels, 1)))
        pooling = arguments.pooling
        self.pooling = POOLINGS.build(pooling.name, pooling.args, channels=arguments.pooled_channels, rows=1)
        segment6 = nn.Linear(self.pooling.output_dim, arguments.embedding_dim)
        segment7 = nn.Linear(arguments.embedding_dim, arguments.head_dim)
        self.embedding, *after = _relu_bn(segment6)
        self.projection = nn.Sequential(*after, *_relu_bn(segment7))

    @property
    def head_dim(self) -> int:
        """The width of ``project``'s output."""
        return self.projection[-1].num_features

    def forward(self, feats: Tensor) -> Tensor:
        """Features (B, T, F) -> embeddings (B, E)."""
        x = self.frames(feats.transpose(1, 2))
        return self.embedding(self.pooling(x.unsqueeze(2)))

    def project(self, embeddings: Tensor) -> Tensor:
        """Embeddings (B, E) -> what the classifier sees (B, head_dim)."""
        return self.projection(embeddings)


def _relu_bn(affine: nn.Conv1d | nn.Linear) -> tuple[nn.Module, nn.Module, nn.Module]:
    return affine, nn.ReLU(), nn.BatchNorm1d(affine.weight.shape[0], affine=False)
