"""The order of an epoch, planned before anything is read: a pure function of seed, epoch, data and configuration.

Shards are permuted, and the crops of every ``window`` shards in a row of that permutation (all of them by default) are
shuffled together: so a whole window can be read ahead. Who reads, and when it arrives, changes nothing.
"""

from dataclasses import dataclass

import numpy as np

from sv_py.data import SAMPLERS
from sv_py.data.random_streams import Kind, stream
from sv_py.data.samplers import Request
from sv_py.data.table import UtteranceTable
from sv_py.schema import Data, Phase


@dataclass(frozen=True)
class Plan:
    """The crops of an epoch in order. A batch is ``batch_size`` of them in a row; a last, smaller one is left out."""

    rows: np.ndarray  # of the utterance, int32 (N,)
    speeds: np.ndarray  # index of the speed, uint8 (N,)
    visits: np.ndarray  # how often the epoch has the utterance besides, int32 (N,): 0, 1... tell its crops apart
    batch_size: int
    windows: list[np.ndarray]  # the shards of each window; empty if there are no windows
    ends: np.ndarray  # one behind the last crop of each window, int64

    def __len__(self) -> int:
        return len(self.rows) // self.batch_size

    def window_of(self, step: int) -> int:
        """The window of the first crop of a batch."""
        return int(np.searchsorted(self.ends, step * self.batch_size, side="right"))


def plan_epoch(table: UtteranceTable, phase: Phase, data: Data, seed: int, epoch: int, length: int) -> Plan:
    """The plan of an epoch; ``length`` is the longest crop in units of the table's lengths (frames or samples).

    The last smaller batch of crops is left out. Raises InputError if the sampler cannot fill a batch.
    """
    rng = stream(seed, Kind.ORDER, epoch)
    augment, sampler = phase.augment, phase.sampler
    request = Request(round(len(table) * phase.crops_per_utt), length, 1 + len(augment.speed), augment.speed_expand)
    rows, speeds = SAMPLERS.load(sampler.name)(sampler.args, table, request, rng)
    visits = _visits(rows)
    if sampler.args.makes_batches:
        return Plan(rows, speeds, visits, phase.batch_size, [], np.empty(0, np.int64))
    shards = rng.permutation(len(table.shards))
    width = data.window or len(shards)
    windows = np.split(shards, np.arange(width, len(shards), width))
    number = np.empty(len(shards), np.int32)
    number[shards] = np.arange(len(shards)) // width
    window = number[table.shard[rows]]
    order = np.lexsort((rng.random(len(rows)), window))
    ends = np.cumsum(np.bincount(window, minlength=len(windows)))
    return Plan(rows[order], speeds[order], visits[order], phase.batch_size, windows, ends)


def speakers_per_window(table: UtteranceTable, plan: Plan) -> float:
    """How many speakers there are between whom a network can learn to tell within a window, on average."""
    window = np.searchsorted(plan.ends, np.arange(len(plan.rows)), side="right")
    return len(np.unique(window * len(table.speakers) + table.speaker[plan.rows])) / max(1, len(plan.windows))


def rank_steps(first: int, batches: int, rank: int = 0, ranks: int = 1) -> range:
    """The batches that one of several training processes takes, from its ``first`` step: every ``ranks``-th.

    All ranks have equally many; up to ``ranks`` - 1 batches at the end of an epoch are left out.
    """
    return range(first * ranks + rank, batches // ranks * ranks, ranks)


def _visits(rows: np.ndarray) -> np.ndarray:
    """For each entry how many equal ones come before it."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    visits = np.empty(len(rows), np.int32)
    visits[order] = np.arange(len(rows)) - np.repeat(begins, np.diff(begins, append=len(rows)))
    return visits
