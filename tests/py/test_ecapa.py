"""What the layouts of ECAPA-TDNN compute, against each other and by hand."""

import pytest
import torch
import torch.nn.functional as F

from sv_py.models import BACKBONES
from sv_py.models.arguments import ASPArguments, ECAPAArguments
from sv_py.models.complexity import count
from sv_py.models.ecapa import Block, Res2Conv
from sv_py.registry import Part

SMALL = {"channels": 12, "scale": 3, "pooled_channels": 16}


@pytest.fixture
def x():
    return torch.randn(2, 12, 9, generator=torch.Generator().manual_seed(1))


def build(feature_dim=20, **arguments):
    torch.manual_seed(2)
    return BACKBONES.build("ecapa_tdnn", ECAPAArguments(**arguments), feature_dim=feature_dim)


@pytest.mark.parametrize(("attention_channels", "parameters"), [(128, 14_657_728), (256, 15_444_544)])
def test_the_attention_has_the_published_sizes(attention_channels, parameters):
    pooling = Part("asp", ASPArguments(attention_channels, context=True, bottleneck="relu_bn_tanh"))
    with torch.device("meta"):
        model = build(80, pooling=pooling)
    assert count(model, 200, 80)[0] == parameters


@pytest.mark.parametrize("kept", ["first", "last"])
def test_one_group_of_a_res2net_block_passes_and_each_other_one_sees_the_one_before(x, kept):
    block = Res2Conv(ECAPAArguments(**SMALL, kept=kept), dilation=2).eval()
    first, middle, last = x.split(4, 1)
    with torch.no_grad():
        if kept == "first":
            second = block.convs[0](middle)
            expected = [first, second, block.convs[1](last + second)]
        else:
            second = block.convs[0](first)
            expected = [second, block.convs[1](middle + second), last]
        torch.testing.assert_close(block(x), torch.cat(expected, 1))


def test_reflected_ends_are_those_of_the_signal_itself(x):
    block = Res2Conv(ECAPAArguments(**SMALL, padding="reflect"), dilation=4).eval()
    convolution, relu, norm = block.convs[0]
    group = x[:, :4]
    with torch.no_grad():
        inner = F.conv1d(F.pad(group, (4, 4), mode="reflect"), convolution.weight, convolution.bias, dilation=4)
        torch.testing.assert_close(block.convs[0](group), norm(relu(inner)))


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_one_frame_less_than_the_minimum_is_an_error(padding):
    model = build(**SMALL, padding=padding).eval()
    assert model.min_frames == {"zeros": 1, "reflect": 5}[padding]
    assert model(torch.randn(1, model.min_frames, 20)).isfinite().all()
    with pytest.raises(RuntimeError):
        model(torch.randn(1, model.min_frames - 1, 20))


@pytest.mark.parametrize("summed", [False, True])
def test_blocks_see_the_last_output_or_the_sum_of_all(summed):
    model = build(**SMALL, summed=summed).eval()
    seen = []
    for block in model.blocks:
        block.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    with torch.no_grad():
        model(torch.randn(2, 30, 20))
    (x0, y0), (x1, y1), (x2, _) = seen
    torch.testing.assert_close(x1, x0 + y0 if summed else y0)
    torch.testing.assert_close(x2, x0 + y0 + y1 if summed else y1)


def test_batch_norms_stand_where_the_arguments_put_them():
    def norms(**arguments):
        model = build(**SMALL, **arguments)
        return [name for name, layer in model.named_children() for part in layer.children() if is_norm(part)]

    def is_norm(layer):
        return isinstance(layer, torch.nn.BatchNorm1d)

    assert norms() == ["conv", "embedding", "embedding"]
    assert norms(embedding_norm=False) == ["conv", "embedding"]
    assert norms(pooled_norm=True) == ["conv", "aggregate", "embedding", "embedding"]


def test_a_block_without_gates_is_its_shortcut(x):
    block = Block(ECAPAArguments(**SMALL), dilation=3).eval()
    gate = block.layers[-1].gate[-2]
    torch.nn.init.constant_(gate.bias, -200.0)  # sigmoid: 0
    with torch.no_grad():
        torch.testing.assert_close(block(x), x)
