"""Trainings in several processes: the same as in one, refused where they could not be, ended when one fails."""

import pytest
import torch
from distributed_job import RESUMED, STEPS, STOPPED, TRAININGS
from ranks import run_job

from sv_py.cli import InputError
from sv_py.train.distributed import connect

KEYS = ("model", "rows", "loss", "losses")
every_resumed = pytest.mark.parametrize("kind", RESUMED)


@pytest.fixture(scope="module")
def found(tmp_path_factory, root):
    """What distributed_job.py finds."""
    folder = tmp_path_factory.mktemp("distributed")
    run_job("distributed_job.py", folder, root, timeout=600)
    return torch.load(folder / "found.pt", weights_only=True)


def assert_same(ours: dict, theirs: dict, tolerance: float) -> None:
    """Weights, running statistics and losses agree."""
    for key in KEYS:
        torch.testing.assert_close(ours[key], theirs[key], rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("ranks", "kind"), [(n, kind) for n in (2, 3, 4) for kind in TRAININGS[n] if (n, kind) != (4, "sharded")]
)
def test_processes_train_like_one_whichever_micro_batches_they_take(found, ranks, kind):
    alone = found["of1"][0][kind]
    for process in found[f"of{ranks}"]:
        assert_same(process[kind], alone, 1e-6)
    assert {value.dtype for value in alone["model"].values()} == {torch.float64, torch.int64}
    assert alone["losses"][1] < alone["losses"][0] - 1


@every_resumed
def test_a_training_of_three_processes_goes_on_in_one_or_two(found, kind):
    for name in ("on1", "on2"):
        for process in found[name]:
            assert_same(process[kind], found["of3"][0][kind], 1e-6)


@every_resumed
def test_in_as_many_processes_as_before_it_goes_on_to_the_same_bits(found, kind):
    for ours, theirs in zip(found["on3"], found["of3"], strict=True):
        assert_same(ours[kind], theirs[kind], 0)


@every_resumed
def test_all_stop_after_the_same_step_when_one_is_asked_to(found, kind):
    for process in found["stopped"]:
        assert not process[kind]["done"] and process[kind]["place"] == [1, STOPPED + 1 - STEPS]


def test_processes_that_do_not_see_one_folder_do_not_train(found):
    for process in found["apart"]:
        message = f"different checkpoints there (phase 1, epoch 2, step {STOPPED + 1 - STEPS}; none)"
        assert message in process[RESUMED[0]]


def test_micro_batches_that_cannot_be_shared_out_are_an_error(found):
    for process in found["of7"]:
        assert "phases.0: batch_size 12 and micro_batch 2 make 6 micro-batches" in process["full"]
        assert "too few for 7 processes" in process["full"]
    for process in found["of4"]:
        assert "the sharded head needs a multiple of its 4 processes" in process["sharded"]


def test_one_process_alone_needs_no_others(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = connect("cpu")
    assert (alone.rank, alone.count, alone.first) == (0, 1, True)
    values = torch.ones(2)
    assert alone.sum(values) is values and alone.sum_async(values) is None
    assert alone.texts(["b", "a", "b"]) == ["b", "a"]
    alone.beat("a step")
    alone.close()
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "WORLD_SIZE is 2, but RANK is not set: start with torchrun"),
        ({"RANK": "1"}, "LOCAL_RANK is not set"),
        ({"RANK": "1", "LOCAL_RANK": "one", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, "LOCAL_RANK is 'one', no number"),
        ({"RANK": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, "RANK is 2, but there are 2"),
    ],
)
def test_variables_that_do_not_tell_who_the_others_are_are_an_error(monkeypatch, variables, message):
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"WORLD_SIZE": "2", **variables}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=message):
        connect("cpu")
