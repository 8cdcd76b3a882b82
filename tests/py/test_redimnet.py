"""ReDimNet2: reshaping, sums of maps, blocks and attention against their definition."""

import math

import pytest
import torch
import torch.nn.functional as F

from sv_py.cli import InputError
from sv_py.models import BACKBONES
from sv_py.models.arguments import ReDimNet2Arguments
from sv_py.models.redimnet import Attention, Block, MapNorm, Stage, TimeContext, WeightedSum, to_1d, to_2d

SMALL = ReDimNet2Arguments(
    channels=4,
    frequency_strides=(1, 2),
    time_strides=(2, 2),
    blocks=(1, 1),
    expansions=(2.0, 1.0),
    reductions=(8, 8),
    embedding_dim=12,
)


def used(module, *shape):
    """``module`` in evaluation mode with batch norms that have seen data."""
    for _ in range(3):
        module(torch.randn(shape))
    return module.eval()


def test_reshaping_there_and_back_changes_nothing_and_copies_nothing():
    x = torch.randn(2, 5, 24)
    there = to_2d(x, channels=4)
    assert there.shape == (2, 4, 5, 6) and there.is_contiguous(memory_format=torch.channels_last)
    back = to_1d(there)
    assert torch.equal(back, x) and back.data_ptr() == there.data_ptr() == x.data_ptr()


def test_the_values_of_a_frame_are_ordered_by_row_then_by_channel():
    x = torch.arange(24.0).reshape(1, 1, 24)
    assert to_2d(x, channels=4)[0, :, 0, 2].tolist() == [8, 9, 10, 11]
    assert to_2d(x, channels=8)[0, 3, 0, :].tolist() == [3, 11, 19]  # half the rows, twice the channels


def test_a_sum_of_maps_weights_each_value_by_a_softmax_over_the_maps():
    torch.manual_seed(0)
    total = WeightedSum(3, 4)
    maps = [torch.randn(2, 5, 4) for _ in range(3)]
    torch.testing.assert_close(total(maps), torch.stack(maps).mean(0))
    torch.nn.init.normal_(total.weights)
    expected = torch.empty(2, 5, 4)
    for k in range(4):
        exponentials = [math.exp(total.weights[n, k].item()) for n in range(3)]
        expected[..., k] = sum(e * x[..., k] for e, x in zip(exponentials, maps, strict=True)) / sum(exponentials)
    torch.testing.assert_close(total(maps), expected)


def test_a_sum_of_more_maps_than_it_has_weights_is_an_error():
    with pytest.raises(ValueError, match="longer than"):
        WeightedSum(2, 4)([torch.zeros(1, 1, 4)] * 3)


def test_attention_equals_a_loop_over_heads_and_frames():
    torch.manual_seed(0)
    width, frames = 8, 5
    attention = Attention(width).double()
    x = torch.randn(1, frames, width, dtype=torch.float64)
    queries, keys, values = F.linear(
        x[0], attention.queries_keys_values.weight, attention.queries_keys_values.bias
    ).split(width, 1)
    attended = torch.empty(frames, width, dtype=torch.float64)
    for head in range(4):
        part = slice(2 * head, 2 * head + 2)
        for t in range(frames):
            scores = torch.stack([queries[t, part] @ keys[s, part] / math.sqrt(2) for s in range(frames)])
            weights = scores.exp() / scores.exp().sum()
            attended[t, part] = sum(weights[s] * values[s, part] for s in range(frames))
    y = attention.norm(x[0] + attention.output(attended))
    torch.testing.assert_close(attention(x)[0], attention.final_norm(y + attention.feed_forward(y)))


def test_a_block_convolves_each_channel_by_itself_before_it_mixes_them():
    torch.manual_seed(0)
    block = used(Block(4), 4, 4, 6, 6)
    x = torch.randn(1, 4, 6, 6)
    depthwise = block.layers[0]
    alone = torch.cat([F.conv2d(x[:, c : c + 1], depthwise.weight[c : c + 1], padding=1) for c in range(4)], 1)
    torch.testing.assert_close(depthwise(x), alone)
    torch.testing.assert_close(block(x), (x + block.layers(x)).clamp(min=0))


