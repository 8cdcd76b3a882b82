"""Training batches: what is read of each crop, and how that becomes what the network sees.

Two steps, so that a GPU can do the second: `TrainingBatches` reads samples and draws random numbers, in a process
that reads; `Preparation` augments and computes features, there or in the training process.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sv_py.augmentation.base import Drawn, Sounds
from sv_py.augmentation.chain import Chain, build_chain
from sv_py.augmentation.speed import speed, speed_input_samples
from sv_py.cli import InputError, first_few
from sv_py.data.dataset import AudioSet, FeatureSet, Frames
from sv_py.data.plan import Plan, plan_epoch, speakers_per_window
from sv_py.data.pool import Pool
from sv_py.data.random_streams import Kind, stream
from sv_py.log import logger
from sv_py.schema import Data, Mask, Phase


@dataclass(frozen=True)
class Crops:
    """Crops of a batch that go at one speed."""

    speed: float
    rows: np.ndarray  # their places in the batch, int64 (n,)
    values: torch.Tensor  # int16 (n, samples), or float32 (n, T, F) of stored features


@dataclass(frozen=True)
class RawBatch:
    """What was read and drawn for a batch of B crops: numbers, arrays and tensors that travel between processes."""

    crops: list[Crops]  # of each speed that occurs
    length: int  # values of each crop at its speed
    labels: np.ndarray  # int64 (B,)
    drawn: list[Drawn]  # augmentation of each crop
    stripes: np.ndarray  # of masks: (n-th; of frames, of bins; width, place; B), float64 uniform on [0, 1)
    dither: int  # seed
    unreadable: list[str]  # what could not be read and was passed over: messages, one for each utterance


class TrainingBatches:
    """The micro-batches of one epoch: ``batches[number]`` -> RawBatch; a step takes ``phase.micro_batches`` in a row.

    They depend on seed, epoch, number, data and configuration only: any number of processes, and any point of resume,
    gives the same ones. ``utterances`` are those of all sets of the phase, ``pools`` the sounds for augmentation by
    role; the role `train` is ``utterances`` themselves. Labels are those of `class_names`.

    An utterance that cannot be read is an InputError; with ``data.max_bad`` a crop of the steps that follow stands in
    for it, with its own label, and the batch says so.
    """

    def __init__(
        self, utterances: FeatureSet | AudioSet, phase: Phase, data: Data, seed: int, epoch: int,
        pools: Mapping[str, Sounds] | None = None,
    ):  # fmt: skip
        self.utterances, self.phase, self.data, self.seed, self.epoch = utterances, phase, data, seed, epoch
        self.speeds = (1.0, *phase.augment.speed)
        self.plan = self._plan()
        self.steps = len(self.plan) // phase.micro_batches
        if self.steps == 0:
            crops, size = len(self.plan.rows), phase.batch_size
            raise InputError(f"phase {phase.name}: an epoch of {crops} crops, less than one batch of {size}")
        self.chain = None
        if phase.augment.waveform:
            pools = {**(pools or {}), "train": Pool(utterances.store)}
            self.chain = build_chain(phase.augment.waveform, pools, utterances.store.rate)

    def _plan(self) -> Plan:
        longest = self.utterances.values_of(self.phase.crop_range[1])
        return plan_epoch(self.utterances.table, self.phase, self.data, self.seed, self.epoch, longest)

    def __len__(self) -> int:
        return self.steps * self.phase.micro_batches

    def warn_of_narrow_windows(self) -> None:
        """Say so if the windows of the plan hold few of the speakers."""
        table, plan = self.utterances.table, self.plan
        if len(plan.windows) > 1 and (mixed := speakers_per_window(table, plan)) < len(table.speakers) / 2:
            logger.warning(
                "a window of %d shards has %.0f of %d speakers: data.window is too small to mix them",
                self.data.window, mixed, len(table.speakers),
            )  # fmt: skip

    def __getitem__(self, number: int) -> RawBatch:
        least, most = self.phase.crop_range
        frames = int(stream(self.seed, Kind.LENGTH, self.epoch, number).integers(least, most + 1))
        length = self.utterances.values_of(frames)
        size = self.plan.batch_size
        first = number * size
        rows, speeds = np.empty(size, np.int64), np.empty(size, np.int64)
        values, drawn, stripes, unreadable = [], [], [], []
        for k in range(size):
            item, crop, numbers = self._read(first + k, length, unreadable)
            rows[k], speeds[k] = self.plan.rows[item], self.plan.speeds[item]
            values.append(crop)
            drawn.append(numbers)
            stripes.append(self._stripes(item))
        crops = [
            Crops(self.speeds[index], places, torch.from_numpy(np.stack([values[k] for k in places])))
            for index in np.unique(speeds)
            for places in [np.flatnonzero(speeds == index)]
        ]
        dither = int(stream(self.seed, Kind.DITHER, self.epoch, number).integers(1 << 63))
        labels = self._labels(rows, speeds)
        return RawBatch(crops, length, labels, drawn, np.stack(stripes, axis=-1), dither, unreadable)

    def _read(self, item: int, length: int, unreadable: list[str]) -> tuple[int, np.ndarray, Drawn]:
        """Crop ``item`` of the plan, or the first one that can be read in its place: which, values, augmentation."""
        plan = self.plan
        for place in self._stand_ins(item):
            row, factor = int(plan.rows[place]), self.speeds[plan.speeds[place]]
            rng = stream(self.seed, Kind.ITEM, self.epoch, row, int(plan.visits[place]))
            needed = length if factor == 1 else speed_input_samples(length, factor)
            try:
                crop = self.utterances.crop(row, self._start(rng), needed)
                return place, crop, self.chain.draw(rng, length, row) if self.chain else []
            except InputError as error:  # of the utterance, or of one that is mixed into it
                if str(error) not in unreadable:
                    unreadable.append(str(error))
            if len(unreadable) > self.data.max_bad:
                break
        raise too_many(unreadable, self.data.max_bad)

    def _start(self, rng: np.random.Generator) -> float:
        """Where a crop begins, as a fraction of the places where it can."""
        return rng.random()

    def _stripes(self, item: int) -> np.ndarray:
        """Widths and places, uniform on [0, 1), of the stripes of frames and of bins of a crop: (n, 2, 2)."""
        mask, plan = self.phase.mask, self.plan
        rng = stream(self.seed, Kind.MASK, self.epoch, int(plan.rows[item]), int(plan.visits[item]))
        applied = rng.random() < mask.probability
        return applied * rng.random((max(mask.time_stripes, mask.frequency_stripes), 2, 2))  # else of no width

    def _stand_ins(self, item: int) -> Iterator[int]:
        """Places of the plan: ``item``, then those of later steps, so that nothing is in a step twice.

        Those of the same class come first where a batch is made of speakers and their utterances.
        """
        yield item
        plan = self.plan
        later = np.roll(np.arange(len(plan.rows)), -(item + self.phase.batch_size))
        if self.phase.sampler.args.makes_batches:
            labels = self._labels(plan.rows, plan.speeds)
            same = labels[later] == labels[item]
            later = np.concatenate([later[same], later[~same]])
        yield from map(int, later)

    def _labels(self, rows: np.ndarray, speeds: np.ndarray) -> np.ndarray:
        table = self.utterances.table
        return table.speaker[rows].astype(np.int64) + len(table.speakers) * speeds.astype(np.int64)


def too_many(unreadable: Sequence[str], allowed: int) -> InputError:
    """The error that ends a run for utterances which cannot be read."""
    if allowed == 0:
        return InputError(unreadable[0])
    shown = first_few(unreadable)
    return InputError(f"{len(unreadable)} utterances cannot be read, and data.max_bad is {allowed}: {shown}")


def class_names(speakers: Sequence[str], speeds: Sequence[float] = ()) -> list[str]:
    """The classes of a training by label: all speakers, then, for each further speed, all of them at that speed."""
    return [*speakers, *(f"sp{factor:g}-{speaker}" for factor in speeds for speaker in speakers)]


class Preparation:
    """``prepare(raw)`` -> frames (B, T, F) float32 and labels (B,) int64, on ``device``.

    Speed, augmentation, front end, mean normalisation, masks: a function of the RawBatch alone. ``dither``: whether
    the front end may do so.
    """

    def __init__(self, frames: Frames, chain: Chain | None, mask: Mask, device: torch.device, dither: bool = True):
        self.frames = copy.deepcopy(frames).train(dither).to(device)
        self.chain, self.mask, self.device = chain, mask, device

    @torch.no_grad()
    def __call__(self, raw: RawBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch."""
        values = self._at_speed(raw)
        if self.chain is not None:
            values = self.chain.apply(values, raw.drawn)
        generator = torch.Generator(self.device).manual_seed(raw.dither)
        frames = self.frames(values, generator)
        _mask(frames, self.mask, raw.stripes)
        return frames, torch.from_numpy(raw.labels).to(self.device, non_blocking=True)

    def _at_speed(self, raw: RawBatch) -> torch.Tensor:
        """The crops in the order of the batch, as they are at their speeds."""
        shape = (len(raw.labels), raw.length, *raw.crops[0].values.shape[2:])
        values = torch.empty(shape, device=self.device)
        for crops in raw.crops:
            read = crops.values.to(self.device, non_blocking=True).float()
            if crops.speed != 1:
                read = speed(read, crops.speed, raw.length)
            values[torch.from_numpy(crops.rows).to(self.device)] = read
        return values


def _mask(frames: torch.Tensor, mask: Mask, stripes: np.ndarray) -> None:
    """Set stripes of frames and of bins to zero in each of (B, T, F): the mean, after mean normalisation."""
    kinds = (mask.time, mask.time_stripes), (mask.frequency, mask.frequency_stripes)
    for axis, (most, count) in enumerate(kinds, 1):
        if most:
            size = frames.shape[axis]
            width = np.floor(stripes[:count, axis - 1, 0] * (min(most, size) + 1))
            first = np.floor(stripes[:count, axis - 1, 1] * (size - width + 1))
            place = np.arange(size)
            inside = (place >= first[..., None]) & (place < (first + width)[..., None])
            shape = (len(frames), *(size if a == axis else 1 for a in (1, 2)))
            frames.masked_fill_(torch.from_numpy(inside.any(axis=0)).to(frames.device).view(shape), 0.0)
