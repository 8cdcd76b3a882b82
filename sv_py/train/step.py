"""One step of a training: the micro-batches that this process has of it, and an update that is the same on all."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sv_py.cli import InputError
from sv_py.losses.head import Head
from sv_py.schema import Phase
from sv_py.train import checkpoint
from sv_py.train.batch_norms import BatchNorms
from sv_py.train.distributed import Processes
from sv_py.train.gradients import SharedGradients
from sv_py.train.precision import Precision

Batch = tuple[Tensor, Tensor]  # frames (B, T, F) and labels (B,)


@dataclass(frozen=True)
class Outcome:
    """What a step says of itself, over all processes."""

    loss: float
    accuracy: float
    gradient: float  # its length, before it was clipped
    signals: list[float]  # the sums of what each process said
    meanwhile: Any  # what was done while the device computed


class Step:
    """Makes the steps of ``phase``.

    The loss is the mean over all micro-batches of a step, ``phase.micro_batches``: which process computes which of
    them changes no more than the order of sums. ``optimizers`` are that of the "network", with the loss, and that of
    the head's "rows". A loss or gradient that is not finite is an InputError; what led to it is saved in ``folder``.
    """

    def __init__(
        self, network: nn.Module, head: Head, optimizers: Mapping[str, torch.optim.Optimizer], phase: Phase,
        clip: float, precision: Precision, processes: Processes, folder: Path,
    ):  # fmt: skip
        self.head, self.optimizers, self.clip = head, optimizers, clip
        self.precision, self.processes, self.folder = precision, processes, folder
        self.micro_batches, self.micro_size = phase.micro_batches, phase.micro_size
        least, most = phase.crop_range
        self.forward = precision.compiled(_Projected(network), lengths_vary=least < most)
        self.gradients = SharedGradients([*network.parameters(), *head.loss.parameters()], processes)
        self.norms = BatchNorms(network, phase.micro_batches, processes)

    def __call__(
        self, batches: Mapping[int, Batch], seeds: Mapping[int, int], signals: list[float], where: str = "this step",
        meanwhile: Callable[[], Any] = lambda: None,
    ) -> Outcome:  # fmt: skip
        """A step with this process's ``batches``, by their number within the step, each with a seed of its own.

        ``where`` names the step in errors. ``meanwhile`` is called before this process waits for its device.
        """
        self.gradients.zero()
        self.optimizers["rows"].zero_grad(set_to_none=True)
        self.norms.begin()
        self.head.begin_step(self._labels(batches) if self.head.needs_labels else None)
        share = self.head.shards.count / self.micro_batches  # with shards, a head's loss is over one batch of each
        losses, correct = [], []
        for i, (number, (feats, labels)) in enumerate(batches.items(), 1):
            torch.manual_seed(seeds[number])  # or dropout would depend on which process does what
            with self.precision.autocast():
                projected = self.forward(feats)
            self.norms.keep(number)
            loss, right = self.head(projected, labels)
            if i == len(batches):
                self.gradients.begin_sum()
            (loss * (share * self.precision.loss_scale)).backward()
            losses.append(loss.detach().double())
            correct.append(right.double().mean())
        self.gradients.finish()
        for gradient in self.head.shared_gradients():
            self.processes.sum(gradient)
        self.norms.end()
        return self._update(batches, torch.stack(losses), torch.stack(correct), signals, where, meanwhile)

    def release(self) -> None:
        """Leave network and parameters as they were found; their values stay."""
        self.gradients.release()
        self.norms.release()

    def _update(
        self, batches: Mapping[int, Batch], losses: Tensor, correct: Tensor, signals: list[float], where: str,
        meanwhile: Callable[[], Any],
    ) -> Outcome:  # fmt: skip
        rows = self.head.row_gradient()
        finite = losses.isfinite()
        said = [losses.new_full((), value) for value in signals]  # no copy: it would wait for the GPU once more
        sums = torch.stack((losses.sum(), correct.sum(), (~finite).sum().double(), self._squares(rows, losses), *said))
        self.processes.sum(sums)
        done = meanwhile()
        loss, accuracy, wrong, squares, *signals = sums.tolist()
        loss, accuracy = loss / self.micro_batches, accuracy / self.micro_batches
        if wrong:
            raise self._refusal(f"the loss is {loss} in {where}", batches, finite.tolist())
        scale = self.precision.loss_scale
        length = squares**0.5 / scale
        known = length < float("inf")
        if not self.precision.step_was(known):
            if not known:
                raise self._refusal(f"the gradient is {length} in {where}", batches, [False] * len(batches))
            self._scale_gradients(rows, min(1.0, self.clip / length) if self.clip and length else 1.0, scale)
            for optimizer in self.optimizers.values():
                optimizer.step()
        return Outcome(loss, accuracy, length, signals, done)

    def _squares(self, rows: Tensor | None, like: Tensor) -> Tensor:
        """The part of the gradient's squared length that this process tells: (), of type and device ``like``."""
        mine = [self.gradients.flat] if self.processes.first else []
        if rows is not None and (self.processes.first or self.head.shards.count > 1):
            mine.append(rows)
        return sum((torch.linalg.vector_norm(part).to(like) ** 2 for part in mine), like.new_zeros(()))

    def _scale_gradients(self, rows: Tensor | None, factor: float, scale: float) -> None:
        if factor != scale:
            self.gradients.flat.mul_(factor / scale)
            if rows is not None:
                rows.mul_(factor / scale)

    def _labels(self, batches: Mapping[int, Batch]) -> Tensor:
        """Those of the whole step, of all processes: (N,)."""
        example = next(iter(batches.values()))[1]
        labels = example.new_zeros(self.micro_batches, self.micro_size)
        for number, (_, mine) in batches.items():
            labels[number] = mine
        return self.processes.sum(labels).flatten()

    def _refusal(self, what: str, batches: Mapping[int, Batch], finite: list[bool]) -> InputError:
        """Saves the first micro-batch that is not finite, if this process has one."""
        mine = [batch for batch, good in zip(batches.values(), finite, strict=True) if not good]
        if not mine:
            return InputError(f"{what} on another process")
        name = f".rank{self.processes.rank}" if self.processes.count > 1 else ""
        place = self.folder / f"non_finite_batch{name}.pt"
        checkpoint.save(place, {"feats": mine[0][0].cpu(), "labels": mine[0][1].cpu()})
        return InputError(f"{what}; batch in {place}")


def by_step(items: Iterable[Batch], numbers: Sequence[int], classes: Tensor) -> Iterator[dict[int, Batch]]:
    """Of micro-batches in a row, those that make a step, by their ``numbers`` in it; labels become rows of the head."""
    rest = iter(items)
    while found := {number: (feats, classes[labels]) for number, (feats, labels) in zip(numbers, rest, strict=False)}:
        yield found


class _Projected(nn.Module):
    """What the head sees of frames."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, feats: Tensor) -> Tensor:
        return self.network.project(self.network(feats))
