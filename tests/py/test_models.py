"""What every backbone of the table does, small and at its published size."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from backbones import FULL, SMALL
from torch._subclasses.fake_tensor import FakeTensorMode

from sv_py.cli import InputError
from sv_py.config import load
from sv_py.describe import front_end
from sv_py.features import FRONTENDS
from sv_py.models import BACKBONES
from sv_py.models.arguments import ECAPAArguments, ResNetArguments
from sv_py.models.complexity import count

CONF = Path(__file__).resolve().parents[2] / "conf"
FEATURES, EMBEDDING = 20, 12
every_backbone = pytest.mark.parametrize(("name", "arguments"), SMALL, ids=lambda v: v if isinstance(v, str) else None)
every_layout = pytest.mark.parametrize("stem", FULL)


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


def published(stem, **device):
    """The network of a YAML of conf/ and the dimension of its features."""
    config = load(CONF / f"{stem}.yaml")
    frontend, arguments = front_end(config, None)
    feature_dim = FRONTENDS.build(frontend, arguments).feature_dim
    with torch.device(device.get("device", "cpu")):
        return build(config.model.name, config.model.args, feature_dim=feature_dim), feature_dim


def test_every_backbone_of_the_table_is_tested_here():
    assert {name for name, _ in SMALL} == set(BACKBONES.entries)
    trainings = ("_mini", "_wespeaker", "_voxblink")  # of layouts that have a YAML of their own
    layouts = {path.stem for path in CONF.glob("*.yaml") if not any(name in path.stem for name in trainings)}
    assert layouts == set(FULL)
    assert {load(CONF / f"{stem}.yaml").model.name for stem in FULL} == set(BACKBONES.entries)


@every_backbone
@pytest.mark.parametrize("more", [0, 1, 6, 7, 8, 49, 50])
def test_any_length_from_the_minimum_on_gives_one_finite_embedding_per_utterance(name, arguments, more):
    model = build(name, arguments).eval()
    embeddings = model(features(3, model.min_frames + more))
    assert embeddings.shape == (3, EMBEDDING) == (3, model.embedding_dim)
    assert embeddings.isfinite().all()


@every_backbone
def test_what_the_classifier_sees_has_the_width_that_the_backbone_says(name, arguments):
    model = build(name, arguments)
    assert model.project(model(features(4, 50))).shape == (4, model.head_dim)


@every_backbone
def test_an_utterance_without_frames_is_an_error(name, arguments):
    with pytest.raises(RuntimeError):
        build(name, arguments).eval()(features(2, 0))


@every_backbone
@pytest.mark.parametrize("more", [0, 30])
def test_every_parameter_gets_a_gradient(name, arguments, more):
    model = build(name, arguments)
    seen = model.project(model(features(6, model.min_frames + more)))
    (seen * torch.randn_like(seen)).sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        # A softmax over one frame is constant, and a bias that a batch norm or softmax follows cancels.
        assert parameter.dim() == 1 or more == 0 or parameter.grad.any(), key


@every_backbone
@pytest.mark.parametrize("more", [0, 30])
def test_silence_gives_finite_embeddings_and_gradients(name, arguments, more):
    model = build(name, arguments)
    silence = torch.zeros(4, model.min_frames + more, FEATURES, requires_grad=True)
    seen = model.project(model(silence))
    seen.square().sum().backward()
    assert seen.isfinite().all()
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
    classifier = torch.nn.Linear(model.head_dim, 2)
    optimiser = torch.optim.Adam([*model.parameters(), *classifier.parameters()], lr=0.01)
    feats, labels = features(8, 20), torch.arange(8) % 2
    for _ in range(100):
        loss = F.cross_entropy(classifier(model.project(model(feats))), labels)
        if loss < 0.05:
            return
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    pytest.fail(f"the loss is {loss.item():.3f}")


@every_backbone
def test_half_precision_changes_little(name, arguments):
    model = used(build(name, arguments))
    feats = features(8, 33)
    with torch.no_grad():
        exact = model(feats)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(feats).float()
    assert F.cosine_similarity(exact, rough).min() > 0.99


@every_backbone
def test_a_step_in_half_precision_has_finite_gradients(name, arguments):
    model = build(name, arguments)
    with torch.autocast("cpu", torch.bfloat16):
        seen = model.project(model(features(8, 33)))
    (seen.float() * torch.randn(seen.shape)).sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "arguments"),
    # An LSTM runs on a real GPU alone, and what ReDimNet2 adds up is in float32, as are the weights of the sums.
    [entry for entry in SMALL if entry[0] not in ("bilstm", "redimnet2")],
    ids=lambda v: v if isinstance(v, str) else None,
)
def test_maps_stay_in_half_precision_on_a_gpu(name, arguments):
    with torch.device("meta"):
        model = build(name, arguments)
    shapes = {key: (value.shape, value.dtype) for key, value in model.state_dict().items()}
    seen = []
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv1d | torch.nn.Conv2d):
            layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    with FakeTensorMode():  # shapes and types of a GPU, without one
        weights = {key: torch.empty(shape, dtype=dtype, device="cuda") for key, (shape, dtype) in shapes.items()}
        feats = torch.empty(8, 40, FEATURES, device="cuda")
        torch.set_autocast_dtype("cuda", torch.bfloat16)
        torch.set_autocast_enabled("cuda", True)
        try:
            torch.func.functional_call(model, weights, feats)
        finally:
            torch.set_autocast_enabled("cuda", False)
    assert set(seen[1:]) == {torch.bfloat16}


@every_layout
def test_a_published_network_has_its_published_size(stem):
    model, feature_dim = published(stem, device="meta")
    parameters, _ = count(model, 200, feature_dim)
    assert parameters == FULL[stem]


@every_layout
def test_a_published_network_embeds_a_second(stem):
    model, feature_dim = published(stem)
    with torch.inference_mode():
        embedding = model.eval()(torch.randn(1, 100, feature_dim))
    assert embedding.shape == (1, model.embedding_dim)
    assert embedding.isfinite().all()


@pytest.mark.parametrize(
    ("stem", "multiply_adds", "saved"),
    [
        ("resnet34", 4.55e9, 0),
        # Our pooling multiplies the 2 x 1536 context statistics once per utterance, the published ones per frame.
        ("ecapa_tdnn_512", 1.04e9, 199 * 3072 * 128),
        ("ecapa_tdnn_1024", 2.65e9, 199 * 3072 * 128),
    ],
)
def test_two_seconds_cost_the_published_multiply_adds(stem, multiply_adds, saved):
    model, feature_dim = published(stem, device="meta")
    assert count(model, 200, feature_dim)[1] + saved == pytest.approx(multiply_adds, rel=0.01)


def test_counting_counts_by_hand_and_leaves_the_model_as_it_was():
    model = build("resnet", ResNetArguments(width=2, blocks=(1,), embedding_dim=3))
    rows, frames = FEATURES, 10
    per_place = 9 * 1 * 2 + 9 * 2 * 2 + 9 * 2 * 2  # the first convolution and the two of the block
    expected = per_place * rows * frames + 3 * (2 * 2 * rows)
    assert count(model, frames, FEATURES)[1] == expected
    assert model.training
    assert {p.device.type for p in model.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (ResNetArguments, {"width": 0}, "width must be positive"),
        (ResNetArguments, {"embedding_dim": -1}, "embedding_dim must be positive"),
        (ResNetArguments, {"blocks": ()}, "blocks must be one or more"),
        (ResNetArguments, {"blocks": (3, 0)}, "blocks must be one or more"),
        (ResNetArguments, {"block": "bottlneck"}, "did you mean 'bottleneck'"),
        (ResNetArguments, {"attention": "simma"}, "did you mean 'simam'"),
        (ResNetArguments, {"attention_channels": 0}, "attention_channels must be positive"),
        (ECAPAArguments, {"channels": 0}, "channels must be positive"),
        (ECAPAArguments, {"channels": 100}, "scale must be at least 2 and divide channels"),
        (ECAPAArguments, {"scale": 1}, "scale must be at least 2"),
        (ECAPAArguments, {"pooled_channels": 0}, "pooled_channels must be positive"),
        (ECAPAArguments, {"kept": "fist"}, "did you mean 'first'"),
        (ECAPAArguments, {"padding": "reflec"}, "did you mean 'reflect'"),
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
