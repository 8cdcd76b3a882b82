"""What the user sees of a training: log lines, metrics.jsonl, TensorBoard, a forecast, a warning, a table."""

import json
import logging

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sv_py.config import from_dict
from sv_py.train import monitor
from sv_py.train.distributed import Processes
from sv_py.train.forecast import Forecast, duration
from sv_py.train.monitor import Monitor

ONE = Processes(torch.device("cpu"))
STEPS = {"warm": 100, "tune": 10}
FACTS = {
    "device": torch.device("cpu"), "parameters": 6_600_000, "parameters_with_head": 7_900_000, "classes": 5000,
    "steps": STEPS,
}  # fmt: skip


class Second(Processes):
    """The second of two processes."""

    rank, count = 1, 2


@pytest.fixture(scope="module")
def config():
    phases = [
        {"name": "warm", "epochs": 4, "batch_size": 64, "micro_batch": 16, "crop": 200, "rate": {"warmup": 1}},
        {"name": "tune", "epochs": 2, "batch_size": 32, "crop": [500, 700], "rate": {"peak": 0.001}},
    ]
    return from_dict({"model": {"name": "ecapa_tdnn"}, "phases": phases}, "test")


@pytest.fixture
def info(caplog):
    caplog.set_level(logging.INFO, "sv_py")
    return caplog


def numbers(phase="warm", epoch=1, accuracy=0.5, **more):
    return {
        "phase": phase, "epoch": epoch, "loss": 3.25, "accuracy": accuracy, "rate": 0.1, "margin": 0.2, "dev_eer": 0.1,
        "utt_per_s": 100.0, "data_wait": 0.01, "seconds": 36.0,
    } | more  # fmt: skip


def run_epoch(told: Monitor, phase, epoch=0, done=0, steps=100, margin=0.2):
    with told.epoch(phase, epoch, steps, done) as bar:
        for step in range(done, steps):
            bar.step(phase.batch_size, float(step), 0.5, 0.1, margin, 0.02)


def board(folder) -> dict[str, list[tuple[int, float]]]:
    """The curves of TensorBoard as it shows them: (utterances, value) by name."""
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_at_the_start_size_batch_rate_and_precision_are_told(config, tmp_path, info):
    Monitor(tmp_path, config, ONE).start(**FACTS)
    assert (
        "on cpu with" in info.text
        and "float32: 6,600,000 parameters, 7,900,000 with the head of 5,000 classes" in info.text
    )
    assert (
        "phase warm: 4 epochs of 100 steps; a step is 64 utterances (micro-batches: 4 of 16; processes: 1); "
        "rate up to 0.1" in info.text
    )
    assert "phase tune: 2 epochs of 10 steps" in info.text and not list(tmp_path.iterdir())


