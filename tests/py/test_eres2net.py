"""ERes2NetV2: fusion and blocks against their definition, and its layout against the public one."""

import pytest
import torch
import torch.nn.functional as F

from sv_py.cli import InputError
from sv_py.models import BACKBONES
from sv_py.models.arguments import ERes2NetV2Arguments
from sv_py.models.eres2net import Fusion, Res2Block

SMALL = ERes2NetV2Arguments(width=4, blocks=(1, 1, 2, 1), base_width=48, embedding_dim=12)


def used(module, *shapes):
    """``module`` in evaluation mode with batch norms that have seen data."""
    for _ in range(3):
        module(*(torch.randn(shape) for shape in shapes))
    return module.eval()


def test_fusion_equals_a_loop_over_the_places():
    torch.manual_seed(0)
    fusion = used(Fusion(8), (2, 8, 3, 5), (2, 8, 3, 5)).double()
    x, y = torch.randn(2, 1, 8, 3, 5, dtype=torch.float64)
    conv1, norm1, _, conv2, norm2, _ = fusion.attention
    expected = torch.empty_like(x)
    for f, t in torch.cartesian_prod(torch.arange(3), torch.arange(5)):
        both = torch.cat([x[0, :, f, t], y[0, :, f, t]])
        hidden = normalised(norm1, conv1.weight[:, :, 0, 0] @ both + conv1.bias)
        scores = normalised(norm2, conv2.weight[:, :, 0, 0] @ (hidden * torch.sigmoid(hidden)) + conv2.bias)
        share = 1 + torch.tanh(scores)
        expected[0, :, f, t] = share * x[0, :, f, t] + (2 - share) * y[0, :, f, t]
    torch.testing.assert_close(fusion(x, y), expected)


def normalised(norm, x):
    return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias


def test_a_fusion_of_equal_maps_is_twice_the_map():
    x = torch.randn(1, 4, 3, 5)
    torch.testing.assert_close(Fusion(4).eval()(x, x), 2 * x)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("scale", [2, 3])
def test_a_block_hands_each_group_to_the_next_by_sum_or_fusion(fused, scale):
    torch.manual_seed(0)
    arguments = ERes2NetV2Arguments(base_width=32, scale=scale)
    block = used(Res2Block(6, 8, 2, arguments, fused), (4, 6, 9, 7))
    x = torch.randn(2, 6, 9, 7)
    groups = block.reduce(x).chunk(scale, 1)
    assert groups[0].shape == (2, 4, 5, 4)
    results = [block.convs[0](groups[0])]
    for i in range(1, scale):
        before = block.fusions[i - 1](results[-1], groups[i]) if fused else results[-1] + groups[i]
        results.append(block.convs[i](before))
    expected = (block.expand(torch.cat(results, 1)) + block.shortcut(x)).clamp(0, 20)
    torch.testing.assert_close(block(x), expected)
    assert expected.shape == (2, 16, 5, 4)


def test_the_rectifiers_of_a_block_end_at_twenty():
    torch.manual_seed(0)
    block = used(Res2Block(4, 4, 1, SMALL, fused=False), (4, 4, 6, 6))
    assert block(1e4 * torch.randn(1, 4, 6, 6)).max() == 20


def test_the_last_two_stages_fuse_and_the_third_is_fused_into_the_last():
    torch.manual_seed(0)
    model = used(BACKBONES.build("eres2netv2", SMALL, feature_dim=20), (4, 30, 20))
    fusing = [{isinstance(f, Fusion) for block in stage for f in block.fusions} for stage in model.stages]
    assert fusing == [{False}, {False}, {True}, {True}]
    feats = torch.randn(2, 30, 20)
    x = model.stem(feats.transpose(1, 2).unsqueeze(1))
    maps = []
    for stage in model.stages:
        maps.append(x := stage(x))
    assert maps[3].shape == (2, 64, 3, 4)
    below = F.conv2d(maps[2], model.downsample.weight, stride=2, padding=1)
    torch.testing.assert_close(model(feats), model.embedding(model.pooling(model.fusion(maps[3], below))))


def test_the_published_layouts_have_their_published_sizes():
    def parameters(**arguments):
        with torch.device("meta"):
            model = BACKBONES.build("eres2netv2", ERes2NetV2Arguments(**arguments), feature_dim=80)
        return sum(p.numel() for p in model.parameters())

    assert parameters() == 17_859_632  # published: 17.86 M
    assert parameters(base_width=24, scale=4, expansion=4) == 53_513_632  # the public code's w24s4ep4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scale": 0}, "scale must be positive"),
        ({"blocks": (3, 4, 6)}, "blocks must be four positive numbers"),
        ({"blocks": (3, 4, 0, 3)}, "blocks must be four positive numbers"),
        ({"width": 2}, "width x base_width must be at least 64"),
    ],
)
def test_arguments_that_make_no_network_are_an_error(wrong, message):
    with pytest.raises(InputError, match=message):
        ERes2NetV2Arguments(**wrong)
