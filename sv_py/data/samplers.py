"""Which utterances an epoch visits, and at which speed: one function per sampler, vectorised over the epoch.

Each is called with its arguments, the `UtteranceTable`, the epoch's `Request` and a random generator, and returns for
each crop the row of its utterance, int32 (N,), and the index of its speed, uint8 (N,).
"""

from dataclasses import dataclass

import numpy as np

from sv_py.cli import InputError
from sv_py.data.arguments import SpeakerBalancedArguments, SpeakersTimesUttsArguments, UniformArguments
from sv_py.data.table import UtteranceTable


@dataclass(frozen=True)
class Request:
    """What an epoch shall have."""

    crops: int  # at one speed
    length: int  # longest crop, in units of the table's lengths
    speeds: int = 1  # how many there are
    expand: bool = False  # each crop at each speed, instead of at one drawn at random

    def at_speeds(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """``rows``, repeated if ``expand``, with speeds."""
        if self.expand:
            speeds = np.repeat(np.arange(self.speeds, dtype=np.uint8), len(rows))
            return np.tile(rows, self.speeds), speeds
        return rows, rng.integers(self.speeds, size=len(rows), dtype=np.uint8)


def uniform(
    arguments: UniformArguments, table: UtteranceTable, request: Request, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Every utterance alike, or in proportion to its length if ``by_length``; shorter ones as if of a crop's length.

    The whole part of an utterance's number of crops is for sure, the rest of all is one systematic draw. It goes
    through the utterances in a random order: in that of their ids, every second one may be of one kind.
    """
    rows = np.arange(len(table), dtype=np.int32)
    if arguments.by_length or request.crops % len(table):
        rng.shuffle(rows)
    weight = np.maximum(table.length[rows], request.length) if arguments.by_length else np.ones(len(table))
    wanted = np.cumsum(weight * (request.crops / weight.sum()))
    edges = np.floor(wanted + rng.random()).astype(np.int64)
    edges[-1] = request.crops  # not one more or less by rounding
    return request.at_speeds(np.repeat(rows, np.diff(edges, prepend=0)), rng)


def speaker_balanced(
    arguments: SpeakerBalancedArguments, table: UtteranceTable, request: Request, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A speaker is drawn uniformly, then one of his utterances uniformly."""
    rows, first, count = by_speaker(table)
    speaker = rng.integers(len(count), size=request.crops)
    chosen = first[speaker] + (rng.random(request.crops) * count[speaker]).astype(np.int64)
    return request.at_speeds(rows[chosen], rng)


def speakers_times_utts(
    arguments: SpeakersTimesUttsArguments, table: UtteranceTable, request: Request, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Batches of ``utts`` utterances of each of ``speakers`` speakers, in the order of the batches.

    A speaker at another speed is another one. All speakers come once before one comes again, but for those that are
    left over when the batches of such a round are filled. The utterances in a batch are different ones if the
    speaker has so many.
    """
    rows, first, count = by_speaker(table)
    classes = len(count) * request.speeds
    if arguments.speakers > classes:
        raise InputError(f"sampler: {arguments.speakers} speakers in a batch, and there are {classes}")
    crops = request.crops * (request.speeds if request.expand else 1)
    batches = crops // (arguments.speakers * arguments.utts)
    in_round = classes // arguments.speakers
    rounds = np.argsort(rng.random((-(-batches // in_round), classes)), axis=1)
    chosen = rounds[:, : in_round * arguments.speakers].reshape(-1)[: batches * arguments.speakers]
    speed, speaker = np.divmod(chosen, len(count))
    utt = _distinct(count[speaker], arguments.utts, rng)
    return rows[first[speaker][:, None] + utt].reshape(-1), np.repeat(speed.astype(np.uint8), arguments.utts)


def by_speaker(table: UtteranceTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows sorted by speaker, int32 (N,); where each speaker's begin among them, and how many he has, (S,)."""
    order = np.argsort(table.speaker, kind="stable").astype(np.int32)
    count = np.bincount(table.speaker, minlength=len(table.speakers))
    return order, np.cumsum(count) - count, count


def _distinct(count: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """``draws`` numbers below each of ``count`` (G,), different ones where there are so many: int64 (G, draws).

    Floyd's algorithm (Bentley and Floyd, "A sample of brilliance", CACM 1987), for all rows at once.
    """
    chosen = np.empty((len(count), draws), np.int64)
    for k in range(draws):
        last = count - draws + k  # the greatest number that may be drawn now
        few = last < k  # less numbers than draws: any number, again and again
        drawn = (rng.random(len(count)) * np.where(few, count, last + 1)).astype(np.int64)
        taken = (chosen[:, :k] == drawn[:, None]).any(axis=1)
        chosen[:, k] = np.where(taken & ~few, last, drawn)
    return chosen
