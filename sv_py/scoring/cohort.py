"""Scores against a cohort of impostors: mean and deviation of all of them, or of the highest N, for every embedding.

All of them need no score at all: over cohort vectors with mean m and covariance S, the scores <a, x> of a vector a have
the mean <a, m> and the variance a'Sa. The highest N are found in tiles of the product of both matrices, some rows and
some thousand cohort vectors at a time: the memory grows with neither, and the time with their product.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sv_py.cli import InputError
from sv_py.scoring.backend import Side, score_rows
from sv_py.scoring.highest import Highest

_BLOCK = 8192  # vectors turned to float64 at once
_FLAT = 1e-6  # of the product of two vectors' lengths: what is less is rounding


@dataclass(frozen=True)
class Statistics:
    """Of each embedding's cohort scores: ``mean`` and ``deviation`` (of the population), float64 (n,).

    The deviation is 0 where all scores are equal up to rounding.
    """

    mean: np.ndarray
    deviation: np.ndarray


def own_pairs(speakers: np.ndarray, cohort_speakers: np.ndarray) -> np.ndarray:
    """Pairs (2, P) of a row of the embeddings and one of the cohort that are of the same speaker, by ascending rows.

    ``speakers`` (n,) and ``cohort_speakers`` (m,) are numbers of speakers.
    """
    order = np.argsort(cohort_speakers, kind="stable")
    first, last = (np.searchsorted(cohort_speakers, speakers, side, sorter=order) for side in ("left", "right"))
    counts = last - first
    places = np.arange(counts.sum()) + np.repeat(last - np.cumsum(counts), counts)
    return np.stack([np.repeat(np.arange(len(speakers)), counts), order[places]])


def cohort_statistics(
    side: Side, cohort: Side, tops: Sequence[int], left_out: np.ndarray | None = None, finder: Highest | None = None
) -> list[Statistics]:
    """For each of ``tops``, the statistics of every embedding's highest so many cohort scores; 0: of all of them.

    Of a cohort with fewer vectors all count; equal vectors count as often as they occur. ``left_out``, of `own_pairs`,
    are pairs that do not count. ``finder`` finds the highest scores (default: one with its own defaults).
    Raises InputError if fewer than two cohort vectors count for an embedding.
    """
    size = len(cohort.vectors)
    left_out = np.empty((2, 0), np.int64) if left_out is None else left_out
    counts = size - np.bincount(left_out[0], minlength=len(side.vectors))
    if counts.min() < 2:
        raise InputError(f"the cohort has {counts.min()} vectors for an embedding: a deviation needs two or more")
    highest = [top for top in tops if 0 < top < size]
    found = _of_highest(side, cohort, highest, left_out, finder or Highest()) if highest else {}
    if len(highest) < len(tops):
        found[0] = _of_all(side, cohort, left_out, counts)
    rounding = _FLAT * _lengths(side.vectors) * _lengths(cohort.vectors).max()
    for statistics in found.values():
        statistics.deviation[statistics.deviation <= rounding] = 0
    return [found[top if top < size else 0] for top in tops]


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("nd,nd->n", vectors, vectors))


def _of_highest(
    side: Side, cohort: Side, tops: list[int], left_out: np.ndarray, finder: Highest
) -> dict[int, Statistics]:
    """Statistics of the highest scores by their number, each less than the cohort's size."""
    keep, count = max(tops), len(side.vectors)
    found = {top: Statistics(np.empty(count), np.empty(count)) for top in tops}

    def take(part: slice, best: np.ndarray) -> None:
        for top, statistics in found.items():
            counted = best[:, keep - top :]
            finite = np.isfinite(counted) if left_out.size else True  # -inf where fewer than ``top`` count
            mean = np.mean(counted, axis=1, dtype=np.float64, keepdims=True, where=finite)
            statistics.mean[part] = mean[:, 0]
            statistics.deviation[part] = np.std(counted, axis=1, dtype=np.float64, mean=mean, where=finite)

    finder.each(side.vectors, cohort, keep, left_out, take)
    if side.offsets is not None:
        for statistics in found.values():
            statistics.mean[:] += side.offsets
    return found


def _of_all(side: Side, cohort: Side, left_out: np.ndarray, counts: np.ndarray) -> Statistics:
    """Statistics of all scores but those of ``left_out``; ``counts`` (n,) remain."""
    size = len(cohort.vectors)
    centre = sum(block.sum(axis=0) for _, block in _extended(cohort)) / size
    covariance = sum(centred.T @ centred for centred in (block - centre for _, block in _extended(cohort))) / size
    mean, squares = np.empty(len(counts)), np.empty(len(counts))
    for part, block in _extended(Side(side.vectors, np.ones(len(counts)))):
        mean[part] = block @ centre
        squares[part] = size * np.einsum("nd,nd->n", block @ covariance, block)
    if side.offsets is not None:
        mean += side.offsets
    if left_out.size:
        rows = left_out[0]
        away = score_rows(side, cohort, left_out, _BLOCK) - mean[rows]
        shift = -np.bincount(rows, away, len(counts)) / counts
        squares -= np.bincount(rows, away**2, len(counts)) + counts * shift**2
        mean += shift
    return Statistics(mean, np.sqrt(np.maximum(squares, 0) / counts))


def _extended(side: Side) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of rows, and their vectors with the offset as one more coordinate, in float64."""
    for start in range(0, len(side.vectors), _BLOCK):
        part = slice(start, start + _BLOCK)
        vectors = side.vectors[part].astype(np.float64)
        offsets = np.zeros(len(vectors)) if side.offsets is None else side.offsets[part]
        yield part, np.column_stack([vectors, offsets])
