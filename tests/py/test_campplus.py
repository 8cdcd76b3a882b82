"""CAM++: its context-aware mask against a loop over the frames, and its layout against the public one."""

import dataclasses

import pytest
import torch

from sv_py.cli import InputError
from sv_py.models import BACKBONES
from sv_py.models.arguments import CAMPPlusArguments
from sv_py.models.campplus import ContextMask, DenseBlock, DenseLayer

SMALL = CAMPPlusArguments(4, 12, 4, 8, layers=(2, 3), dilations=(1, 2), segment=10, embedding_dim=12)


def mask_of_loops(mask, x):
    """The gates of every frame, one after the other."""
    first, _, second, _ = mask.layers
    gates = torch.empty(x.shape[0], second.out_channels, x.shape[2], dtype=x.dtype)
    for b, t in torch.cartesian_prod(torch.arange(x.shape[0]), torch.arange(x.shape[2])):
        start = t // mask.segment * mask.segment
        context = x[b].mean(1) + x[b, :, start : start + mask.segment].mean(1)
        hidden = (first.weight[:, :, 0] @ context + first.bias).clamp(min=0)
        gates[b, :, t] = torch.sigmoid(second.weight[:, :, 0] @ hidden + second.bias)
    return gates


@pytest.mark.parametrize("frames", [1, 9, 10, 11, 19, 20, 25])
def test_the_mask_equals_a_loop_over_the_frames_for_segments_whole_and_cut_off(frames):
    torch.manual_seed(0)
    mask = ContextMask(6, 3, segment=10).double()
    x = torch.randn(2, 6, frames, dtype=torch.float64)
    torch.testing.assert_close(mask(x), mask_of_loops(mask, x))


def test_frames_of_a_segment_share_their_gates_and_those_of_others_have_their_own():
    torch.manual_seed(0)
    gates = ContextMask(6, 3, segment=4)(torch.randn(1, 6, 10))
    for start in (0, 4, 8):
        segment = gates[..., start : start + 4]
        assert torch.equal(segment, segment[..., :1].expand_as(segment))
    assert (gates[..., 3] - gates[..., 4]).abs().min() > 0 < (gates[..., 7] - gates[..., 8]).abs().min()


def test_a_dense_block_shows_each_layer_all_that_came_before_it_and_halves_the_channels():
    torch.manual_seed(0)
    block = DenseBlock(12, 3, SMALL, dilation=2).eval()
    x = torch.randn(2, 12, 15)
    seen = [x]
    for layer in block.layers:
        seen.append(layer(torch.cat(seen, 1)))
        assert seen[-1].shape == (2, SMALL.growth, 15)
    output = block(x)
    assert output.shape == (2, block.outputs, 15) == (2, (12 + 3 * SMALL.growth) // 2, 15)
    torch.testing.assert_close(output, block.transit(torch.cat(seen, 1)))


def test_a_dense_layer_is_its_dilated_convolution_under_its_mask():
    torch.manual_seed(0)
    layer = DenseLayer(6, SMALL, dilation=2).eval()
    x = torch.randn(1, 6, 13)
    hidden = torch.nn.functional.pad(layer.bottleneck(x), (2, 2))
    taps = [layer.conv.weight[:, :, k] @ hidden[0, :, 2 * k : 2 * k + 13] for k in range(3)]
    torch.testing.assert_close(layer(x)[0], sum(taps) * layer.mask(layer.bottleneck(x))[0])


def test_the_network_halves_the_frames_and_divides_the_bins_by_eight_rounding_up():
    model = BACKBONES.build("campplus", SMALL, feature_dim=83)
    head = model.head(torch.randn(2, 1, 83, 21))
    assert head.shape == (2, SMALL.stem_channels, 11, 21)
    assert model.tdnn(head.flatten(1, 2)).shape == (2, SMALL.channels, 11)


def test_the_published_layout_has_the_tensors_of_the_public_checkpoint():
    with torch.device("meta"):
        model = BACKBONES.build("campplus", CAMPPlusArguments(embedding_dim=192), feature_dim=80)
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert len(shapes) == 937
    assert sum(p.numel() for p in model.parameters()) == 6_848_544
    assert shapes["tdnn.0.weight"] == (128, 320, 5)
    assert [block.transit[2].weight.shape[:2] for block in model.blocks[:3]] == [(256, 512), (512, 1024), (512, 1024)]
    assert shapes["blocks.1.layers.0.bottleneck.2.weight"] == (128, 256, 1)
    assert shapes["blocks.1.layers.0.conv.weight"] == (32, 128, 3)
    assert shapes["blocks.1.layers.0.mask.layers.0.weight"] == (64, 128, 1)
    assert shapes["blocks.2.layers.15.mask.layers.2.weight"] == (32, 64, 1)
    assert shapes["embedding.0.weight"] == (192, 1024)
    assert "embedding.1.weight" not in shapes  # the last batch norm has no scale


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"growth": 0}, "growth must be positive"),
        ({"segment": 0}, "segment must be positive"),
        ({"bottleneck": 1}, "bottleneck must be at least 2"),
        ({"layers": (12, 24)}, "layers, dilations must have one value for each stage"),
        ({"layers": (), "dilations": ()}, "layers, dilations must have one value for each stage"),
        ({"dilations": (1, 0, 2)}, "dilations must be positive"),
    ],
)
def test_arguments_that_make_no_network_are_an_error(wrong, message):
    with pytest.raises(InputError, match=message):
        CAMPPlusArguments(**wrong)


def test_a_rectified_embedding_is_the_plain_one_without_its_negative_values():
    plain, rectified = (
        BACKBONES.build("campplus", dataclasses.replace(SMALL, rectified=value), feature_dim=20).eval()
        for value in (False, True)
    )
    rectified.load_state_dict(plain.state_dict())
    feats = torch.randn(4, 30, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rectified(feats), plain(feats).clamp(min=0))
    assert (plain(feats) < 0).any()
