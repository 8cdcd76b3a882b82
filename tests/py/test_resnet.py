"""What the attention and the blocks of ResNets compute, against loops and by hand."""

import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from sv_py.models import BACKBONES
from sv_py.models.arguments import ResNetArguments
from sv_py.models.attention import FrequencySE, SimAM
from sv_py.models.resnet import BasicBlock, Bottleneck


def feature_map(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(4))


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def test_simam_equals_loops_over_the_places():
    x = feature_map(2, 3, 4, 5)
    got = SimAM()(x)
    for b in range(2):
        for c in range(3):
            places = [(f, t) for f in range(4) for t in range(5)]
            values = [x[b, c, f, t].item() for f, t in places]
            mean = sum(values) / 20
            variance = sum((value - mean) ** 2 for value in values) / 19
            for (f, t), value in zip(places, values, strict=True):
                energy = (value - mean) ** 2 / (4 * (variance + 1e-4)) + 0.5
                assert got[b, c, f, t].item() == pytest.approx(value * sigmoid(energy), abs=1e-12)


def test_frequency_attention_equals_loops_over_the_rows():
    torch.manual_seed(5)
    attention = FrequencySE(4, 3).double()
    (w1, b1), (w2, b2) = ((layer.weight, layer.bias) for layer in (attention.gate[0], attention.gate[2]))
    x = feature_map(2, 3, 4, 5)
    got = attention(x)
    for b in range(2):
        means = [sum(x[b, c, f, t].item() for c in range(3) for t in range(5)) / 15 for f in range(4)]
        hidden = [max(0.0, b1[i].item() + sum(w1[i, f].item() * means[f] for f in range(4))) for i in range(3)]
        for f in range(4):
            gate = sigmoid(b2[f].item() + sum(w2[f, i].item() * hidden[i] for i in range(3)))
            torch.testing.assert_close(got[b, :, f], gate * x[b, :, f])


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 3, 1, 2), (2, 3, 4, 5)])
@pytest.mark.parametrize("value", [0.0, -7.0, 1e4])
def test_simam_passes_a_constant_map_on_with_one_gate_and_finite_gradients(shape, value):
    x = torch.full(shape, value, requires_grad=True)
    y = SimAM()(x)
    y.sum().backward()
    torch.testing.assert_close(y, x.detach() * sigmoid(0.5))
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_simam_in_half_precision_stays_near_the_exact_one(offset):
    x = (offset + feature_map(2, 3, 20, 50, dtype=torch.float32)).bfloat16()
    exact, rough = SimAM()(x.double()), SimAM()(x).double()
    assert ((exact - rough).abs() <= 0.02 * exact.abs()).all()


@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
def test_attention_comes_after_the_last_batch_norm_and_before_the_shortcut(kind):
    """With an attention that blocks everything, what is left is the shortcut."""
    block = kind(3, 2, 2, torch.nn.Threshold(math.inf, 0.0)).eval()
    x = feature_map(1, 3, 5, 7, dtype=torch.float32)
    with torch.no_grad():
        y = block(x)
        torch.testing.assert_close(y, F.relu(block.shortcut(x)))
    assert y.shape == (1, 2 * kind.expansion, 3, 4)


def test_only_the_3_by_3_convolution_of_a_bottleneck_and_the_shortcut_have_the_stride():
    block = Bottleneck(8, 4, 2, torch.nn.Identity())
    strides = {name: layer.stride for name, layer in block.named_modules() if isinstance(layer, torch.nn.Conv2d)}
    assert strides == {"conv1": (1, 1), "conv2": (2, 2), "conv3": (1, 1), "shortcut.0": (2, 2)}


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("attention", ["none", "simam", "fwse"])
def test_maps_and_weights_lie_in_memory_with_the_channels_last(block, attention):
    arguments = ResNetArguments(width=16, blocks=(1, 1), block=block, attention=attention)
    model = BACKBONES.build("resnet", arguments, feature_dim=20)
    x = torch.randn(2, 20, 30).unsqueeze(1).contiguous(memory_format=torch.channels_last)
    maps = model.stages(model.conv(x))
    assert maps.is_contiguous(memory_format=torch.channels_last)
    weights = [layer.weight for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_a_narrow_network_trains_without_writing_beyond_its_memory(root):
    """With the channels last it ends in a segmentation fault, by the gradient of its strided 1 x 1 convolutions."""
    code = """if True:
        import torch
        from sv_py.models import BACKBONES
        from sv_py.models.arguments import ResNetArguments
        network = BACKBONES.build("resnet", ResNetArguments(width=8), feature_dim=80)
        for _ in range(3):
            network(torch.randn(4, 50, 80)).square().sum().backward()
    """
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
