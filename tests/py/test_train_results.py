"""What a training starts from, which of it stays as it is, and which epochs' weights a phase ends with."""

import json
import logging
import shutil
import sys
from pathlib import Path

import pytest
import torch
from interrupted import run_with_deaths
from loader_data import make_features

from sv_py.cli import InputError
from sv_py.config import load
from sv_py.io.text import write_lines
from sv_py.train import checkpoint
from sv_py.train.loop import Resources, Trainer
from sv_py.train.model import open_set

OTHERS = {f"{spk}-{n}": 30 + n for spk in ("ann", "cy", "dora", "emil") for n in range(3)}
PHASE = {"batch_size": 4, "crop": 20, "rate": {"peak": 0.05, "final": 0.05, "warmup": 0, "decay": "constant"}}
MODEL = {"name": "ecapa_tdnn", "args": {"channels": 8, "scale": 4, "pooled_channels": 16, "embedding_dim": 6}}


@pytest.fixture(scope="module")
def features(tmp_path_factory) -> Path:
    """Twelve utterances of ann, bob and cy."""
    folder = make_features(tmp_path_factory.mktemp("data"))
    write_lines(folder / "trials", ["ann-0 ann-1 target", "ann-0 bob-0 nontarget"])
    return folder


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Path:
    """Twelve utterances of ann and cy, whom `features` has, too, dora and emil."""
    return make_features(tmp_path_factory.mktemp("others"), OTHERS)


@pytest.fixture
def write_config(tmp_path):
    """``write_config(first, second..., key=value...)``: the file of an experiment with these phases."""

    def write(*phases: dict, **values) -> Path:
        named = [PHASE | {"name": name, "epochs": 2} | phase for name, phase in zip("ab", phases, strict=False)]
        path = tmp_path / "config.yaml"
        path.write_text(json.dumps({"model": MODEL, "phases": named} | values))  # JSON is YAML
        return path

    return write


def trainer(config_file: Path, data_dir: Path, folder: Path, *rates: float, initial: Path | None = None, minutes=10.0):
    """A trainer on whose dev set the epochs have the error ``rates``."""
    torch.set_num_threads(1)
    config = load(config_file)

    def validate(network, *_) -> dict[str, float]:
        assert not network.training
        return {"dev_eer": rates[len(ours.history)] if rates else 0.5}

    resources = Resources(torch.device("cpu"), 0, minutes, initial)
    ours = Trainer(config, {"train": open_set(data_dir, config)}, folder, resources, validate, {})
    return ours


def weights(path: Path) -> dict[str, torch.Tensor]:
    state = checkpoint.load(path)
    return state["model"] | {
        f"row of {n}": row for n, row in zip(state["head"]["speakers"], state["head"]["rows"], strict=True)
    }


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def epochs_of(folder: Path, phase: str = "a") -> list[int]:
    return [json.loads(line)["epoch"] for line in (folder / f"phases/{phase}/metrics.jsonl").read_text().splitlines()]


def test_a_phase_ends_with_the_mean_over_its_last_epochs(write_config, features, tmp_path):
    trainer(write_config({"epochs": 3, "result": {"average": 2}}), features, tmp_path).run()
    epochs = [weights(tmp_path / f"phases/a/epochs/000{n}.pt") for n in (2, 3)]
    found = weights(tmp_path / "final.pt")
    assert same(found, weights(tmp_path / "phases/a/final.pt"))
    for name, value in found.items():
        mean = sum(epoch[name].double() for epoch in epochs) / 2 if value.is_floating_point() else epochs[1][name]
        assert torch.equal(value, mean.to(value.dtype))


def test_a_phase_without_patience_left_ends_with_its_best_epoch(write_config, features, tmp_path):
    config = write_config({"epochs": 9, "result": {"of": "best", "patience": 2}}, {"epochs": 1})
    trainer(config, features, tmp_path, 0.4, 0.2, 0.3, 0.25, 0.5).run()
    assert epochs_of(tmp_path) == [1, 2, 3, 4] and epochs_of(tmp_path, "b") == [1]
    assert same(weights(tmp_path / "phases/a/final.pt"), weights(tmp_path / "phases/a/epochs/0002.pt"))


