"""The order of an epoch, planned before anything is read: a pure function of seed, epoch, data and configuration.

Shards are permuted, and the crops of every ``window`` shards in a row of that permutation (all of them by default) are
shuffled together: so a whole window can be read ahead. Who reads, and when it arrives, changes nothing.
"""

from dataclasses import dataclass

import numpy as np

from sv_py.data import SAMPLERS
from sv_py.data.joined import JoinedTable
from sv_py.data.random_streams import Kind, stream
from sv_py.data.samplers import Request
from sv_py.data.table import UtteranceTable
from sv_py.schema import Data, Phase


@dataclass(frozen=True)
class Plan:
    """The crops of an epoch in order. A batch is ``batch_size`` of them in a row; a last, smaller one is left out.

    What a training step takes at once are such batches: one, or several micro-batches.
    """

    rows: np.ndarray  # of the utterance, int32 (N,)
    speeds: np.ndarray  # index of the speed, uint8 (N,)
    visits: np.ndarray  # how often the epoch has the utterance besides, int32 (N,): 0, 1... tell its crops apart
    batch_size: int
    windows: list[np.ndarray]  # the shards of each window; empty if there are no windows
    ends: np.ndarray  # one behind the last crop of each window, int64

    def __len__(self) -> int:
        return len(self.rows) // self.batch_size

    def window_of(self, number: int) -> int:
        """The window of the first crop of a batch."""
        return int(np.searchsorted(self.ends, number * self.batch_size, side="right"))


def plan_epoch(
    table: UtteranceTable | JoinedTable, phase: Phase, data: Data, seed: int, epoch: int, length: int
) -> Plan:
    """The plan of an epoch; ``length`` is the longest crop in units of the table's lengths (frames or samples).

    Its batches are the phase's micro-batches. Where the phase has a ``mix``, the sampler chooses among the utterances
    of each set by itself, as many as are its share. Raises InputError if the sampler cannot fill a batch.
    """
    rng = stream(seed, Kind.ORDER, epoch)
    rows, speeds = _sample(table, phase, length, rng)
    visits = _visits(rows)
    if phase.sampler.args.makes_batches:
        return Plan(rows, speeds, visits, phase.micro_size, [], np.empty(0, np.int64))
    shards = rng.permutation(len(table.shards))
    width = data.window or len(shards)
    windows = np.split(shards, np.arange(width, len(shards), width))
    number = np.empty(len(shards), np.int32)
    number[shards] = np.arange(len(shards)) // width
    window = number[table.shard[rows]]
    order = np.lexsort((rng.random(len(rows)), window))
    ends = np.cumsum(np.bincount(window, minlength=len(windows)))
    return Plan(rows[order], speeds[order], visits[order], phase.micro_size, windows, ends)


def _sample(
    table: UtteranceTable | JoinedTable, phase: Phase, length: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and speeds of an epoch's crops, as the sampler gives them; with a ``mix``, set after set."""
    sample, arguments, augment = SAMPLERS.load(phase.sampler.name), phase.sampler.args, phase.augment
    crops = round(len(table) * phase.crops_per_utt)
    parts, firsts, mix = (table.parts, table.firsts, phase.mix) if len(phase.mix) > 1 else ((table,), (0,), (1.0,))
    ends = np.rint(np.cumsum(mix) * (crops / sum(mix))).astype(np.int64)  # rounded at the ends: no crop too many
    rows, speeds = [], []
    for part, first, count in zip(parts, firsts, np.diff(ends, prepend=0).tolist(), strict=False):
        request = Request(count, length, 1 + len(augment.speed), augment.speed_expand)
        chosen, at = sample(arguments, part, request, rng)
        rows.append(chosen + np.int32(first))
        speeds.append(at)
    return np.concatenate(rows), np.concatenate(speeds)


def speakers_per_window(table: UtteranceTable | JoinedTable, plan: Plan) -> float:
    """How many speakers there are between whom a network can learn to tell within a window, on average."""
    window = np.searchsorted(plan.ends, np.arange(len(plan.rows)), side="right")
    return len(np.unique(window * len(table.speakers) + table.speaker[plan.rows])) / max(1, len(plan.windows))


def share_of_steps(first: int, steps: int, micro_batches: int, rank: int = 0, ranks: int = 1) -> list[int]:
    """Numbers, in an epoch of ``steps``, of the micro-batches that one of several processes takes from a step on.

    Each step has ``micro_batches`` of them, which are dealt to the ranks like cards.
    """
    numbers = np.arange(first * micro_batches, steps * micro_batches).reshape(-1, micro_batches)
    return numbers[:, rank::ranks].ravel().tolist()


def _visits(rows: np.ndarray) -> np.ndarray:
    """For each entry how many equal ones come before it."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    visits = np.empty(len(rows), np.int32)
    visits[order] = np.arange(len(rows)) - np.repeat(begins, np.diff(begins, append=len(rows)))
    return visits
