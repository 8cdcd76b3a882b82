"""Every pooling of the table against loops over the frames, on constant maps and on one frame."""

import pytest
import torch

from sv_py.cli import InputError
from sv_py.models import POOLINGS
from sv_py.models.arguments import ASPArguments, ECAPAArguments, MQMHASTPArguments, XVectorArguments
from sv_py.registry import Part


def build(name, channels, rows, **arguments):
    """A pooling in float64 and evaluation mode, with batch norms that are not the identity."""
    torch.manual_seed(2)
    arguments = POOLINGS.arguments(name)(**arguments)
    pooling = POOLINGS.build(name, arguments, channels=channels, rows=rows).double().eval()
    for module in pooling.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    return pooling


def feature_map(channels, rows, frames):
    return torch.randn(2, channels, rows, frames, dtype=torch.float64)


def statistics(values):
    """Mean and deviation of a list of numbers, by loops."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, (variance + 1e-7) ** 0.5


def test_temporal_average_and_statistics_equal_loops_over_the_frames():
    x = feature_map(3, 2, 7)
    average, got = build("tap", 3, 2)(x), build("tsp", 3, 2)(x)
    for b in range(2):
        for c in range(3):
            for row in range(2):
                mean, deviation = statistics(x[b, c, row].tolist())
                assert average[b, 2 * c + row].item() == pytest.approx(mean, abs=1e-12)
                assert got[b, 2 * c + row].item() == pytest.approx(mean, abs=1e-12)
                assert got[b, 6 + 2 * c + row].item() == pytest.approx(deviation, abs=1e-12)


def test_global_statistics_equal_loops_over_frames_and_rows():
    x = feature_map(3, 2, 7)
    got = build("gsp", 3, 2)(x)
    for b in range(2):
        for c in range(3):
            mean, deviation = statistics([x[b, c, row, t].item() for row in range(2) for t in range(7)])
            assert got[b, c].item() == pytest.approx(mean, abs=1e-12)
            assert got[b, 3 + c].item() == pytest.approx(deviation, abs=1e-12)


@pytest.mark.parametrize("bottleneck", ["relu_bn", "relu_bn_tanh", "tanh"])
@pytest.mark.parametrize("context", [False, True])
def test_attentive_statistics_equal_loops_over_the_frames(context, bottleneck):
    rows, frames = 2, 6
    channels = 4 // rows
    pooling = build("asp", channels, rows, attention_channels=5, context=context, bottleneck=bottleneck)
    x = feature_map(channels, rows, frames)
    got = pooling(x)
    x = x.flatten(1, 2)
    for b in range(2):
        scores = []
        for t in range(frames):
            seen = x[b, :, t]
            if context:
                seen = torch.cat([seen, x[b].mean(1), (x[b].var(1) + 1e-7).sqrt()])
            hidden = pooling.reduce.weight[:, :, 0] @ seen + pooling.reduce.bias
            if "relu_bn" in bottleneck:
                norm = pooling.bottleneck[1]
                scale = norm.weight / (norm.running_var + norm.eps).sqrt()
                hidden = (hidden.clamp(min=0) - norm.running_mean) * scale + norm.bias
            hidden = hidden.tanh() if "tanh" in bottleneck else hidden
            scores.append(pooling.expand.weight[:, :, 0] @ hidden + pooling.expand.bias)
        weights = torch.stack(scores, 1).exp()
        for c in range(4):
            share = weights[c] / weights[c].sum()
            mean = sum(share[t] * x[b, c, t] for t in range(frames))
            variance = sum(share[t] * (x[b, c, t] - mean) ** 2 for t in range(frames))
            torch.testing.assert_close(got[b, c], mean)
            torch.testing.assert_close(got[b, 4 + c], variance.clamp(min=1e-5).sqrt())


@pytest.mark.parametrize("per_channel", [False, True])
def test_statistics_of_queries_and_heads_equal_loops_over_the_frames(per_channel):
    queries, heads, width, hidden, frames = 3, 2, 3, 4, 6
    arguments = {"queries": queries, "heads": heads, "attention_channels": hidden, "per_channel": per_channel}
    pooling = build("mqmhastp", 3, 2, **arguments)
    x = feature_map(3, 2, frames)
    means, deviations = pooling(x).chunk(2, 1)
    x = x.flatten(1, 2)
    for b in range(2):
        for q, (reduce, _, expand) in enumerate(pooling.queries):
            for h in range(heads):
                own = slice(h * width, (h + 1) * width)
                inner = slice(h * hidden, (h + 1) * hidden)
                weighing = own if per_channel else slice(h, h + 1)
                scores = []
                for t in range(frames):
                    bottleneck = (reduce.weight[inner, :, 0] @ x[b, own, t] + reduce.bias[inner]).tanh()
                    scores.append(expand.weight[weighing, :, 0] @ bottleneck + expand.bias[weighing])
                weights = torch.stack(scores, 1).exp()
                for c in range(width):
                    share = weights[c if per_channel else 0]
                    share = share / share.sum()
                    values = x[b, h * width + c]
                    mean = sum(share[t] * values[t] for t in range(frames))
                    variance = sum(share[t] * (values[t] - mean) ** 2 for t in range(frames))
                    place = q * heads * width + h * width + c
                    torch.testing.assert_close(means[b, place], mean)
                    torch.testing.assert_close(deviations[b, place], variance.clamp(min=1e-7).sqrt())


def test_heads_that_do_not_divide_the_channels_are_an_error():
    with pytest.raises(InputError, match="4 heads do not divide 6 channels"):
        build("mqmhastp", 3, 2, heads=4)


@pytest.mark.parametrize("name", POOLINGS.entries)
@pytest.mark.parametrize("frames", [1, 2, 20])
@pytest.mark.parametrize("value", [0.0, 100.0])
def test_a_constant_map_has_finite_statistics_and_gradients(name, frames, value):
    pooling = build(name, 16, 2).float()
    x = torch.full((2, 16, 2, frames), value, requires_grad=True)
    pooled = pooling(x)
    assert pooled.shape == (2, pooling.output_dim)
    pooled.sum().backward()
    assert pooled.isfinite().all() and x.grad.isfinite().all()


@pytest.mark.parametrize("name", ["tsp", "gsp", "asp"])
@pytest.mark.parametrize("frames", [1, 2, 20])
@pytest.mark.parametrize("value", [0.0, 100.0])
def test_a_constant_map_has_its_mean_and_no_deviation(name, frames, value):
    mean, deviation = build(name, 3, 1).float()(torch.full((2, 3, 1, frames), value)).chunk(2, 1)
    torch.testing.assert_close(mean, torch.full((2, 3), value))
    assert (deviation <= 0.004 * max(1, value)).all()  # false for NaN, too


@pytest.mark.parametrize("name", ["tsp", "gsp", "asp", "mqmhastp"])
def test_half_precision_keeps_deviations_that_are_small_beside_the_mean(name):
    pooling = build(name, 16, 2).float()
    x = (20 + feature_map(16, 2, 50)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        rough = pooling(x).float()
    torch.testing.assert_close(rough, pooling(x.float()), rtol=0.02, atol=0)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (ASPArguments, {"attention_channels": 0}, "attention_channels must be positive"),
        (ASPArguments, {"floor": 0.0}, "floor must be positive"),
        (ASPArguments, {"bottleneck": "tahn"}, "did you mean 'tanh'"),
        (MQMHASTPArguments, {"queries": 0}, "queries must be positive"),
        (MQMHASTPArguments, {"heads": 0}, "heads must be positive"),
        (MQMHASTPArguments, {"attention_channels": 0}, "attention_channels must be positive"),
    ],
)
def test_arguments_that_make_no_attention_are_an_error(kind, wrong, message):
    with pytest.raises(InputError, match=message):
        kind(**wrong)


@pytest.mark.parametrize("kind", [ECAPAArguments, XVectorArguments])
def test_heads_that_do_not_divide_the_channels_of_frames_are_told_before_anything_is_built(kind):
    with pytest.raises(InputError, match="7 heads do not divide 1500 channels"):
        kind(pooled_channels=1500, pooling=Part("mqmhastp", MQMHASTPArguments(heads=7)))
    kind(pooled_channels=1500, pooling=Part("mqmhastp", MQMHASTPArguments(heads=5)))


def test_a_mistyped_pooling_names_the_near_miss():
    with pytest.raises(InputError, match="did you mean 'tsp'"):
        POOLINGS.arguments("tps")