def test_the_next_phase_starts_from_the_weights_that_the_one_before_ends_with(write_config, features, tmp_path):
    trainer(write_config({"result": {"of": "best"}}, {"freeze": ["*"]}), features, tmp_path, 0.1, 0.2, 0.3, 0.4).run()
    first, last = (checkpoint.load(tmp_path / f"phases/{phase}/final.pt")["model"] for phase in "ab")
    assert same(first, checkpoint.load(tmp_path / "phases/a/epochs/0001.pt")["model"])
    assert same(first, last), "all of it was frozen, running statistics too"


def test_a_moving_average_is_what_is_validated_and_saved(write_config, features, tmp_path):
    trainer(write_config({}), features, tmp_path / "plain").run()
    ours = trainer(write_config({"result": {"ema": 0.5}}), features, tmp_path / "ema")
    seen = []
    ours.validate = lambda network, *_: seen.append(network.state_dict()) or {"dev_eer": 0.5}
    ours.run()
    plain, averaged = (checkpoint.load(tmp_path / f"{name}/final.pt")["model"] for name in ("plain", "ema"))
    assert same(seen[-1], averaged) and not same(plain, averaged)
    newest = max((tmp_path / "ema/phases/a/checkpoints").glob("*.pt"))
    assert same(checkpoint.load(newest)["model"], plain), "what trains is not touched by the average"


def test_results_have_the_same_bits_after_any_interruption(write_config, features, tmp_path, monkeypatch):
    result = {"of": "best", "average": 2, "patience": 2, "ema": 0.9}
    config = write_config({"epochs": 9, "result": result}, {"result": {"average": 2}})
    rates = 0.4, 0.2, 0.3, 0.25, 0.1, 0.2
    trainer(config, features, tmp_path / "a", *rates).run()
    run_with_deaths(monkeypatch, lambda: trainer(config, features, tmp_path / "b", *rates, minutes=0), [1, 3, 4, 5, 99])
    assert (tmp_path / "b/final.pt").read_bytes() == (tmp_path / "a/final.pt").read_bytes()


