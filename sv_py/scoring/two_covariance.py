"""The two-covariance model of embeddings, x = mean + y + e: y ~ N(0, B) of the speaker, e ~ N(0, W) of the utterance.

The same as PLDA with full-rank subspaces (Ioffe, 2006; Brümmer and de Villiers, 2010). All of it is computed in the
basis in which W is the identity and B is diagonal.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sv_py.cli import InputError
from sv_py.io.embeddings import add_groups

_SINGULAR = 1e-7  # a variance that is so small beside the largest counts as none: networks round their sums


@dataclass(frozen=True)
class Moments:
    """What a set of N vectors of K speakers says: ``means`` (K, d), ``sizes`` (K,), ``scatter`` (d, d) about them."""

    means: np.ndarray
    sizes: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, blocks: Iterable[np.ndarray], speakers: np.ndarray, dimension: int) -> "Moments":
        """Of the rows of all ``blocks`` (n, d), whose speakers have the numbers ``speakers`` (N,), from 0 on."""
        sizes = np.bincount(speakers)
        sums, products = np.zeros((len(sizes), dimension)), np.zeros((dimension, dimension))
        start = 0
        for block in blocks:
            numbers = speakers[start : start + len(block)]
            start += len(block)
            add_groups(sums, numbers, block)
            products += block.T @ block
        means = sums / sizes[:, None]
        return cls(means, sizes, products - means.T @ sums)

    def transformed(self, matrix: np.ndarray) -> "Moments":
        """Of ``matrix`` (k, d) times each vector."""
        return Moments(self.means @ matrix.T, self.sizes, matrix @ self.scatter @ matrix.T)

    @property
    def mean(self) -> np.ndarray:
        """Mean of all vectors (d,)."""
        return self.sizes @ self.means / self.sizes.sum()

    @property
    def within(self) -> np.ndarray:
        """Covariance about the speakers' means."""
        return self.scatter / self.sizes.sum()

    @property
    def between(self) -> np.ndarray:
        """Covariance of the speakers' means, each with the weight of its vectors."""
        deviations = self.means - self.mean
        return (deviations.T * self.sizes) @ deviations / self.sizes.sum()

    @property
    def total(self) -> np.ndarray:
        """Covariance of all vectors."""
        return self.within + self.between


@dataclass(frozen=True)
class TwoCovariance:
    """Speakers have the covariance diag(``psi``), utterances the identity, in the coordinates transform (x - mean).

    ``mean`` and ``psi`` are (d,), ``psi`` falls; ``transform`` is (d, d).
    """

    mean: np.ndarray
    transform: np.ndarray
    psi: np.ndarray

    def adapted(self, mean: np.ndarray, total: np.ndarray, within: float, between: float) -> "TwoCovariance":
        """The model for vectors of another domain, of which ``mean`` and covariance ``total`` are known (Kaldi's).

        In the basis in which both the model's and the domain's total covariance are diagonal, directions that vary
        more in the domain than the model says get the excess added to W and B, in shares of ``within`` and ``between``.
        """
        unit = self.transform / np.sqrt(1 + self.psi)[:, None]  # makes the model's total covariance the identity
        variances, directions = np.linalg.eigh(unit @ total @ unit.T)
        to_basis = directions.T @ unit
        excess = np.diag(np.maximum(variances - 1, 0))
        own_within = (directions.T / (1 + self.psi)) @ directions
        own_between = (directions.T * (self.psi / (1 + self.psi))) @ directions
        transform, psi = diagonalise(own_within + within * excess, own_between + between * excess)
        return TwoCovariance(mean, transform @ to_basis, psi)


def diagonalise(within: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``transform`` (d, d) and ``psi`` (d,): T within T' is the identity, T between T' diag(psi), psi falling.

    Raises InputError if ``within`` is singular.
    """
    variances, directions = np.linalg.eigh(within)
    if variances[0] <= _SINGULAR * variances[-1]:
        raise InputError(
            f"in some of the {len(within)} dimensions the utterances of a speaker do not differ: "
            "more utterances of each speaker are needed"
        )
    whiten = directions.T / np.sqrt(variances)[:, None]
    psi, rotation = np.linalg.eigh(whiten @ between @ whiten.T)
    return rotation.T[::-1] @ whiten, np.maximum(psi[::-1], 0)


def principal(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal directions (k, d) in which the covariance (d, d) is diagonal, and their variances (k,), none of 0."""
    variances, directions = np.linalg.eigh(covariance)
    kept = variances > _SINGULAR * variances[-1]
    return directions.T[kept], variances[kept]


def symmetric_power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    """``covariance`` (d, d) to the power ``exponent``; 0 in directions of no variance."""
    directions, variances = principal(covariance)
    return (directions.T * variances**exponent) @ directions


def fit_by_em(moments: Moments, iterations: int) -> tuple[TwoCovariance, list[float]]:
    """The model by EM, and the mean log-likelihood of a vector before each iteration and after the last.

    The mean is that of the speakers' means, as Kaldi's. Raises InputError where speakers have too few utterances.
    """
    sizes = moments.sizes[:, None]
    count = moments.sizes.sum()
    mean = moments.means.mean(axis=0)
    means, scatter = moments.means - mean, moments.scatter  # in the basis of the last iteration, as all that follows
    within, between = scatter / count, means.T @ means / len(means)
    transform = np.eye(len(scatter))
    likelihoods = []
    for iteration in range(iterations + 1):
        step, psi = diagonalise(within, between)
        transform, means, scatter = step @ transform, means @ step.T, step @ scatter @ step.T
        spread = 1 + sizes * psi
        fit_of_means = (np.log(spread) + sizes * means**2 / spread).sum() + np.trace(scatter)
        log_volume = np.linalg.slogdet(transform)[1] - len(psi) / 2 * np.log(2 * np.pi)
        likelihoods.append(float(log_volume - fit_of_means / (2 * count)))
        if iteration < iterations:
            variances = psi / spread  # of each speaker's y, given its utterances; and the mean:
            expected = sizes * variances * means
            rest = np.sqrt(sizes) * (means - expected)
            between = (expected.T @ expected + np.diag(variances.sum(axis=0))) / len(means)
            within = (scatter + rest.T @ rest + np.diag((sizes * variances).sum(axis=0))) / count
    return TwoCovariance(mean, transform, psi), likelihoods
