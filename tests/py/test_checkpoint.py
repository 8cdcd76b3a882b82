"""Which checkpoints of a training are kept, and from which one it goes on."""

from pathlib import Path

import pytest
import torch

from sv_py.cli import InputError
from sv_py.train import checkpoint

PLACE = {"phase": 0, "epoch": 0}


def state(step: int, **values) -> dict:
    return {"config": {}, "model": {"weight": torch.full((50,), float(step))}, "step": step} | PLACE | values


def write(folder: Path, *steps: int) -> list[Path]:
    for step in steps:
        checkpoint.save_step(folder, step, state(step))
    return sorted(folder.glob("*.pt"))


def test_the_last_two_checkpoints_are_kept(tmp_path):
    assert [path.name for path in write(tmp_path, 5, 10, 100, 2000)] == ["000000100.pt", "000002000.pt"]


def test_what_is_no_checkpoint_stays_and_what_a_killed_writer_left_goes(tmp_path):
    (tmp_path / "mine.pt").touch()
    (tmp_path / ".000000007.pt.host.17.tmp").touch()
    write(tmp_path, 1, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000002.pt", "000000003.pt", "mine.pt"]


def test_a_training_that_went_back_behind_damaged_checkpoints_keeps_what_it_does_then(tmp_path):
    for path in write(tmp_path, 10, 20):
        path.write_bytes(b"")
    for step in (3, 6):
        write(tmp_path, step)
        assert checkpoint.latest([tmp_path])["step"] == step
    assert [path.stem for path in sorted(tmp_path.iterdir())] == ["000000003", "000000006"]


def test_training_goes_on_from_the_last_phase_with_a_checkpoint(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    assert checkpoint.latest(folders) is None
    write(folders[0], 7)
    write(folders[1], 1, 2)
    assert checkpoint.latest(folders)["step"] == 2
    for path in folders[1].iterdir():
        path.write_bytes(b"")
    assert checkpoint.latest(folders)["step"] == 7


def test_a_file_cut_at_any_byte_is_passed_over_for_the_one_before(tmp_path, caplog):
    newest = write(tmp_path, 1, 2)[-1]
    whole = newest.read_bytes()
    for length in range(0, len(whole) - 1, len(whole) // 40):
        newest.write_bytes(whole[:length])
        assert checkpoint.latest([tmp_path])["step"] == 1, length
    assert "000000002.pt: truncated or not a checkpoint" in caplog.text
    newest.write_bytes(whole)
    assert checkpoint.latest([tmp_path])["step"] == 2


@pytest.mark.parametrize(
    ("foreign", "reason"),
    [
        ({"config": {}, "model": {}}, "a model, not a checkpoint of a training: no phase, epoch, step inside"),
        ({"weight": torch.zeros(1)}, "not a checkpoint of this project: no config and model inside"),
        ([1, 2], "not a checkpoint of this project"),
    ],
)
def test_a_foreign_file_is_passed_over_with_the_reason(tmp_path, caplog, foreign, reason):
    write(tmp_path, 1)
    torch.save(foreign, tmp_path / "000000009.pt")
    assert checkpoint.latest([tmp_path])["step"] == 1
    assert f"{tmp_path}/000000009.pt: {reason}" in caplog.text and "trying the one before" in caplog.text


def test_a_write_that_fails_leaves_the_checkpoint_before(tmp_path):
    before = write(tmp_path, 1)
    with pytest.raises(AttributeError, match="lambda"):
        checkpoint.save_step(tmp_path, 1, state(1, broken=lambda: 0))
    assert list(tmp_path.iterdir()) == before
    assert checkpoint.latest([tmp_path])["step"] == 1


def test_a_checkpoint_of_another_training_is_passed_over_and_the_error_if_there_is_no_other(tmp_path, caplog):
    def check(found: dict) -> None:
        if found["step"] != 1:
            raise InputError(f"step {found['step']} is not ours", tmp_path)

    write(tmp_path, 1, 2)
    assert checkpoint.latest([tmp_path], check)["step"] == 1
    assert "000000002.pt: step 2 is not ours; trying the one before" in caplog.text
    write(tmp_path, 3)
    (tmp_path / "000000004.pt").touch()
    with pytest.raises(InputError, match="step 3 is not ours"):
        checkpoint.latest([tmp_path], check)