def test_what_a_phase_freezes_keeps_its_bits_and_learns_in_the_next(write_config, features, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    ours = trainer(write_config({"freeze": ["conv", "*.bias"]}, {}), features, tmp_path)
    before = {name: value.clone() for name, value in ours.network.state_dict().items()}
    ours.run()
    first, last = (checkpoint.load(tmp_path / f"phases/{phase}/final.pt")["model"] for phase in "ab")
    frozen = {name for name in before if name.startswith("conv.") or name.endswith(".bias")}
    assert {name for name in before if torch.equal(before[name], first[name])} == frozen
    assert not any(torch.equal(first[name], last[name]) for name in frozen)
    assert "tensors stay as they are: conv.0.weight, conv.0.bias, conv.2.weight and" in caplog.text


def test_a_pattern_of_a_later_phase_that_matches_nothing_is_told_before_anything_is_trained(
    write_config, features, tmp_path
):
    config = write_config({}, {"freeze": ["conv", "block"]})
    with pytest.raises(InputError, match=r"phases\.1\.freeze: 'block' matches no parameter \(did you mean 'blocks'"):
        trainer(config, features, tmp_path / "exp")
    assert not (tmp_path / "exp").exists()


@pytest.fixture
def first_model(write_config, features, tmp_path) -> Path:
    """Trained on ann, bob and cy."""
    trainer(write_config({}), features, tmp_path / "first").run()
    return tmp_path / "first/final.pt"


def test_a_training_starts_from_another_ones_model_after_any_interruption(
    write_config, others, first_model, tmp_path, monkeypatch
):
    def start(folder: str, minutes: float = 10) -> Trainer:
        return trainer(config, others, tmp_path / folder, minutes=minutes, initial=first_model)

    config, before = write_config({"epochs": 1}, {}), weights(first_model)
    ours = start("a")
    ours.run()
    assert ours.head.speakers == ["ann", "cy", "dora", "emil"]
    started = weights(tmp_path / "a/phases/a/checkpoints/000000000.pt")
    del before["row of bob"]
    assert same({name: started[name] for name in before}, before)
    run_with_deaths(monkeypatch, lambda: start("b", minutes=0), [0, 1, 2, 99])
    assert (tmp_path / "b/final.pt").read_bytes() == (tmp_path / "a/final.pt").read_bytes()


def test_rows_of_new_speakers_point_to_the_mean_of_their_embeddings(write_config, others, first_model, tmp_path):
    cosines = {}
    for new_rows in ("mean", "random"):
        config = write_config({"new_rows": new_rows})
        ours = trainer(config, others, tmp_path / new_rows, initial=first_model)
        ours._begin_phase()
        rows = ours.head.full_state()["rows"][:, 0]
        ours.network.eval()
        for speaker, row in zip(ours.head.speakers[2:], rows[2:], strict=True):
            frames = [torch.from_numpy(ours.utterances[0].read(f"{speaker}-{n}")) for n in range(3)]
            mean = sum(torch.nn.functional.normalize(ours.network(f[None])[0], dim=0) for f in frames)
            cosines[speaker, new_rows] = torch.cosine_similarity(row, mean.detach(), dim=0).item()
    assert all((cosine > 0.95) == (new_rows == "mean") for (_, new_rows), cosine in cosines.items()), cosines


@pytest.mark.parametrize("initial", ["other", None])
def test_a_training_goes_on_only_from_the_model_that_it_started_from(
    write_config, others, first_model, tmp_path, initial
):
    config = write_config({})
    trainer(config, others, tmp_path / "exp", initial=first_model).run()
    path = initial and shutil.copy(tmp_path / "exp/final.pt", tmp_path / "other.pt")
    with pytest.raises(InputError, match="were made with another --init"):
        trainer(config, others, tmp_path / "exp", initial=path).run()


@pytest.mark.parametrize("wrong", ["no such file", "truncated or not a checkpoint", "its network (ecapa_tdnn) is not"])
def test_a_model_that_cannot_be_started_from_discards_and_writes_nothing(
    write_config, features, first_model, tmp_path, run, root, wrong
):
    bad = tmp_path / "bad.pt"
    if wrong.startswith("truncated"):
        bad.write_bytes(first_model.read_bytes()[:1000])
    elif wrong.startswith("its"):
        state = checkpoint.load(first_model)
        checkpoint.save(bad, state | {"model": dict(list(state["model"].items())[:-1])})
    exp = first_model.parent
    before = {path: path.stat().st_mtime_ns for path in exp.rglob("*")}
    command = [sys.executable, "-m", "sv_py.train", "--init", bad, "--restart", "true", tmp_path / "config.yaml"]
    done = run(*command, features, features, exp, PYTHONPATH=root, code=1)
    assert f"{bad}: {wrong}" in done.stderr and "Traceback" not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in exp.rglob("*")} == before


def test_from_the_command_line_a_training_starts_from_a_model(
    write_config, features, others, first_model, tmp_path, run, root
):
    write_lines(others / "trials", ["ann-0 ann-1 target", "ann-0 cy-0 nontarget"])
    config = write_config({"epochs": 1})
    command = [sys.executable, "-m", "sv_py.train", "--init", first_model, "--num-threads", "1", "--device", "cpu"]
    done = run(*command, config, others, others, tmp_path / "exp", PYTHONPATH=root)
    assert "head: 4 speakers, 2 of them known from there, 2 new" in done.stderr
    assert checkpoint.load(tmp_path / "exp/final.pt")["head"]["speakers"] == ["ann", "cy", "dora", "emil"]
