"""The model files of a phase's epochs: which are kept, and what weights they make."""

import math
from pathlib import Path

import pytest
import torch

from sv_py.cli import InputError
from sv_py.schema import Result
from sv_py.train import checkpoint
from sv_py.train.results import EpochFiles


def history(*values: float, by: str = "dev_eer") -> list[dict]:
    return [{"epoch": i, by: value} for i, value in enumerate(values, 1)]


def model(value: float, speakers: int = 3, **head) -> dict:
    """A model file whose weights are all ``value``."""
    names, value = [f"spk{i}" for i in range(speakers)], float(value)
    weights = {"weight": torch.full((2, 3), value), "running_mean": torch.full((3,), 10 * value)}
    rows = torch.full((speakers, 1, 3), -value)
    return {
        "config": {"seed": 0, "phases": []}, "model": weights | {"num_batches_tracked": torch.tensor(int(value))},
        "head": {"speakers": names, "rows": rows, "optimizer": {}, "loss": {"bias": torch.tensor(value)}} | head,
    }  # fmt: skip


def train(folder: Path, result: Result, *values: float) -> EpochFiles:
    """The files after epochs with these error rates; epoch n has weights n."""
    files = EpochFiles(folder, result)
    for n in range(1, len(values) + 1):
        files.save(history(*values[:n]), model(n))
    return files


def kept(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.pt"))


def test_the_last_epochs_and_the_best_one_are_kept_also_of_two_epochs_ago(tmp_path):
    train(tmp_path, Result(average=2), 5, 1, 4, 3, 6, 7, 8)
    assert kept(tmp_path) == [2, 4, 5, 6, 7]


def test_the_best_epochs_and_the_last_one_are_kept_also_of_two_epochs_ago(tmp_path):
    train(tmp_path, Result(of="best", average=2), 9, 2, 1, 3, 8, 8, 8)
    assert kept(tmp_path) == [2, 3, 5, 6, 7]


def test_a_training_may_go_on_from_two_epochs_ago_and_end_as_well(tmp_path):
    values = 9, 2, 1, 0.5, 3
    train(tmp_path, Result(of="best", average=2), *values)
    files = EpochFiles(tmp_path, Result(of="best", average=2))
    again = 9, 2, 1, 8, 8  # on a GPU, numbers may differ
    for n in (4, 5):
        files.save(history(*again[:n]), model(10 * n))
    assert files.weights(history(*again))["model"]["weight"].unique().tolist() == [2.5]
    assert checkpoint.load(tmp_path / "0005.pt")["model"]["weight"].unique().tolist() == [50]


def test_nothing_but_the_files_of_epochs_is_dropped(tmp_path):
    tmp_path.joinpath("mine.pt").touch()
    tmp_path.joinpath(".0001.pt.host.17.tmp").touch()  # of a process that was killed
    train(tmp_path, Result(), 4, 3, 2, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0002.pt", "0003.pt", "0004.pt", "mine.pt"]


@pytest.mark.parametrize(
    ("result", "values", "epochs"),
    [
        (Result(), (1, 2, 3), [3]),
        (Result(average=2), (1, 2, 3), [2, 3]),
        (Result(average=9), (1, 2, 3), [1, 2, 3]),
        (Result(of="best"), (3, 1, 2), [2]),
        (Result(of="best"), (3, 1, 1), [2]),
        (Result(of="best", average=2), (1, 3, 2, 2, 9), [1, 3]),
        (Result(of="best"), (math.nan, 5, math.nan), [2]),
    ],
)
def test_a_phase_ends_with_the_mean_over_the_epochs_that_are_asked_for(tmp_path, result, values, epochs):
    state = train(tmp_path, result, *values).weights(history(*values))
    mean = sum(epochs) / len(epochs)
    assert state["model"]["weight"].unique().tolist() == pytest.approx([mean])
    assert state["model"]["running_mean"].unique().tolist() == pytest.approx([10 * mean])
    assert state["model"]["num_batches_tracked"] == epochs[-1]
    assert state["head"]["rows"].unique().tolist() == pytest.approx([-mean])
    assert state["head"]["loss"]["bias"].item() == pytest.approx(mean)
    assert state["head"]["speakers"] == ["spk0", "spk1", "spk2"]
    assert {value.dtype for value in (state["model"]["weight"], state["head"]["rows"])} == {torch.float32}


def test_the_mean_is_taken_in_float64(tmp_path):
    files = EpochFiles(tmp_path, Result(average=3))
    for n, value in enumerate((1e8, 1.0, -1e8), 1):  # in float32, 1e8 + 1 is 1e8
        files.save(history(*[0] * n), model(value))
    assert files.weights(history(0, 0, 0))["model"]["weight"][0, 0] == torch.tensor(1 / 3)


def test_the_best_epoch_is_that_of_the_number_that_is_asked_for(tmp_path):
    files = EpochFiles(tmp_path, Result(of="best", by="valid_loss"))
    for n in (1, 2):
        files.save(history(1.5, 2.5, by="valid_loss")[:n], model(n))
    assert files.weights(history(1.5, 2.5, by="valid_loss"))["model"]["weight"][0, 0] == 1


def test_counters_that_differ_between_epochs_are_those_of_the_last(tmp_path):
    files = EpochFiles(tmp_path, Result(average=2))
    for n in (1, 2):
        files.save(history(*[0] * n), model(n, steps=n))
    assert files.weights(history(0, 0))["head"]["steps"] == 2


def test_files_of_other_speakers_are_not_averaged(tmp_path):
    files = train(tmp_path, Result(average=2), 1, 1)
    checkpoint.save(tmp_path / "0002.pt", model(2, speakers=4))
    with pytest.raises(InputError, match=r"0002\.pt: cannot be averaged with .*0001\.pt: .* other speakers"):
        files.weights(history(1, 1))


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_file_that_is_gone_or_damaged_is_named(tmp_path, damage):
    files = train(tmp_path, Result(), 1)
    path = tmp_path / "0001.pt"
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"0001\.pt: (no such file|truncated)"):
        files.weights(history(1))


@pytest.mark.parametrize(
    ("patience", "values", "over"),
    [
        (0, (1, 2, 3, 4), False),
        (2, (), False),
        (2, (1, 2), False),
        (2, (1, 2, 1.5), True),
        (2, (1, 2, 1, 0.5), False),
        (2, (3, 2, 2, 2), True),  # as good is not better
        (1, (1, math.nan), True),
        (1, (math.nan, 1), False),
    ],
)
def test_patience_ends_a_phase_after_so_many_epochs_without_a_better_one(tmp_path, patience, values, over):
    assert EpochFiles(tmp_path, Result(patience=patience)).is_over(history(*values)) == over


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"of": "first"}, "of is last or best, not 'first'"),
        ({"by": "loss"}, "by is dev_eer, dev_min_dcf or valid_loss, not 'loss'"),
        ({"average": 0}, "average must be at least 1"),
        ({"patience": -1}, "patience must be at least 0"),
        ({"ema": 1.0}, "ema must be at least 0 and below 1"),
    ],
)
def test_a_result_that_makes_no_sense_is_an_error(arguments, message):
    with pytest.raises(InputError, match=message):
        Result(**arguments)
