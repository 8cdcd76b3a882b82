"""Sizes and costs of an experiment's network, from its YAML alone."""

import json
import sys

import pytest
import torch

from sv_py import describe
from sv_py.config import load
from sv_py.models import BACKBONES

YAML = "model: {name: %s, args: {embedding_dim: 32%s}}\nphases:\n  - {name: a, epochs: 1}\n"


@pytest.fixture
def yaml(tmp_path):
    def call(name="ecapa_tdnn", more=", channels: 64"):
        (tmp_path / "x.yaml").write_text(YAML % (name, more))
        return tmp_path / "x.yaml"

    return call


@pytest.fixture
def run_main(monkeypatch, capsys):
    def call(*argv):
        monkeypatch.setattr(sys, "argv", ["describe", *map(str, argv)])
        describe.main()
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize(("name", "more"), [("ecapa_tdnn", ", channels: 64"), ("resnet", ", width: 8")])
def test_parameters_are_those_of_the_network_that_is_built(yaml, run_main, name, more):
    found = json.loads(run_main(yaml(name, more), "--json", "--classes", 10))
    config = load(yaml(name, more))
    network = BACKBONES.build(name, config.model.args, feature_dim=80)
    assert found["model"] == name and found["embedding_dim"] == 32 and found["feature_dim"] == 80
    assert found["parameters"] == sum(p.numel() for p in network.parameters())
    assert found["parameters_with_head"] == found["parameters"] + 10 * 32 and found["classes"] == 10
    with torch.inference_mode():
        assert network.eval()(torch.zeros(1, 50, 80)).shape == (1, 32)


def test_multiply_adds_follow_width_and_frame_shift(yaml, run_main, tmp_path):
    def cost(*options):
        return json.loads(run_main(yaml(more=", channels: 128"), "--json", *options))["multiply_adds_per_second"]

    assert cost("--set", "model.args.channels=256") > 1.5 * cost()
    (tmp_path / "slow.conf").write_text("--frame-shift=20\n")
    assert cost("--fbank-config", tmp_path / "slow.conf") == pytest.approx(cost() / 2, rel=0.02)
    (tmp_path / "few.conf").write_text("--num-mel-bins=40\n")
    assert cost("--fbank-config", tmp_path / "few.conf") < cost()


def test_the_table_and_the_file_say_the_same_as_the_json(yaml, run_main, tmp_path):
    found = json.loads(run_main(yaml(), "--json"))
    assert run_main(yaml(), "--out", tmp_path / "x.json") == ""
    assert json.loads((tmp_path / "x.json").read_text()) == found
    assert f"{found['parameters']:,}" in run_main(yaml())
