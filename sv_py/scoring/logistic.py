"""Logistic regression whose linear part is a log-likelihood ratio."""

import math

import numpy as np

from sv_py.cli import InputError

_RIDGE = 1e-6  # of the squared weights of standardised inputs: keeps them finite where inputs separate or repeat
_CONVERGED = 1e-12  # Newton's decrement
_MOST_STEPS = 100


def fit_log_odds(inputs: np.ndarray, target: np.ndarray, prior: float) -> tuple[np.ndarray, float]:
    """Weights (D,) and bias for which ``inputs @ weights + bias`` are natural-log likelihood ratios.

    ``inputs`` (N, D) with labels ``target`` (N,) bool. Minimises the prior-weighted logistic cost of Bruemmer and du
    Preez (2006), in which targets count ``prior`` altogether, whatever their number: at 0.5 it is Cllr. The cost is
    convex and Newton's method finds its minimum, the same for the same inputs. Raises InputError where there are no
    trials of a kind.
    """
    counts = {"target": int(target.sum()), "non-target": int((~target).sum())}
    for kind, count in counts.items():
        if not count:
            raise InputError(f"there are no {kind} trials: calibration needs both kinds")
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale[scale <= 1e-12 * (1 + np.abs(mean))] = 1.0  # an input that is the same in all trials gets the weight 0
    design = np.concatenate([np.ones((len(inputs), 1)), (inputs - mean) / scale], axis=1)
    share = np.where(target, prior / counts["target"], (1 - prior) / counts["non-target"])
    found = _newton(design, np.where(target, 1.0, -1.0), share, math.log(prior / (1 - prior)))
    weights = found[1:] / scale
    return weights, float(found[0] - weights @ mean)


def _newton(design: np.ndarray, sign: np.ndarray, share: np.ndarray, offset: float) -> np.ndarray:
    """argmin of sum(share * log(1 + exp(-sign * (design @ w + offset)))) + _RIDGE / 2 * sum(w ** 2)."""

    def margins(point):
        return sign * (np.einsum("nd,d->n", design, point) + offset)

    def cost(point):
        return (share * np.logaddexp(0, -margins(point))).sum() + _RIDGE / 2 * (point**2).sum()

    point = np.zeros(design.shape[1])
    for _ in range(_MOST_STEPS):
        wrong = np.exp(-np.logaddexp(0, margins(point)))  # probability of the other kind
        gradient = _RIDGE * point - np.einsum("nd,n->d", design, share * sign * wrong)
        curvature = share * wrong * (1 - wrong)
        hessian = np.einsum("nd,ne->de", design * curvature[:, None], design) + _RIDGE * np.eye(len(point))
        step = np.linalg.solve(hessian, gradient)
        if gradient @ step < _CONVERGED:
            break
        length, here = 1.0, cost(point)
        while cost(point - length * step) > here - 1e-4 * length * (gradient @ step) and length > 1e-9:
            length /= 2
        point = point - length * step
    return point
