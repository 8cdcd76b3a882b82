import subprocess
import sys

import pytest
import torch

from sv_py.cli import InputError
from sv_py.losses import LOSSES
from sv_py.losses.arguments import AAMArguments
from sv_py.models import BACKBONES
from sv_py.models.arguments import ECAPAArguments, ResNetArguments
from sv_py.models.complexity import count
from sv_py.models.pooling import ASP, TSP

FEATURES = 20
SMALL = [
    ("resnet34", ResNetArguments(width=4, blocks=(1, 2, 1), embedding_dim=12)),
    ("resnet34", ResNetArguments(width=4, blocks=(1, 1), pooling="asp", attention_channels=8, embedding_dim=12)),
    ("ecapa_tdnn", ECAPAArguments(16, scale=4, pooled_channels=24, attention_channels=8, embedding_dim=12)),
]
every_backbone = pytest.mark.parametrize(
    ("name", "arguments"), SMALL, ids=lambda v: v if isinstance(v, str) else getattr(v, "pooling", "")
)


@pytest.fixture(autouse=True)
def one_thread():
    """On maps this small, threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(name, arguments, seed=0, feature_dim=FEATURES):
    torch.manual_seed(seed)
    return BACKBONES.build(name, arguments, feature_dim=feature_dim)


def features(batch, frames, seed=1):
    return torch.randn(batch, frames, FEATURES, generator=torch.Generator().manual_seed(seed))


def used(model):
    """``model`` in evaluation mode with batch norms that have seen data."""
    for seed in range(3):
        model(features(8, 40, seed))
    return model.eval()


def test_every_backbone_of_the_table_is_tested_here():
    assert {name for name, _ in SMALL} == set(BACKBONES.entries)


@every_backbone
@pytest.mark.parametrize("frames", [1, 2, 7, 8, 9, 50, 51])
def test_any_length_from_the_minimum_on_gives_one_finite_embedding_per_utterance(name, arguments, frames):
    model = build(name, arguments).eval()
    assert frames >= model.min_frames == 1
    embeddings = model(features(3, frames))
    assert embeddings.shape == (3, 12) == (3, model.embedding_dim)
    assert embeddings.isfinite().all()


@every_backbone
def test_an_utterance_without_frames_is_an_error(name, arguments):
    with pytest.raises(RuntimeError):
        build(name, arguments).eval()(features(2, 0))


@every_backbone
@pytest.mark.parametrize("frames", [1, 30])
def test_every_parameter_gets_a_gradient(name, arguments, frames):
    model = build(name, arguments)
    embeddings = model(features(6, frames))
    (embeddings * torch.randn_like(embeddings)).sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        # A softmax over one frame is constant, and a bias that a batch norm or softmax follows cancels.
        assert parameter.dim() == 1 or frames == 1 or parameter.grad.any(), key


@every_backbone
@pytest.mark.parametrize("frames", [1, 30])
def test_silence_gives_finite_embeddings_and_gradients(name, arguments, frames):
    model = build(name, arguments)
    silence = torch.zeros(4, frames, FEATURES, requires_grad=True)
    embeddings = model(silence)
    embeddings.square().sum().backward()
    assert embeddings.isfinite().all()
    assert silence.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@every_backbone
def test_a_batch_gives_what_its_utterances_give_alone(name, arguments):
    model = used(build(name, arguments))
    feats = features(8, 33)
    with torch.no_grad():
        alone = torch.cat([model(one) for one in feats.split(1)])
        torch.testing.assert_close(model(feats), alone, rtol=1e-5, atol=1e-5)


@every_backbone
def test_a_saved_model_gives_the_same_embeddings(name, arguments, tmp_path):
    model = used(build(name, arguments))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    other = build(name, arguments, seed=1).eval()
    other.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    with torch.no_grad():
        assert torch.equal(model(features(2, 30)), other(features(2, 30)))


@every_backbone
def test_the_seed_decides_the_initial_weights(name, arguments):
    first, again, other = (build(name, arguments, seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@every_backbone
def test_a_few_steps_learn_eight_utterances_by_heart(name, arguments):
    model = build(name, arguments)
    head = LOSSES.build("aam_softmax", AAMArguments(), embedding_dim=model.embedding_dim, num_classes=2)
    optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=0.01)
    feats, labels = features(8, 20), torch.arange(8) % 2
    losses = []
    for _ in range(30):
        loss, logits = head(model(feats), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    assert torch.equal(logits.argmax(1), labels)


@pytest.mark.parametrize(
    ("name", "arguments", "parameters"),
    [
        ("resnet34", ResNetArguments(width=32), 6_634_336),
        ("resnet34", ResNetArguments(width=64), 23_897_536),
        ("ecapa_tdnn", ECAPAArguments(channels=1024), 14_657_728),
        ("ecapa_tdnn", ECAPAArguments(channels=1024, attention_channels=256), 15_444_544),
        ("ecapa_tdnn", ECAPAArguments(channels=512), 6_191_360),
    ],
)
def test_the_published_networks_have_their_published_size(name, arguments, parameters):
    with torch.device("meta"):
        model = build(name, arguments, feature_dim=80)
    assert count(model, 200, 80)[0] == parameters


@pytest.mark.parametrize(
    ("name", "arguments", "published", "saved"),
    [
        ("resnet34", ResNetArguments(width=32), 4.55e9, 0),
        # Our pooling multiplies the 2 x 1536 context statistics once per utterance, the published ones per frame.
        ("ecapa_tdnn", ECAPAArguments(channels=1024), 2.65e9, 199 * 3072 * 128),
        ("ecapa_tdnn", ECAPAArguments(channels=512), 1.04e9, 199 * 3072 * 128),
    ],
)
def test_two_seconds_cost_the_published_multiply_adds(name, arguments, published, saved):
    with torch.device("meta"):
        model = build(name, arguments, feature_dim=80)
    assert count(model, 200, 80)[1] + saved == pytest.approx(published, rel=0.01)


def test_counting_counts_by_hand_and_leaves_the_model_as_it_was():
    model = build("resnet34", ResNetArguments(width=2, blocks=(1,), embedding_dim=3))
    rows, frames = FEATURES, 10
    per_place = 9 * 1 * 2 + 9 * 2 * 2 + 9 * 2 * 2  # the first convolution and the two of the block
    expected = per_place * rows * frames + 3 * (2 * 2 * rows)
    assert count(model, frames, FEATURES)[1] == expected
    assert model.training
    assert {p.device.type for p in model.parameters()} == {"cpu"}


def double(pooling, channels, frames):
    """``pooling`` and a map in float64, with batch norms that are not the identity."""
    torch.manual_seed(2)
    pooling = pooling.double().eval()
    for module in pooling.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    return pooling, torch.randn(2, channels, frames, dtype=torch.float64)


def test_temporal_statistics_equal_loops_over_the_frames():
    pooling, x = double(TSP(), 3, 7)
    got = pooling(x)
    for b in range(2):
        for c in range(3):
            values = [x[b, c, t].item() for t in range(7)]
            mean = sum(values) / 7
            variance = sum((v - mean) ** 2 for v in values) / 6
            assert got[b, c].item() == pytest.approx(mean, abs=1e-12)
            assert got[b, 3 + c].item() == pytest.approx((variance + 1e-7) ** 0.5, abs=1e-12)


@pytest.mark.parametrize("context", [False, True])
def test_attentive_statistics_equal_loops_over_the_frames(context):
    channels, frames = 4, 6
    pooling, x = double(ASP(channels, 5, context), channels, frames)
    got = pooling(x)
    for b in range(2):
        scores = []
        for t in range(frames):
            seen = x[b, :, t]
            if context:
                seen = torch.cat([seen, x[b].mean(1), (x[b].var(1) + 1e-7).sqrt()])
            hidden = (pooling.reduce.weight[:, :, 0] @ seen + pooling.reduce.bias).clamp(min=0)
            norm = pooling.norm
            hidden = (hidden - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
            hidden = hidden.tanh() if context else hidden
            scores.append(pooling.expand.weight[:, :, 0] @ hidden + pooling.expand.bias)
        weights = torch.stack(scores, 1).exp()
        for c in range(channels):
            share = weights[c] / weights[c].sum()
            mean = sum(share[t] * x[b, c, t] for t in range(frames))
            variance = sum(share[t] * (x[b, c, t] - mean) ** 2 for t in range(frames))
            torch.testing.assert_close(got[b, c], mean)
            torch.testing.assert_close(got[b, channels + c], variance.clamp(min=1e-5).sqrt())


@pytest.mark.parametrize("pooling", [TSP(), ASP(3, 4), ASP(3, 4, context=True)], ids=["tsp", "asp", "context"])
@pytest.mark.parametrize("frames", [1, 2, 20])
@pytest.mark.parametrize("value", [0.0, 100.0])
def test_a_constant_map_has_its_mean_no_deviation_and_finite_gradients(pooling, frames, value):
    x = torch.full((2, 3, frames), value, requires_grad=True)
    mean, deviation = pooling.eval()(x).chunk(2, 1)
    (mean.sum() + deviation.sum()).backward()
    torch.testing.assert_close(mean, torch.full((2, 3), value))
    assert (deviation <= 0.004 * max(1, value)).all()  # false for NaN, too
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (ResNetArguments, {"width": 0}, "width must be positive"),
        (ResNetArguments, {"embedding_dim": -1}, "embedding_dim must be positive"),
        (ResNetArguments, {"blocks": ()}, "blocks must be one or more"),
        (ResNetArguments, {"blocks": (3, 0)}, "blocks must be one or more"),
        (ResNetArguments, {"pooling": "tps"}, "did you mean 'tsp'"),
        (ECAPAArguments, {"channels": 0}, "channels must be positive"),
        (ECAPAArguments, {"channels": 100}, "scale must be at least 2 and divide channels"),
        (ECAPAArguments, {"scale": 1}, "scale must be at least 2"),
        (ECAPAArguments, {"pooled_channels": 0}, "pooled_channels must be positive"),
    ],
)
def test_arguments_that_make_no_network_are_an_error(kind, wrong, message):
    with pytest.raises(InputError, match=message):
        kind(**wrong)


def test_a_mistyped_backbone_names_the_near_miss():
    with pytest.raises(InputError, match="did you mean 'ecapa_tdnn'"):
        BACKBONES.arguments("ecapa_tdn")


def test_tables_and_arguments_import_no_torch(root):
    code = "import sys, sv_py.models, sv_py.losses; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
