"""Starting from another training's model, and freezing a part of a network."""

import logging
from pathlib import Path

import pytest
import torch

from sv_py.cli import InputError
from sv_py.config import from_dict, to_dict
from sv_py.data.dataset import FeatureSet
from sv_py.losses import HEADS, LOSSES
from sv_py.models import BACKBONES
from sv_py.schema import Config
from sv_py.train import checkpoint
from sv_py.train.initial import freeze, load_initial, read_initial, set_train_mode

MODEL = {"name": "ecapa_tdnn", "args": {"channels": 16, "scale": 4, "pooled_channels": 24, "embedding_dim": 12}}
OLD, NEW = ["ann", "bob", "cy", "dan"], ["eve", "cy", "ann"]


def configure(**values) -> Config:
    return from_dict({"model": MODEL} | values, "test")


def build(config: Config, speakers: list[str], seed: int = 0):
    """A network for 6 features, and a head."""
    torch.manual_seed(seed)
    network = BACKBONES.build(config.model.name, config.model.args, feature_dim=6)
    loss = LOSSES.build(config.loss.name, config.loss.args)
    dim = network.head_dim
    head = HEADS.build(config.head.name, config.head.args, loss=loss, embedding_dim=dim, speakers=speakers, seed=seed)
    return network, head


def write(path: Path, config: Config, feats_id: str = "frontend=test\n", imported: bool = False) -> dict:
    network, head = build(config, OLD, seed=1)
    state = {
        "config": to_dict(config), "speakers": OLD, "feats_id": feats_id, "feature_dim": 6,
        "model": network.state_dict(), "head": {} if imported else head.full_state(),
    }  # fmt: skip
    checkpoint.save(path, state)
    return state


@pytest.fixture
def utterances(data) -> FeatureSet:
    return FeatureSet(data, configure().features)


@pytest.fixture
def model(tmp_path) -> Path:
    return tmp_path / "model.pt"


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())


def rows_of(head) -> dict[str, torch.Tensor]:
    state = head.full_state()
    return dict(zip(state["speakers"], state["rows"], strict=True))


@pytest.mark.parametrize("kind", ["full", "sampled", "sharded"])
@pytest.mark.parametrize("old_kind", ["full", "sampled"])
def test_the_network_and_the_rows_of_known_speakers_are_taken_over(model, utterances, caplog, kind, old_kind):
    caplog.set_level(logging.INFO)
    state = write(model, configure(head={"name": old_kind}))
    network, head = build(configure(head={"name": kind}), NEW)
    theirs = dict(zip(OLD, state["head"]["rows"], strict=True))
    assert load_initial(model, network, head, utterances) == ["cy", "ann"]
    assert same(network.state_dict(), state["model"])
    assert head.speakers == NEW and head.optimizer is None
    ours = rows_of(head)
    assert torch.equal(ours["cy"], theirs["cy"]) and torch.equal(ours["ann"], theirs["ann"])
    assert not any(torch.equal(ours["eve"], row) for row in theirs.values())
    assert f"init: {len(state['model'])} tensors of ecapa_tdnn from {model}" in caplog.text
    assert "head: 3 speakers, 2 of them known from there, 1 new" in caplog.text


def test_a_sampled_head_begins_to_draw_anew(model, utterances):
    state = write(model, configure(head={"name": "sampled"}))
    state["head"]["steps"] = 7
    checkpoint.save(model, state)
    network, head = build(configure(head={"name": "sampled"}), NEW)
    load_initial(model, network, head, utterances)
    assert head.steps == 0


@pytest.mark.parametrize("kind", ["imported", "no head", "strangers"])
def test_of_a_model_without_known_speakers_all_rows_are_new(model, utterances, caplog, kind):
    caplog.set_level(logging.INFO)
    state = write(model, configure(), imported=kind == "imported")
    if kind == "no head":
        checkpoint.save(model, {key: value for key, value in state.items() if key != "head"})
    network, head = build(configure(), ["x", "y"] if kind == "strangers" else NEW)
    before = rows_of(head)
    assert load_initial(model, network, head, utterances) == []
    assert same(network.state_dict(), state["model"]) and same(rows_of(head), before)
    assert "0 of them known from there" in caplog.text


@pytest.mark.parametrize(
    "loss",
    [
        {"name": "softmax"},  # rows with a bias
        {"name": "aam_softmax", "args": {"sub_centres": 2}},
        {"name": "sphereface2"},  # with a parameter of its own
    ],
)
def test_rows_of_another_loss_do_not_serve_and_that_is_said(model, utterances, caplog, loss):
    write(model, configure(loss=loss))
    network, head = build(configure(), NEW)
    before = rows_of(head)
    assert load_initial(model, network, head, utterances) == []
    assert same(rows_of(head), before)
    assert "its speakers' rows, of shape" in caplog.text and "are of another loss and do not serve" in caplog.text


