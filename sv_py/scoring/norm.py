"""Normalisation of scores by what both sides of a trial score against a cohort of impostors.

A side with the mean m and the deviation d of its cohort scores turns a score s into (s - m) / d:

- Z-norm takes the enrolment side (Li and Porter, ICASSP 1988), T-norm the test side (Auckenthaler et al., DSP 2000);
- S-norm is the mean of both (Shum et al., Odyssey 2010);
- AS-Norm is S-norm with the statistics of each side's own highest cohort scores (Cumani et al., Interspeech 2011; the
  variant that Matejka et al., Interspeech 2017, call adaptive S-norm 1).
"""

from typing import ClassVar

import numpy as np

from sv_py.scoring.arguments import NormArguments
from sv_py.scoring.cohort import Statistics


class SymmetricNorm:
    """The mean of both sides: AS-Norm and S-norm, which differ in how many cohort scores count."""

    sides: ClassVar[tuple[int, ...]] = (0, 1)  # that count: 0 enrolment, 1 test

    def __init__(self, arguments: NormArguments):
        self.tops = arguments.top

    def normalise(self, scores: np.ndarray, rows: np.ndarray, statistics: dict[int, Statistics]) -> np.ndarray:
        """Normalised scores, float64 (N,), of trials with ``rows`` (2, N); ``statistics`` are those of the `sides`.

        A side whose cohort scores are all equal, so that its deviation is 0, only shifts.
        """
        total = np.zeros(len(scores))
        for side in self.sides:
            found = statistics[side]
            scale = np.where(found.deviation > 0, found.deviation, 1)
            total += (scores - found.mean[rows[side]]) / scale[rows[side]]
        return total / len(self.sides)


class EnrolNorm(SymmetricNorm):
    """Z-norm: of the enrolment side only."""

    sides = (0,)


class TestNorm(SymmetricNorm):
    """T-norm: of the test side only."""

    sides = (1,)
