"""What the user sees of a training: its size, progress, curves, and a word of warning. Only the first process tells."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean

import torch

from sv_py.io.text import write_lines
from sv_py.log import logger, progress
from sv_py.report import curves
from sv_py.schema import Config, Phase
from sv_py.train.distributed import Processes
from sv_py.train.forecast import Forecast, duration

_BOARD_STEPS = 50  # from one point of TensorBoard's curves to the next
_SLOW_STEPS = 3  # that an epoch begins with: they say little of those to come
_LEARNT_STEPS = 200  # after the warm-up, by which a network has learnt something
_FORECAST_SECONDS = 30.0  # of steps tell how long the training will take


class Monitor:
    """Log lines, bars, phases/<name>/metrics.jsonl, tensorboard/ and curves.svg of the experiment in ``folder``.

    To be called in the order `start`, for each epoch `epoch` and `end_epoch`, for each phase `end_phase`, and at last
    `end_training`, or `close` where it stops before.
    """

    def __init__(self, folder: Path, config: Config, processes: Processes):
        self.folder, self.config, self.processes = folder, config, processes
        self._board = None
        self._hinted = False

    def start(
        self, *, device: torch.device, parameters: int, parameters_with_head: int, classes: int,
        steps: Mapping[str, int],
    ) -> None:  # fmt: skip
        """Say what is trained; ``classes`` of the first phase, ``steps`` of an epoch by phase."""
        self.forecast, self.forecast_told = Forecast(self.config.phases, steps), False
        self._classes, self._steps = classes, steps
        if not self.processes.first:
            return
        logger.info(
            "%s on %s with %d threads, %s: %s parameters, %s with the head of %s classes", self.config.model.name,
            device, torch.get_num_threads(), self._precision(device), f"{parameters:,}", f"{parameters_with_head:,}",
            f"{classes:,}",
        )  # fmt: skip
        for phase in self.config.phases:
            logger.info(
                "phase %s: %d epochs of %s steps; a step is %d utterances (micro-batches: %d of %d; processes: %d); "
                "rate up to %g", phase.name, phase.epochs, f"{steps[phase.name]:,}", phase.batch_size,
                phase.micro_batches, phase.micro_size, self.processes.count, phase.rate.peak,
            )  # fmt: skip

    @contextmanager
    def epoch(self, phase: Phase, epoch: int, steps: int, done: int = 0) -> Iterator["EpochBar"]:
        """The progress of ``epoch`` (from 0), of so many ``steps``, of which ``done`` were taken before."""
        bar = EpochBar(self, phase, epoch, steps, done)
        try:
            yield bar
        finally:
            bar.close()

    def end_epoch(self, phase_name: str, history: Sequence[Mapping]) -> None:
        """Tell of the epoch that is the last of ``history``, the numbers of all finished epochs of the phase."""
        if not self.processes.first:
            return
        numbers = history[-1]
        phase = next(phase for phase in self.config.phases if phase.name == phase_name)
        place = self.folder / "phases" / phase_name
        place.mkdir(parents=True, exist_ok=True)
        write_lines(place / "metrics.jsonl", [json.dumps(entry) for entry in history])
        logger.info("%s", " ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in numbers.items()))
        self.draw("epoch", numbers, self.forecast.utterances(phase, numbers["epoch"], 0))
        self._hint(phase, numbers)

    def end_phase(self) -> None:
        """Draw the curves of all epochs so far."""
        if self.processes.first:
            curves.draw({self.folder.name: self._epochs()}, self.folder / "curves.svg")

    def end_training(self) -> None:
        """Show a table of the phases."""
        self.close()
        if self.processes.first:
            for line in curves.summary(self._epochs()).splitlines():
                logger.info("%s", line)

    def close(self) -> None:
        """Close the files."""
        if self._board is not None:
            self._board.close()

    def draw(self, group: str, numbers: Mapping, utterances: int) -> None:
        """A point of each of TensorBoard's curves of ``group``, at so many utterances seen."""
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter  # late: half of torch's own time to import

            # What a run that was interrupted drew behind this point is drawn anew.
            self._board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=utterances)
        for name, value in numbers.items():
            if isinstance(value, float):
                self._board.add_scalar(f"{group}/{name}", value, utterances)
        self._board.flush()

    def _epochs(self) -> list[dict]:
        return curves.read_epochs(self.folder, [phase.name for phase in self.config.phases])

    def _precision(self, device: torch.device) -> str:
        compute = self.config.compute
        plain = "float32 (tf32)" if compute.tf32 and device.type == "cuda" else "float32"
        return plain if compute.autocast == "none" else f"{compute.autocast} autocast"

    def _hint(self, phase: Phase, numbers: Mapping) -> None:
        """Once, if some epochs after the warm-up of the first phase nothing has been learnt."""
        epochs = max(1.0, _LEARNT_STEPS / self._steps[phase.name])
        due = phase is self.config.phases[0] and numbers["epoch"] >= phase.rate.warmup + epochs
        chance = 1 / self._classes
        if due and not self._hinted and numbers["accuracy"] < min(3 * chance, chance + 0.05):
            self._hinted = True
            logger.warning(
                "accuracy %.2g after epoch %d is hardly above chance, 1/%d: look at the learning rate (up to %g), the "
                "speakers in utt2spk, and whether features or audio hold speech",
                numbers["accuracy"], numbers["epoch"], self._classes, phase.rate.peak,
            )  # fmt: skip


