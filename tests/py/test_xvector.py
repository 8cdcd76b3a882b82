"""The x-vector TDNN against Kaldi's description of it."""

import pytest
import torch
from torch import nn

from sv_py.cli import InputError
from sv_py.models.arguments import XVectorArguments
from sv_py.models.xvector import XVector

FEATURES = 4
APPENDED = ((-2, -1, 0, 1, 2), (-2, 0, 2), (-3, 0, 3), (0,), (0,))  # frames that tdnn1 to tdnn5 of Kaldi's see


@pytest.fixture
def model():
    """A small network whose batch norms have seen data."""
    torch.manual_seed(0)
    model = XVector(XVectorArguments(6, 8, embedding_dim=5, head_dim=3), FEATURES)
    for _ in range(10):
        model.project(model(3 * torch.randn(8, 30, FEATURES) + 1))
    return model.eval()


def relu_bn(affine, norm, x):
    """Kaldi's relu-batchnorm-layer without its splicing: (N, D) -> (N, D')."""
    x = (x @ affine.weight.flatten(1).T + affine.bias).clamp(min=0)
    return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt()


def test_it_computes_what_kaldis_configuration_says(model):
    feats = torch.randn(1, 25, FEATURES)
    x = feats[0]
    for number, offsets in enumerate(APPENDED):
        places = range(-offsets[0], len(x) - offsets[-1])
        # A convolution's weights are (outputs, inputs, kernel): the frames of one input value stand together.
        spliced = torch.stack([torch.stack([x[t + offset] for offset in offsets], 1).flatten() for t in places])
        x = relu_bn(model.frames[3 * number], model.frames[3 * number + 2], spliced)
    statistics = torch.cat([x.mean(0), (x.var(0) + 1e-7).sqrt()])
    embedding = model.embedding.weight @ statistics + model.embedding.bias
    torch.testing.assert_close(model(feats)[0], embedding)
    norm6, segment7, norm7 = (model.projection[i] for i in (1, 2, 4))
    hidden = (embedding.clamp(min=0) - norm6.running_mean) / (norm6.running_var + norm6.eps).sqrt()
    torch.testing.assert_close(model.project(embedding[None]), relu_bn(segment7, norm7, hidden[None]))


def test_fifteen_frames_are_the_least(model):
    assert model.min_frames == 15
    assert model.frames(torch.randn(1, FEATURES, 15)).shape[2] == 1
    with pytest.raises(RuntimeError):
        model(torch.randn(1, 14, FEATURES))


def test_batch_norms_have_neither_scale_nor_offset(model):
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
    assert len(norms) == 7
    assert all(norm.weight is None and norm.bias is None for norm in norms)


@pytest.mark.parametrize("name", ["channels", "pooled_channels", "embedding_dim", "head_dim"])
def test_arguments_that_make_no_network_are_an_error(name):
    with pytest.raises(InputError, match=f"{name} must be positive"):
        XVectorArguments(**{name: 0})
