"""The training loop of every classification-trained backbone: phases in a row, exact resume at any step."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import torch

from sv_py.augmentation.base import Sounds
from sv_py.cli import InputError, first_few
from sv_py.config import from_dict, lookup, to_dict
from sv_py.data.batches import Preparation, TrainingBatches, class_names
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.random_streams import Kind, stream
from sv_py.data.read_ahead import ReadAhead
from sv_py.features.arguments import same_features
from sv_py.io.text import write_lines
from sv_py.log import logger, progress
from sv_py.losses import HEADS, LOSSES
from sv_py.models import BACKBONES
from sv_py.schema import SECTIONS, Config, Phase
from sv_py.train import OPTIMIZERS, checkpoint
from sv_py.train.schedule import learning_rate, margin_share


@dataclass(frozen=True)
class Resources:
    """What the shell decides; none of it changes the result on a CPU."""

    device: torch.device
    workers: int = 0  # processes that read, and augment, batches ahead; 0: the training process does
    checkpoint_minutes: float = 10  # time between checkpoints within an epoch


class Trainer:
    """Trains one experiment in ``folder`` and leaves ``final.pt`` there.

    ``validate(network)`` gives numbers on held-out speakers after every epoch, e.g. ``{"dev_eer": 0.03}``; ``pools``
    are the sounds of the augmentation by role.
    """

    def __init__(
        self, config: Config, utterances: FeatureSet | AudioSet, folder: Path, resources: Resources,
        validate: Callable[[torch.nn.Module], dict[str, float]], pools: Mapping[str, Sounds],
    ):  # fmt: skip
        self.config, self.utterances, self.folder, self.resources = config, utterances, folder, resources
        self.validate, self.pools = validate, pools
        if not config.phases:
            raise InputError("phases: at least one is needed to train")
        if len(utterances.speakers) < 2:
            raise InputError("training needs at least two speakers")
        for phase in config.phases:  # what a later one cannot do is told before anything is trained
            TrainingBatches(utterances, phase, config.data, config.seed, 0, pools).warn_of_narrow_windows()
        speeds = dict.fromkeys(speed for phase in config.phases for speed in phase.augment.speed)
        names = class_names(utterances.speakers, list(speeds))
        self.classes = list(dict.fromkeys(names))  # a speaker may have been made so before, by augment_data_dir.sh
        self.feature_dim = utterances.feature_dim(1 + config.data.max_bad)
        torch.manual_seed(config.seed)
        self.network = BACKBONES.build(config.model.name, config.model.args, feature_dim=self.feature_dim)
        self._check_batches()
        self.loss = LOSSES.build(config.loss.name, config.loss.args)
        self.head = HEADS.build(
            config.head.name, config.head.args, loss=self.loss, embedding_dim=self.network.head_dim,
            speakers=self._classes_of(config.phases[0]), seed=config.seed,
        )  # fmt: skip
        self.network.to(resources.device)
        self.head.to(resources.device)
        self.phase, self.epoch, self.step = 0, 0, 0  # where training is: step counts within the epoch
        self.sums = torch.zeros(2, dtype=torch.float64)  # loss and accuracy of the epoch so far
        self.seconds = 0.0  # spent on the epoch so far, also by runs that were interrupted after a checkpoint
        self.history: list[dict] = []  # one entry per finished epoch
        self.unreadable: list[str] = []  # a message for each utterance that was left out
        self._new_optimizers()

    def _check_batches(self) -> None:
        """Raise InputError if crops are shorter than the network takes, or alone in their batch."""
        least = self.network.min_frames
        for i, phase in enumerate(self.config.phases):
            if phase.batch_size < 2:
                raise InputError(f"phases.{i}.batch_size: batch norms need two utterances or more")
            if phase.crop_range[0] < least:
                name, crop = self.config.model.name, phase.crop_range[0]
                raise InputError(f"phases.{i}.crop: {name} takes {least} frames or more, not {crop}")

    def run(self) -> None:
        """Train from the newest checkpoint, or from the start, to the end."""
        self._resume()
        while self.phase < len(self.config.phases):
            phase = self.config.phases[self.phase]
            while self.epoch < phase.epochs:
                self._run_epoch(phase)
            self.phase, self.epoch = self.phase + 1, 0
            if self.phase < len(self.config.phases):
                self.head.select(self._classes_of(self.config.phases[self.phase]))
            self._new_optimizers()
        checkpoint.save(self.folder / "final.pt", self._identity() | self._weights())

    def _run_epoch(self, phase: Phase) -> None:
        data = self.config.data
        batches = TrainingBatches(self.utterances, phase, data, self.config.seed, self._seed_epoch(), self.pools)
        prepare = Preparation(self.utterances.frames, batches.chain, phase.mask, self.resources.device)
        number = {name: i for i, name in enumerate(self.head.speakers)}
        names = class_names(self.utterances.speakers, phase.augment.speed)
        classes = torch.tensor([number[name] for name in names], device=self.resources.device)
        self.network.train()
        clock = time.monotonic()
        what = f"{phase.name} epoch {self.epoch + 1}/{phase.epochs}"
        with ReadAhead(batches, prepare, self.resources.workers, self.step, unreadable=self.unreadable) as loader:
            for feats, labels in progress(loader, len(batches), what, "batch", initial=self.step):
                self._set_schedule(phase, self.epoch + self.step / len(batches))
                self._train_step(feats, classes[labels])
                self.step += 1
                if time.monotonic() - clock > 60 * self.resources.checkpoint_minutes and self.step < len(batches):
                    self.seconds, clock = self.seconds + time.monotonic() - clock, time.monotonic()
                    self._save(len(batches))
        self.seconds += time.monotonic() - clock
        self._end_epoch(phase, len(batches), loader.data_wait)

    def _train_step(self, feats: torch.Tensor, labels: torch.Tensor) -> None:
        draws = stream(self.config.seed, Kind.NETWORK, self._seed_epoch(), self.step)
        torch.manual_seed(draws.integers(1 << 63))  # or dropout would depend on the steps since the last resume
        loss, correct = self.head(self.network.project(self.network(feats)), labels)
        if not torch.isfinite(loss):
            place = self.folder / "non_finite_batch.pt"
            checkpoint.save(place, {"feats": feats.cpu(), "labels": labels.cpu()})
            raise InputError(f"the loss is {loss.item()} in epoch {self.epoch + 1}, step {self.step}; batch in {place}")
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self.sums += torch.stack((loss.detach().double(), correct.double().mean())).cpu()

    def _set_schedule(self, phase: Phase, epoch: float) -> None:
        self.rate = learning_rate(phase.rate, epoch, phase.epochs)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.rate
        self.loss.set_margins(margin_share(phase, epoch), **phase.margins)

    def _end_epoch(self, phase: Phase, steps: int, data_wait: float) -> None:
        loss, accuracy = (self.sums / steps).tolist()
        self.network.eval()
        clock = time.monotonic()
        numbers = {"phase": phase.name, "epoch": self.epoch + 1, "loss": loss, "accuracy": accuracy}
        numbers |= {"rate": self.rate, "margin": self.loss.margin}
        numbers |= self.validate(self.network)
        numbers |= {"utt_per_s": round(steps * phase.batch_size / self.seconds, 1), "data_wait": round(data_wait, 3)}
        if self.unreadable:
            numbers |= {"unreadable": len(self.unreadable)}
        numbers |= {"seconds": round(self.seconds + time.monotonic() - clock, 1)}
        self.history.append(numbers)
        self._folder(phase).mkdir(parents=True, exist_ok=True)
        write_lines(self.folder / "phases" / phase.name / "metrics.jsonl", self._history_of(phase))
        shown = " ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in numbers.items())
        logger.info("%s", shown)
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.sums.zero_()
        self._save(steps)

    def _history_of(self, phase: Phase) -> list[str]:
        return [json.dumps(entry) for entry in self.history if entry["phase"] == phase.name]

    def _seed_epoch(self) -> int:
        """The epoch counted over all phases: phases draw different crops."""
        return self.epoch + sum(phase.epochs for phase in self.config.phases[: self.phase])

    def _classes_of(self, phase: Phase) -> list[str]:
        """The speakers of the head in ``phase``."""
        if phase.speakers == "all":
            return self.classes
        return list(dict.fromkeys(class_names(self.utterances.speakers, phase.augment.speed)))

    def _new_optimizers(self) -> None:
        """One for network and loss, and one for the rows, of which the head keeps the state by speaker."""
        parameters = [*self.network.parameters(), *self.loss.parameters()], [self.head.rows]
        make = OPTIMIZERS.load(self.config.optimizer.name)
        self.optimizers = [make(self.config.optimizer.args, part) for part in parameters]
        self.head.follow(self.optimizers[1])

    def _identity(self) -> dict:
        """What a checkpoint says of the run that it belongs to."""
        return {
            "config": to_dict(self.config), "speakers": self.classes, "feats_id": self.utterances.id,
            "feature_dim": self.feature_dim,
        }  # fmt: skip

    def _weights(self) -> dict:
        return {"head": self.head.full_state(), "model": self.network.state_dict()}

    def _folder(self, phase: Phase) -> Path:
        return self.folder / "phases" / phase.name / "checkpoints"

    def _save(self, steps: int) -> None:
        phase = self.config.phases[self.phase]
        state = self._identity() | self._weights() | {
            "optimizer": self.optimizers[0].state_dict(), "phase": self.phase, "epoch": self.epoch, "step": self.step,
            "sums": self.sums, "seconds": self.seconds, "history": self.history, "unreadable": self.unreadable,
        }  # fmt: skip
        checkpoint.save_step(self._folder(phase), self.epoch * steps + self.step, state)

    def _resume(self) -> None:
        state = checkpoint.latest([self._folder(phase) for phase in self.config.phases])
        if state is None:
            return
        mine = self._identity()
        before = from_dict(state["config"], str(self.folder))
        changed = [key for key in SECTIONS["train"] if lookup(before, key) != lookup(self.config, key)]
        changed += [k for k in ("speakers", "feature_dim") if state[k] != mine[k]]
        if not same_features(state["feats_id"], mine["feats_id"]):
            changed.append("feats_id")
        if changed:
            raise self._refusal(f"were made with another {first_few(changed)}")
        self.phase, self.epoch, self.step = state["phase"], state["epoch"], state["step"]
        self.sums, self.seconds, self.history = state["sums"], state["seconds"], state["history"]
        self.unreadable = state["unreadable"]
        self.head.select(self._classes_of(self.config.phases[self.phase]))
        self._new_optimizers()
        try:
            self.network.load_state_dict(state["model"])
            self.head.load_full_state(state["head"])
            self.optimizers[0].load_state_dict(state["optimizer"])
        except (InputError, RuntimeError, ValueError) as error:
            raise self._refusal(f"are of another version of this software ({shorten(str(error), 150)})") from None

    def _refusal(self, why: str) -> InputError:
        advice = "take another --tag, or discard them with --restart true"
        return InputError(f"the checkpoints there {why}: {advice}", self.folder)