def test_a_stage_works_at_its_own_rate_and_gives_the_full_one():
    torch.manual_seed(0)
    stage = used(Stage(4, 2, 4, 1, 1.5, TimeContext(24, 8)), 4, 8, 24)
    x = torch.randn(2, 12, 24)
    low = stage.layers(to_2d(x, 4))
    assert low.shape == (2, 8, 3, 3)  # channels doubled, a quarter of the frames, half the rows
    assert stage.layers[0].groups == math.gcd(4, 12) and stage.layers[0].out_channels == 12
    output = stage(x)
    assert output.shape == (2, 12, 24)
    for t in range(12):
        assert torch.equal(output[:, t], output[:, t // 4 * 4])
    torch.testing.assert_close(output[:, ::4], stage.context(to_1d(low)))


def test_the_map_norm_is_over_all_frames_of_one_utterance_and_a_group_of_values():
    torch.manual_seed(0)
    norm = MapNorm(3, 6)
    x = 5 + 2 * torch.randn(2, 7, 6)
    got = norm(x)
    for b in range(2):
        for group in range(3):
            part = x[b, :, 2 * group : 2 * group + 2]
            expected = (part - part.mean()) / (part.var(correction=0) + norm.eps).sqrt()
            torch.testing.assert_close(got[b, :, 2 * group : 2 * group + 2], expected)


def test_each_stage_sees_a_sum_of_all_maps_before_it():
    torch.manual_seed(0)
    model = used(BACKBONES.build("redimnet2", SMALL, feature_dim=16), 4, 24, 16)
    for total in model.sums:
        torch.nn.init.normal_(total.weights)
    feats = torch.randn(2, 24, 16)
    stem = model.stem_norm(model.stem(feats.unsqueeze(1)).permute(0, 2, 3, 1)).flatten(2)
    first = model.stages[0](stem)
    second = model.stages[1](model.sums[0]([stem, first]))
    pooled = to_2d(model.sums[1]([stem, first, second]), channels=8).transpose(2, 3)
    assert pooled.shape == (2, 8, 8, 24)
    torch.testing.assert_close(model(feats), model.embedding(model.pooling(pooled)))


def test_frames_beyond_a_multiple_of_the_strides_are_left_out():
    torch.manual_seed(0)
    model = used(BACKBONES.build("redimnet2", SMALL, feature_dim=16), 4, 24, 16)
    assert model.min_frames == 4
    feats = torch.randn(2, 15, 16)
    assert torch.equal(model(feats), model(feats[:, :12]))


@pytest.mark.parametrize(
    ("feature_dim", "changes", "message"),
    [
        (15, {}, "15 bins are no multiple of 2"),
        (18, {"reductions": (8, 10)}, "18 bins x 4 channels / 8 make 9 values, which 4 heads"),
        (16, {"reductions": (8, 65)}, "16 bins x 4 channels / 65 make 0 values"),
    ],
)
def test_bins_that_do_not_divide_are_an_error(feature_dim, changes, message):
    arguments = ReDimNet2Arguments(**{**vars(SMALL), **changes})
    with pytest.raises(InputError, match=message):
        BACKBONES.build("redimnet2", arguments, feature_dim=feature_dim)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"channels": 0}, "channels must be positive"),
        ({"blocks": (1, 2)}, "must have one value for each stage"),
        ({"time_strides": (1, 1, 2, 1, 0, 1)}, "time_strides must be positive"),
        ({"expansions": (1.0, 1.0, 1.0, 1.0, 1.0, 0.0)}, "expansions must be positive"),
        ({"output_channels": -1}, "output_channels must not be negative"),
    ],
)
def test_arguments_that_make_no_network_are_an_error(wrong, message):
    with pytest.raises(InputError, match=message):
        ReDimNet2Arguments(**wrong)