def test_an_epoch_leaves_a_line_of_numbers_a_log_line_and_curves(config, tmp_path, info):
    told = Monitor(tmp_path, config, ONE)
    told.start(**FACTS)
    history = [numbers(), numbers(epoch=2, margin=[0.2, 0.0, 0.1]), numbers(epoch=3, margin=None, unreadable=1)]
    for end in (1, 2, 3):
        told.end_epoch("warm", history[:end])
    told.end_phase()
    told.close()
    lines = (tmp_path / "phases/warm/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history
    assert "phase warm epoch 1 loss 3.25 accuracy 0.5 rate 0.1 margin 0.2 dev_eer 0.1" in info.text
    assert b"</svg>" in (tmp_path / "curves.svg").read_bytes()
    assert [step for step, _ in board(tmp_path)["epoch/loss"]] == [6400, 12800, 19200]


def test_the_progress_shows_speed_loss_accuracy_rate_margin_and_waiting(config, tmp_path, capsys):
    told = Monitor(tmp_path, config, ONE)
    told.start(**FACTS)
    run_epoch(told, config.phases[0], epoch=1, done=90, margin=[0.2, 0.06])
    told.close()
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("warm epoch 2/4:  90%") and "5760/6400" in first
    assert last.startswith("warm epoch 2/4: 100%") and "6400/6400 [" in last and "utt/s" in last
    assert "loss 94.5, acc 50.0%, wait 2%, lr 0.1, margin 0.2/0.06]" in last


def test_tensorboard_has_means_by_utterances_seen_and_a_resume_draws_none_twice(config, tmp_path):
    for epoch, done in ((0, 0), (0, 60)):  # a run that went on to the end, and one from a checkpoint at step 60
        told = Monitor(tmp_path, config, ONE)
        told.start(**FACTS)
        run_epoch(told, config.phases[0], epoch, done)
        told.end_epoch("warm", [numbers()])
        told.close()
    curves = board(tmp_path)
    assert curves["step/loss"] == [(3200, 24.5), (6400, 79.5)]
    assert curves["step/rate"] == [(3200, pytest.approx(0.1)), (6400, pytest.approx(0.1))]
    assert [step for step, _ in curves["epoch/dev_eer"]] == [6400]
    assert curves.keys() >= {"step/accuracy", "step/margin", "step/data_wait", "step/utt_per_s"}


def test_other_processes_say_and_write_nothing(config, tmp_path, info, capsys):
    told = Monitor(tmp_path, config, Second(torch.device("cpu")))
    told.start(**FACTS)
    run_epoch(told, config.phases[0])
    told.end_epoch("warm", [numbers()])
    told.end_phase()
    told.end_training()
    told.close()
    assert not list(tmp_path.iterdir()) and not info.text and not capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "phase", "epochs", "accuracy", "steps", "hints"),
    [
        (5000, "warm", 4, 1 / 5000, 100, 1),  # told once
        (5000, "warm", 1, 1 / 5000, 100, 0),  # while the rate rises nothing is learnt
        (5000, "warm", 2, 1 / 5000, 100, 0),  # nor in so few steps
        (5000, "warm", 2, 1 / 5000, 1000, 1),
        (5000, "warm", 4, 4 / 5000, 100, 0),
        (5000, "tune", 2, 1 / 5000, 1000, 0),
        (10, "warm", 4, 0.12, 100, 1),
        (10, "warm", 4, 0.2, 100, 0),  # of few classes that is something
    ],
)
def test_a_network_that_does_not_learn_is_hinted_at_once_after_the_warm_up(
    config, tmp_path, info, classes, phase, epochs, accuracy, steps, hints
):
    told = Monitor(tmp_path, config, ONE)
    told.start(**FACTS | {"classes": classes, "steps": dict.fromkeys(STEPS, steps)})
    history = [numbers(phase, epoch + 1, accuracy) for epoch in range(epochs)]
    for end in range(1, epochs + 1):
        told.end_epoch(phase, history[:end])
    told.close()
    assert info.text.count(f"hardly above chance, 1/{classes}: look at the learning rate (up to 0.1)") == hints


def test_the_forecast_takes_the_cost_of_a_crop_to_be_proportional_to_its_frames(config):
    warm, tune = config.phases
    forecast = Forecast(config.phases, STEPS)
    for _ in range(10):
        forecast.measure(warm, 0.5)  # for 64 x 200 frames
    assert forecast.seconds == 5
    assert forecast.seconds_left(tune, 1, 10) == 0
    assert forecast.seconds_left(tune, 1, 0) == pytest.approx(10 * 0.5 * 1.5)  # 32 x 600 frames
    assert forecast.seconds_left(warm, 3, 90) == pytest.approx(10 * 0.5 + 20 * 0.75)
    forecast.measure(tune, 1.0)
    assert forecast.seconds_left(tune, 1, 0) == pytest.approx(10 * 19200 * 6 / (10 * 12800 + 19200))


def test_the_forecast_is_told_once(config, tmp_path, info, monkeypatch):
    monkeypatch.setattr(monitor, "_FORECAST_SECONDS", 1e-9)
    told = Monitor(tmp_path, config, ONE)
    told.start(**FACTS)
    run_epoch(told, config.phases[0])
    run_epoch(told, config.phases[0], 1)
    told.close()
    assert info.text.count("expected: 0 s for the rest of all phases without validation, until ") == 1


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (89, "89 s"), (91, "2 min"), (3570, "1 h 0 min"), (12_000, "3 h 20 min"), (900_000, "250 h 0 min")],
)
def test_durations_are_read_at_a_glance(seconds, shown):
    assert duration(seconds) == shown


def test_at_the_end_a_table_shows_each_phase(config, tmp_path, info):
    told = Monitor(tmp_path, config, ONE)
    told.start(**FACTS)
    told.end_epoch("warm", [numbers(dev_eer=0.25), numbers(epoch=2, dev_eer=0.0625)])
    told.end_epoch("tune", [numbers("tune", dev_eer=0.03), numbers("tune", 2, dev_eer=0.04, utt_per_s=50.0)])
    told.end_training()
    told.close()
    rows = [record.message.split() for record in info.records[-2:]]
    assert rows == [
        ["warm", "2", "2", "6.25%", "6.25%", "100.0", "0.02"],
        ["tune", "2", "1", "3.00%", "4.00%", "75.0", "0.02"],
    ]