class EpochBar:
    """The progress of an epoch; loss and accuracy are means since they were last shown."""

    def __init__(self, monitor: Monitor, phase: Phase, epoch: int, steps: int, done: int):
        self._monitor, self._phase, self._epoch, self._done = monitor, phase, epoch, done
        self._hidden = not monitor.processes.first
        self._bar = progress(
            None, steps * phase.batch_size, f"{phase.name} epoch {epoch + 1}/{phase.epochs}",
            initial=done * phase.batch_size, width=150, hidden=self._hidden,
        )  # fmt: skip
        self._first, self._last_shown, self._last_step = done, time.monotonic(), 0.0
        self._for_bar: list[tuple[float, float]] = []  # loss and accuracy of the steps since it showed some
        self._for_board: list[tuple[float, float]] = []

    def step(
        self, utts: int, loss: float, accuracy: float, rate: float, margin: float | Sequence[float] | None,
        data_wait: float,
    ) -> None:  # fmt: skip
        """A step was taken, of ``utts`` utterances of all processes.

        ``loss`` and ``accuracy`` are the step's; ``data_wait`` is the share of the epoch's time so far in which the
        training waited for data.
        """
        if self._hidden:
            return
        now = time.monotonic()
        self._done += 1
        self._bar.n += utts
        self._for_bar.append((loss, accuracy))
        self._for_board.append((loss, accuracy))
        self._rest = f"wait {data_wait:.0%}, lr {rate:.3g}, margin {_shown(margin)}"
        if now - self._last_shown >= self._bar.mininterval:
            self._last_shown = now
            self._show()
        if self._done % _BOARD_STEPS == 0:
            numbers = _take_means(self._for_board) | {"rate": rate, "margin": margin, "data_wait": data_wait}
            numbers["utt_per_s"] = (self._bar.n - self._bar.initial) / self._bar.format_dict["elapsed"]
            place = self._monitor.forecast.utterances(self._phase, self._epoch, self._done)
            self._monitor.draw("step", numbers, place)
        self._forecast(now)

    def close(self) -> None:
        """The last look at the epoch."""
        if self._for_bar:
            self._show(refresh=False)
        self._bar.close()

    def _show(self, refresh: bool = True) -> None:
        means = _take_means(self._for_bar)
        self._bar.set_postfix_str(f"loss {means['loss']:.3g}, acc {means['accuracy']:.1%}, {self._rest}", refresh)

    def _forecast(self, now: float) -> None:
        """Once, as soon as steps were watched for long enough, tell when the training will have ended."""
        forecast = self._monitor.forecast
        if self._done - self._first > _SLOW_STEPS:
            forecast.measure(self._phase, now - self._last_step)
        self._last_step = now
        if self._monitor.forecast_told or forecast.seconds < _FORECAST_SECONDS:
            return
        self._monitor.forecast_told = True
        left = forecast.seconds_left(self._phase, self._epoch, self._done)
        end = datetime.now() + timedelta(seconds=left)
        self._bar.clear()
        logger.info(
            "expected: %s for the rest of all phases without validation, until %s", duration(left),
            f"{end:%a %d %b %H:%M}",
        )  # fmt: skip


def _take_means(steps: list[tuple[float, float]]) -> dict[str, float]:
    """The mean loss and accuracy of ``steps``, which are forgotten."""
    loss, accuracy = map(fmean, zip(*steps, strict=True))
    steps.clear()
    return {"loss": loss, "accuracy": accuracy}


def _shown(margin: float | Sequence[float] | None) -> str:
    if margin is None:
        return "none"
    return f"{margin:.3g}" if isinstance(margin, float | int) else "/".join(f"{m:.3g}" for m in margin)
