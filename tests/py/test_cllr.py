"""Cllr, minCllr and the PAV against hand-worked cases, closed forms and textbook versions in exact arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv_py.scoring.cllr import cllr, min_cllr, pav

few = st.lists(st.integers(-4, 4), min_size=1, max_size=10)  # few values: most scores are tied


def labelled(targets, nontargets):
    scores = np.array([*targets, *nontargets], float)
    return scores, np.arange(len(scores)) < len(targets)


def slow_cllr(targets, nontargets):
    of_targets = sum(math.log2(1 + math.exp(-s)) for s in targets) / len(targets)
    return (of_targets + sum(math.log2(1 + math.exp(s)) for s in nontargets) / len(nontargets)) / 2


def slow_best_cllr(targets, nontargets):
    """Isotonic regression by its max-min formula: no pooling at all."""
    values = sorted({*targets, *nontargets})
    hits = [targets.count(value) for value in values]
    counts = [hit + nontargets.count(value) for hit, value in zip(hits, values, strict=True)]

    def mean(a, b):
        return Fraction(sum(hits[a : b + 1]), sum(counts[a : b + 1]))

    total = 0.0
    for i, (hit, count) in enumerate(zip(hits, counts, strict=True)):
        best = max(min(mean(a, b) for b in range(i, len(values))) for a in range(i + 1))
        target_share, nontarget_share = best / len(targets), (1 - best) / len(nontargets)
        if hit:
            total += hit / len(targets) * math.log2(1 + nontarget_share / target_share)
        if count - hit:
            total += (count - hit) / len(nontargets) * math.log2(1 + target_share / nontarget_share)
    return total / 2


@settings(derandomize=True, max_examples=300, deadline=None)
@given(few, few)
def test_both_equal_slow_versions(targets, nontargets):
    assert cllr(*labelled(targets, nontargets)) == pytest.approx(slow_cllr(targets, nontargets), abs=1e-12)
    assert min_cllr(*labelled(targets, nontargets)) == pytest.approx(slow_best_cllr(targets, nontargets), abs=1e-12)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(few, few)
def test_the_ratios_of_the_pav_cost_the_min_cllr_and_no_rising_map_costs_less(targets, nontargets):
    scores, target = labelled(targets, nontargets)
    blocks = pav(scores, target)
    assert (blocks.llr[1:] >= blocks.llr[:-1] - 1e-12).all() and (blocks.highest[:-1] < blocks.lowest[1:]).all()
    assert blocks.targets.sum() == len(targets) and blocks.nontargets.sum() == len(nontargets)
    mapped = blocks.llr[np.searchsorted(blocks.lowest, scores, "right") - 1]
    best = min_cllr(scores, target)
    assert cllr(mapped, target) == pytest.approx(best, abs=1e-12)
    for slope, shift in ((0.1, 0), (1, 0), (3, 1), (1, -2)):
        assert cllr(slope * scores + shift, target) >= best - 1e-12


def test_a_case_with_ties_worked_by_hand():
    # At 0 two non-targets, at 1 two targets and one non-target, at 3 a target: the shares of targets rise, so each of
    # the three scores is a block. Of the targets 0, 2/3, 1/3; of the non-targets 2/3, 1/3, 0.
    targets, nontargets = [1, 1, 3], [0, 0, 1]
    expected = (2 / 3 * math.log2(1 + 1 / 2) + 1 / 3 * math.log2(1 + 2)) / 2
    assert min_cllr(*labelled(targets, nontargets)) == pytest.approx(expected, abs=1e-15)
    blocks = pav(*labelled(targets, nontargets))
    assert blocks.llr.tolist() == [-math.inf, pytest.approx(math.log(2)), math.inf]
    assert (blocks.lowest.tolist(), blocks.highest.tolist()) == ([0, 1, 3], [0, 1, 3])


def test_neighbours_in_the_wrong_order_are_pooled():
    blocks = pav(*labelled([1, 4], [2, 0]))
    assert (blocks.lowest.tolist(), blocks.highest.tolist()) == ([0, 1, 4], [0, 2, 4])
    assert (blocks.targets.tolist(), blocks.nontargets.tolist()) == ([0, 1, 1], [1, 1, 0])
    assert blocks.llr[1] == 0


@pytest.mark.parametrize("distance", [1.0, 2.5])
def test_the_ratios_of_two_gaussians_have_the_cllr_of_the_integral_and_lose_nothing(distance):
    # The log-likelihood ratio of N(d, 1) to N(0, 1) is itself Gaussian: N(d^2 / 2, d^2) for targets.
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    expected = weights @ np.log2(1 + np.exp(-(distance**2 / 2 + distance * points))) / weights.sum()
    random = np.random.default_rng(0)
    scores, target = labelled(random.normal(distance, 1, 200_000), random.normal(0, 1, 200_000))
    llrs = distance * scores - distance**2 / 2
    assert cllr(llrs, target) == pytest.approx(expected, rel=0.01)
    assert cllr(llrs, target) - 0.002 < min_cllr(scores, target) < cllr(llrs, target)
    assert cllr(2 * llrs + 1, target) > 1.02 * cllr(llrs, target)


def test_perfect_useless_and_reversed_scores():
    assert min_cllr(*labelled([2, 3], [0, 1])) == 0
    assert min_cllr(*labelled([0, 1], [2, 3])) == pytest.approx(1)
    assert min_cllr(*labelled([1, 1], [1])) == cllr(*labelled([0, 0], [0])) == pytest.approx(1)
    assert cllr(*labelled([50], [-50])) == pytest.approx(0, abs=1e-15)
    assert cllr(*labelled([-800], [800])) == pytest.approx(800 / math.log(2))  # no overflow


def test_a_rising_map_does_not_change_min_cllr():
    random = np.random.default_rng(1)
    scores, target = labelled(random.normal(1, 1, 300).round(1), random.normal(0, 1, 900).round(1))
    assert min_cllr(np.exp(3 * scores) - 7, target) == min_cllr(scores, target)
