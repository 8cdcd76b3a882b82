"""Batches to look at instead of to learn from: crops of given utterances, as they are."""

from dataclasses import replace

import numpy as np

from sv_py.data.batches import TrainingBatches
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.plan import Plan
from sv_py.schema import Augment, Data, Mask, Phase


class StillBatches(TrainingBatches):
    """One crop from the middle of each of ``rows`` (N,), of the longest that ``phase`` trains on, in this order.

    ``speeds`` (N,) are places in its speeds; nothing else is done to a crop, and nothing is drawn: prepare it without
    dither. ``crops`` is N; the rest of the last batch repeats the first rows.
    """

    def __init__(
        self, utterances: FeatureSet | AudioSet, phase: Phase, data: Data, rows: np.ndarray, speeds: np.ndarray
    ):
        self.crops, self._rows, self._speeds = len(rows), rows, speeds
        alone = replace(
            phase, crop=phase.crop_range[1], batch_size=phase.micro_size, micro_batch=0,
            augment=Augment(speed=phase.augment.speed), mask=Mask(),
        )  # fmt: skip
        super().__init__(utterances, alone, replace(data, fetch="slices"), seed=0, epoch=0)

    def _plan(self) -> Plan:
        size = self.phase.batch_size
        shape = -(-self.crops // size) * size
        rows, speeds = np.resize(self._rows, shape), np.resize(self._speeds, shape)
        return Plan(rows, speeds, np.zeros(shape, np.int32), size, [], np.empty(0, np.int64))

    def _start(self, rng: np.random.Generator) -> float:
        return 0.5