def test_rows_serve_a_loss_with_another_margin(model, utterances):
    write(model, configure(loss={"name": "am_softmax"}))
    network, head = build(configure(loss={"name": "aam_softmax", "args": {"margin": 0.5}}), NEW)
    assert load_initial(model, network, head, utterances) == ["cy", "ann"]


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"channels": 32}, r"other shapes .*weight \(32, 6, 5\), here \(16, 6, 5\), .* more$"),
        ({"pooled_norm": True}, r"it has also \S+\.weight, \S+\.bias, \S+ and 2 more$"),
        ({"embedding_norm": False}, r"it lacks \S+, \S+, \S+ and 2 more$"),
    ],
)
def test_another_network_is_refused_and_nothing_is_changed(model, utterances, theirs, message):
    write(model, configure(model={"name": "ecapa_tdnn", "args": MODEL["args"] | theirs}))
    network, head = build(configure(), NEW)
    before, rows = {k: v.clone() for k, v in network.state_dict().items()}, rows_of(head)
    with pytest.raises(InputError, match=rf"model\.pt: its network \(ecapa_tdnn\) is not that of .*: {message}"):
        load_initial(model, network, head, utterances)
    assert same(network.state_dict(), before) and same(rows_of(head), rows)


@pytest.mark.parametrize(
    ("feats_id", "config", "message"),
    [
        ("frontend=other\n", {}, "trained on other features: frontend=other; here frontend=test$"),
        ("", {}, "trained on other features: none said; here frontend=test$"),
        ("frontend=test\n", {"cmn": "none"}, "trained with features.cmn: none, and this experiment has utterance$"),
        ("frontend=test\n", {"cmn": "sliding", "cmn_window": 200}, "features.cmn: sliding of 200 frames, and"),
    ],
)
def test_features_of_another_kind_are_refused(model, utterances, feats_id, config, message):
    write(model, configure(features=config), feats_id)
    with pytest.raises(InputError, match=message):
        read_initial(model, build(configure(), NEW)[0], utterances)


def test_a_window_that_is_not_used_may_differ(model, utterances):
    write(model, configure(features={"cmn_window": 200}))
    read_initial(model, build(configure(), NEW)[0], utterances)


@pytest.mark.parametrize("content", [b"", b"hello", {"config": {}, "model": {}}])
def test_a_file_that_is_no_model_is_refused(model, utterances, content):
    if isinstance(content, dict):
        torch.save(content, model)
    else:
        model.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt: (truncated or not a checkpoint|not a model of this project)"):
        read_initial(model, build(configure(), NEW)[0], utterances)


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        (["conv1"], ["conv1.weight", "conv1.bias"]),
        (["conv1.*"], ["conv1.weight", "conv1.bias"]),
        (["*.bias"], ["conv1.bias", "bn1.bias", "deep.0.bias", "deep.1.bias"]),
        (["deep", "conv?.bias"], ["conv1.bias", "deep.0.weight", "deep.0.bias", "deep.1.weight", "deep.1.bias"]),
        ([], []),
    ],
)
def test_a_pattern_freezes_parameters_or_a_module_with_all_that_is_in_it(patterns, frozen):
    network = layers()
    assert freeze(network, patterns) == frozen
    assert [name for name, p in network.named_parameters() if not p.requires_grad] == frozen


def layers() -> torch.nn.Module:
    network = torch.nn.Module()
    network.conv1, network.bn1 = torch.nn.Conv1d(2, 3, 1), torch.nn.BatchNorm1d(3)
    network.deep = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    network.relu = torch.nn.ReLU()
    network.plain = torch.nn.BatchNorm1d(3, affine=False)
    return network


@pytest.mark.parametrize(
    ("pattern", "miss"),
    [
        ("conv2", "did you mean 'conv1'"),
        ("dep.0", "did you mean 'deep.0'"),
        ("conv1.weights", "'conv1.weight'"),
        ("relu", ""),
        ("", ""),
    ],
)
def test_a_pattern_that_matches_nothing_is_an_error_that_names_the_nearest(pattern, miss):
    with pytest.raises(InputError, match=f"'{pattern}' matches no parameter.*{miss}"):
        freeze(layers(), ["bn1", pattern])


def test_what_a_later_phase_does_not_freeze_learns_again():
    network = layers()
    freeze(network, ["*"])
    freeze(network, ["conv1"])
    assert [name for name, p in network.named_parameters() if not p.requires_grad] == ["conv1.weight", "conv1.bias"]


def test_a_frozen_parameter_loses_the_gradient_that_it_had():
    network = layers()
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    freeze(network, ["deep"])
    assert [name for name, p in network.named_parameters() if p.grad is None] == [
        "deep.0.weight", "deep.0.bias", "deep.1.weight", "deep.1.bias"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("patterns", "still"),
    [
        (["deep"], ["deep.1"]),
        (["bn1.weight"], ["bn1"]),
        (["bn1.bias"], []),
        (["plain"], ["plain"]),
        (["*"], ["bn1", "deep.1", "plain"]),
        ([], []),
    ],
)
def test_the_statistics_of_frozen_batch_norms_stay_as_they_are(patterns, still):
    network = layers()
    freeze(network, ["*"])
    freeze(network, patterns)
    set_train_mode(network.eval())
    norms = {name: module for name, module in network.named_modules() if isinstance(module, torch.nn.BatchNorm1d)}
    for norm in norms.values():
        norm(1 + torch.randn(8, 3))
    assert [name for name, norm in norms.items() if not norm.running_mean.any()] == still
    assert network.conv1.training
