"""The training loop of every classification-trained backbone: phases in a row, exact resume at any step."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from sv_py.augmentation.base import Sounds
from sv_py.cli import InputError, first_few
from sv_py.data.batches import Preparation, TrainingBatches, class_names
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.joined import join_roles
from sv_py.data.plan import share_of_steps
from sv_py.data.random_streams import Kind, stream
from sv_py.data.read_ahead import ReadAhead
from sv_py.log import logger
from sv_py.losses import HEADS, LOSSES
from sv_py.models import BACKBONES
from sv_py.schema import Config, Phase
from sv_py.train import OPTIMIZERS, checkpoint, state
from sv_py.train.averaging import MovingAverage
from sv_py.train.checks import check_phases
from sv_py.train.distributed import Processes
from sv_py.train.initial import freeze, load_initial, read_initial, set_train_mode
from sv_py.train.monitor import Monitor
from sv_py.train.new_rows import mean_embeddings
from sv_py.train.precision import Precision
from sv_py.train.results import EpochFiles
from sv_py.train.schedule import learning_rate, margin_share
from sv_py.train.step import Outcome, Step, by_step
from sv_py.train.stopping import Stopping, clear, mark


@dataclass(frozen=True)
class Resources:
    """What the shell decides; but for ``initial``, none of it changes the result on a CPU."""

    device: torch.device
    workers: int = 0  # processes that read, and augment, batches ahead; 0: the training process does
    checkpoint_minutes: float = 10  # time between checkpoints within an epoch
    initial: Path | None = None  # the model that training starts from


class Trainer:
    """Trains one experiment in ``folder`` and leaves ``final.pt`` there.

    ``sets`` are the training sets by role. ``validate(network, head, phase, processes)`` gives numbers on held-out data
    after every epoch, e.g. ``{"dev_eer": 0.03}``; ``pools`` are the sounds of the augmentation by role. All
    ``processes`` do the same.
    """

    def __init__(
        self, config: Config, sets: Mapping[str, FeatureSet | AudioSet], folder: Path, resources: Resources,
        validate: Callable[..., dict[str, float]], pools: Mapping[str, Sounds], processes: Processes | None = None,
    ):  # fmt: skip
        self.config, self.sets, self.folder, self.resources = config, sets, folder, resources
        self.validate, self.pools = validate, pools
        self.processes = processes or Processes(resources.device)
        if not config.phases:
            raise InputError("phases: at least one is needed to train")
        if lacking := {role for phase in config.phases for role in phase.sets} - sets.keys():
            raise InputError(f"phases need a data dir for the set {', '.join(sorted(lacking))}")
        self.utterances = join_roles(sets, [phase.sets for phase in config.phases], config.data.shared_speakers)
        if min(len(utterances.speakers) for utterances in self.utterances) < 2:
            raise InputError("training needs at least two speakers")
        first = [self._batches(i, 0) for i in range(len(config.phases))]  # what a later one cannot do is told at once
        for batches in first:
            batches.warn_of_narrow_windows()
        self.steps = [batches.steps for batches in first]  # of an epoch of each phase
        self.classes = list(dict.fromkeys(name for i in range(len(config.phases)) for name in self._names(i)))
        self.feature_dim = self.utterances[0].feature_dim(1 + config.data.max_bad)
        torch.manual_seed(config.seed)
        self.network = BACKBONES.build(config.model.name, config.model.args, feature_dim=self.feature_dim)
        self.loss = LOSSES.build(config.loss.name, config.loss.args)
        self.head = HEADS.build(
            config.head.name, config.head.args, loss=self.loss, embedding_dim=self.network.head_dim,
            speakers=self._names(0), seed=config.seed,
        )  # fmt: skip
        check_phases(config, self.network, self.head, self.processes)
        if resources.initial is not None:
            read_initial(resources.initial, self.network, self.utterances[0])
        self.network.to(resources.device)
        self.head.to(resources.device)
        self.precision = Precision(config.compute, resources.device)
        self.identity = state.identity(self)
        self.phase, self.epoch, self.step = 0, 0, 0  # where training is: step counts within the epoch
        self.sums = torch.zeros(2, dtype=torch.float64)  # loss and accuracy of the epoch so far
        self.seconds = 0.0  # spent on the epoch so far, also by runs that were interrupted after a checkpoint
        self.history: list[dict] = []  # one entry per finished epoch
        self.unreadable: list[str] = []  # a message for each utterance that was left out

    def run(self, stopping: Stopping | None = None) -> bool:
        """Train from the newest checkpoint, or from the start. Whether it came to the end, or ``stopping`` asked."""
        self.stopping = stopping
        self.monitor = Monitor(self.folder, self.config, self.processes)
        self.monitor.start(**state.facts(self))
        if not self._resume():
            self._begin_phase()
        while True:
            phase, files = self.config.phases[self.phase], self._epoch_files()
            while self.epoch < phase.epochs and not files.is_over(self._history()):
                if not self._run_epoch(phase, files):
                    return False
            self._end_phase(files)
            if self.phase + 1 == len(self.config.phases):
                break
            self.phase, self.epoch = self.phase + 1, 0
            self._begin_phase()
        model = state.model(self)
        if self.processes.first:
            checkpoint.save(self.folder / "final.pt", model)
            clear(self.folder)
        self.monitor.end_training()
        return True

    def _begin_phase(self) -> None:
        """Make the head's rows those of the phase's speakers, and begin with new optimisers."""
        phase, known = self.config.phases[self.phase], self.head.speakers
        initial = self.resources.initial if self.phase == 0 else None
        if initial is not None:
            known = load_initial(initial, self.network, self.head, self.utterances[0])
        names, before = self._names(self.phase), set(known)
        new = [name for name in names if name not in before]
        means = {}
        if new and phase.new_rows == "mean" and (self.phase > 0 or initial is not None):
            means = mean_embeddings(
                self.network, self.utterances[self.phase], phase, self.config.data, new, self.resources.device,
                self.processes, self.resources.workers, self.unreadable,
            )  # fmt: skip
        self.head.select(names if phase.speakers == "own" else list(dict.fromkeys([*known, *names])), means)
        self._make_step()
        self._save()

    def _make_step(self) -> None:
        phase, config = self.config.phases[self.phase], self.config
        frozen = freeze(self.network, phase.freeze)
        if frozen:
            logger.info("%s: %d tensors stay as they are: %s", phase.name, len(frozen), first_few(frozen))
        set_train_mode(self.network)
        learning = [p for p in (*self.network.parameters(), *self.loss.parameters()) if p.requires_grad]
        make = OPTIMIZERS.load(config.optimizer.name)
        self.optimizers = {"rows": make(config.optimizer.args, [self.head.rows])}
        if learning:
            self.optimizers["network"] = make(config.optimizer.args, learning)
        self.head.follow(self.optimizers["rows"])  # which keeps the state of rows by speaker
        self.update = Step(
            self.network, self.head, self.optimizers, phase, config.grad_clip, self.precision, self.processes,
            self.folder,
        )  # fmt: skip
        self.average = MovingAverage(self.network, phase.result.ema) if phase.result.ema else None

    def _run_epoch(self, phase: Phase, files: EpochFiles) -> bool:
        """Whether it came to the end."""
        batches = self._batches(self.phase, self._seed_epoch())
        prepare = Preparation(batches.utterances.frames, batches.chain, phase.mask, self.resources.device)
        place = {name: i for i, name in enumerate(self.head.speakers)}
        names = class_names(batches.utterances.speakers, phase.augment.speed)
        classes = torch.tensor([place[name] for name in names], device=self.resources.device)
        mine, n = range(self.processes.rank, phase.micro_batches, self.processes.count), phase.micro_batches
        numbers = share_of_steps(self.step, batches.steps, n, self.processes.rank, self.processes.count)
        set_train_mode(self.network)
        self.head.train()
        self.clock = time.monotonic()
        readers = ReadAhead(batches, prepare, self.resources.workers, numbers, unreadable=self.unreadable)
        with readers as loader, self.monitor.epoch(phase, self.epoch, batches.steps, self.step) as bar:
            steps = by_step(loader, mine, classes)
            micro = next(steps)
            while self.step < batches.steps:
                self.processes.beat(f"{phase.name}, epoch {self.epoch + 1}, step {self.step + 1} of {batches.steps}")
                self._set_schedule(phase, self.epoch + self.step / batches.steps)
                done = self._train_step(micro, n, lambda: next(steps, None))
                bar.step(phase.batch_size, done.loss, done.accuracy, self.rate, self.loss.margin, loader.data_wait)
                micro, (stop, due) = done.meanwhile, done.signals
                if (stop or due) and self.step < batches.steps:
                    self._count_time()
                    self._save()
                    if stop:
                        return self._stop()
        self._count_time()
        self._end_epoch(phase, files, batches.steps, loader.data_wait)
        return not stop or self._is_last() or self._stop()

    def _count_time(self) -> None:
        now = time.monotonic()
        self.seconds, self.clock = self.seconds + now - self.clock, now

    def _train_step(self, micro: dict, n: int, meanwhile: Callable[[], dict | None]) -> Outcome:
        draws = (stream(self.config.seed, Kind.NETWORK, self._seed_epoch(), self.step * n + m) for m in micro)
        seeds = {m: int(draw.integers(1 << 63)) for m, draw in zip(micro, draws, strict=True)}
        asked = self.stopping is not None and self.stopping.reason is not None
        due = self.processes.first and time.monotonic() - self.clock > 60 * self.resources.checkpoint_minutes
        where = f"epoch {self.epoch + 1}, step {self.step + 1}"
        outcome = self.update(micro, seeds, [float(asked), float(due)], where, meanwhile)
        if self.average is not None:
            self.average.update(self.network)
        self.sums += torch.tensor([outcome.loss, outcome.accuracy], dtype=torch.float64)
        self.step += 1
        return outcome

    def _set_schedule(self, phase: Phase, epoch: float) -> None:
        self.rate = learning_rate(phase.rate, epoch, phase.epochs)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.rate
        self.loss.set_margins(margin_share(phase, epoch), **phase.margins)

    def _end_epoch(self, phase: Phase, files: EpochFiles, steps: int, data_wait: float) -> None:
        loss, accuracy = (self.sums / steps).tolist()
        clock = time.monotonic()
        network = self.average.network if self.average is not None else self.network
        network.eval()
        self.head.eval()
        numbers = {"phase": phase.name, "epoch": self.epoch + 1, "loss": loss, "accuracy": accuracy}
        numbers |= {"rate": self.rate, "margin": self.loss.margin}
        numbers |= self.validate(network, self.head, phase, self.processes)
        numbers |= {"utt_per_s": round(steps * phase.batch_size / self.seconds, 1), "data_wait": round(data_wait, 3)}
        self.unreadable[:] = self.processes.texts(self.unreadable)
        if self.unreadable:
            numbers |= {"unreadable": len(self.unreadable)}
        self.history.append(numbers | {"seconds": round(self.seconds + time.monotonic() - clock, 1)})
        model = state.model(self, network)
        if self.processes.first:
            files.save(self._history(), model)
        self.monitor.end_epoch(phase.name, self._history())
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.sums.zero_()
        self._save()

    def _end_phase(self, files: EpochFiles) -> None:
        """Take up the weights of the phase's result."""
        self.update.release()
        self.processes.texts([])  # all wait until the first has written its files
        result = files.weights(self._history())
        self.network.load_state_dict(result["model"])
        self.head.load_full_state(result["head"])
        if self.processes.first:
            checkpoint.save(self._folder() / "final.pt", result)
        self.monitor.end_phase()

    def _stop(self) -> bool:
        if self.processes.first:
            phase = self.config.phases[self.phase]
            epoch, step = (self.epoch + 1, f"step {self.step}") if self.step else (self.epoch, "done")
            by = self.stopping.reason or "another process"
            mark(self.folder, f"{phase.name}, epoch {epoch} of {phase.epochs}, {step}: stopped by {by}")
        self.monitor.close()
        return False

    def _is_last(self) -> bool:
        """Whether nothing is left to train."""
        phase, last = self.config.phases[self.phase], self.phase + 1 == len(self.config.phases)
        return last and (self.epoch == phase.epochs or self._epoch_files().is_over(self._history()))

    def _save(self) -> None:
        """Write a checkpoint; all processes have a part in it."""
        self.unreadable[:] = self.processes.texts(self.unreadable)
        snapshot = state.snapshot(self)
        if self.processes.first:
            place = self.epoch * self.steps[self.phase] + self.step
            checkpoint.save_step(self._folder() / "checkpoints", place, snapshot)

    def _resume(self) -> bool:
        """Take up from the newest checkpoint, if there is one."""
        folders = [self._folder(phase) / "checkpoints" for phase in self.config.phases]
        others = set(self.folder.glob("phases/*/checkpoints")) - set(folders)  # which are told and refused
        saved = checkpoint.latest([*sorted(others), *folders], lambda saved: state.check(self, saved))
        if not state.all_have(self, saved):
            return False
        self.phase, self.epoch = saved["phase"], saved["epoch"]
        self.head.select(saved["head"]["speakers"])
        self._make_step()
        state.restore(self, saved)
        return True

    def _folder(self, phase: Phase | None = None) -> Path:
        return self.folder / "phases" / (phase or self.config.phases[self.phase]).name

    def _epoch_files(self) -> EpochFiles:
        return EpochFiles(self._folder() / "epochs", self.config.phases[self.phase].result)

    def _history(self) -> list[dict]:
        """Of this phase."""
        return [entry for entry in self.history if entry["phase"] == self.config.phases[self.phase].name]

    def _seed_epoch(self) -> int:
        """The epoch counted over all phases: phases draw different crops."""
        return self.epoch + sum(phase.epochs for phase in self.config.phases[: self.phase])

    def _names(self, phase: int) -> list[str]:
        """The classes of a phase; a speaker may have been made so before, by augment_data_dir.sh."""
        speed = self.config.phases[phase].augment.speed
        return list(dict.fromkeys(class_names(self.utterances[phase].speakers, speed)))

    def _batches(self, phase: int, epoch: int) -> TrainingBatches:
        config, utterances = self.config, self.utterances[phase]
        return TrainingBatches(utterances, config.phases[phase], config.data, config.seed, epoch, self.pools)
