"""Statistics of cohort scores: equal to the plain way, in bounded memory, defined where there is little to average."""

import tracemalloc

import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.scoring.backend import Side
from sv_py.scoring.cohort import cohort_statistics, own_pairs
from sv_py.scoring.highest import Highest

TOLERANCE = {np.float64: 1e-9, np.float32: 1e-4}


def make_side(count: int, kind: type = np.float64, dimension: int = 16, offsets: bool = False, seed: int = 0) -> Side:
    """Random vectors of length 1, as the cosine has them; with offsets as PLDA's."""
    random = np.random.default_rng([seed, count])
    vectors = random.standard_normal((count, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Side(vectors.astype(kind), random.normal(-3, 1, count).astype(kind) if offsets else None)


def plain(side: Side, cohort: Side, top: int, left_out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation by all scores in float64, each row sorted."""
    scores = side.vectors.astype(np.float64) @ cohort.vectors.T.astype(np.float64)
    if side.offsets is not None:
        scores += side.offsets[:, None].astype(np.float64) + cohort.offsets
    counts = np.ones(scores.shape, bool)
    if left_out is not None:
        counts[left_out[0], left_out[1]] = False
    best = [np.sort(row[keep])[::-1][: top or None] for row, keep in zip(scores, counts, strict=True)]
    return np.array([row.mean() for row in best]), np.array([row.std() for row in best])


def assert_equal(found, expected, tolerance):
    assert np.abs(found.mean - expected[0]).max() < tolerance
    assert np.abs(found.deviation - expected[1]).max() < tolerance


@pytest.mark.parametrize("kind", TOLERANCE)
@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize("size", [50, 300, 8000, 30000])  # in one tile and in several
def test_they_are_those_of_all_scores_sorted(kind, offsets, size):
    side, cohort = make_side(40, kind, offsets=offsets), make_side(size, kind, offsets=offsets)
    tops = [2, 20, 300, 0]
    for top, found in zip(tops, cohort_statistics(side, cohort, tops), strict=True):
        assert_equal(found, plain(side, cohort, top), TOLERANCE[kind])


def test_several_numbers_at_once_give_the_bits_of_each_alone():
    side, cohort = make_side(40, np.float32), make_side(9000, np.float32)
    together = cohort_statistics(side, cohort, [300, 0, 10])
    for top, found in zip([300, 0, 10], together, strict=True):
        (alone,) = cohort_statistics(side, cohort, [top])
        assert np.abs(found.mean - alone.mean).max() == 0 and np.abs(found.deviation - alone.deviation).max() == 0


def test_a_number_above_the_cohorts_size_means_all_of_it():
    side, cohort = make_side(10), make_side(30)
    for found in cohort_statistics(side, cohort, [30, 31, 1000, 0]):
        assert_equal(found, plain(side, cohort, 30), 1e-12)


def test_equal_cohort_vectors_count_as_often_as_they_are_there():
    side, cohort = make_side(10), make_side(30)
    twice = Side(np.concatenate([cohort.vectors, cohort.vectors]))
    for once, double in zip(
        cohort_statistics(side, cohort, [7, 0]), cohort_statistics(side, twice, [14, 0]), strict=True
    ):
        assert_equal(double, (once.mean, once.deviation), 1e-12)


@pytest.mark.parametrize("kind", TOLERANCE)
def test_a_deviation_is_zero_where_all_scores_that_count_are_equal(kind):
    side = make_side(50, kind, 256)
    lonely, others = make_side(1, kind, 256).vectors, make_side(100, kind, 256, seed=1).vectors
    for cohort in (np.repeat(lonely, 500, axis=0), np.repeat(lonely, 20000, axis=0)):
        for found in cohort_statistics(side, Side(cohort), [300, 0]):
            assert_equal(found, (side.vectors @ lonely[0], np.zeros(50)), 1e-6)
            assert not found.deviation.any()
    (found,) = cohort_statistics(Side(lonely), Side(np.concatenate([others, np.repeat(lonely, 40, axis=0)])), [40])
    assert found.mean == pytest.approx(1) and not found.deviation.any()


def test_pairs_of_one_speaker_are_found_whatever_the_order():
    speakers, cohort = np.array([4, 0, 9, 4]), np.array([4, 1, 0, 4, 0, 0])
    assert own_pairs(speakers, cohort).T.tolist() == [[0, 0], [0, 3], [1, 2], [1, 4], [1, 5], [3, 0], [3, 3]]
    assert own_pairs(np.array([7]), cohort).shape == (2, 0)


@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize("size", [60, 20000])
def test_pairs_that_are_left_out_do_not_count(offsets, size):
    side, cohort = make_side(30, offsets=offsets), make_side(size, offsets=offsets)
    random = np.random.default_rng(0)
    left_out = own_pairs(random.integers(4, size=30), random.integers(5, size=size))  # a fifth of the cohort
    assert len(np.unique(left_out[0])) == 30
    tops = [10, size - 5, 0]  # the second is more than remain
    for top, found in zip(tops, cohort_statistics(side, cohort, tops, left_out), strict=True):
        assert_equal(found, plain(side, cohort, top, left_out), 1e-9)


def test_fewer_than_two_vectors_for_an_embedding_are_an_error():
    side, cohort = make_side(3), make_side(5)
    with pytest.raises(InputError, match="has 1 vectors for an embedding"):
        cohort_statistics(side, make_side(1), [0])
    left_out = own_pairs(np.array([0, 1, 2]), np.array([1, 1, 1, 1, 2]))
    with pytest.raises(InputError, match="has 1 vectors for an embedding"):
        cohort_statistics(side, cohort, [2], left_out)


def test_neither_memory_nor_threads_change_the_result():
    side, cohort = make_side(2500, np.float32, 24), make_side(9000, np.float32, 24)
    left_out = own_pairs(np.arange(2500) // 10, np.arange(9000))
    expected = cohort_statistics(side, cohort, [100], left_out, Highest(1 << 26))[0]
    for memory, threads in ((1 << 26, 2), (1 << 28, 3), (1 << 30, 100)):
        found = cohort_statistics(side, cohort, [100], left_out, Highest(memory, threads))[0]
        assert found.mean.tobytes() == expected.mean.tobytes()
        assert found.deviation.tobytes() == expected.deviation.tobytes()
    for memory, threads in ((1, 1), (1 << 22, 8)):  # less than a tile
        found = cohort_statistics(side, cohort, [100], left_out, Highest(memory, threads))[0]
        assert_equal(found, (expected.mean, expected.deviation), 1e-6)


@pytest.mark.parametrize("megabytes", [4, 64])
def test_memory_stays_within_its_bound_whatever_the_size_of_the_cohort(megabytes):
    for size in (9_000, 40_000):
        side, cohort = make_side(2100, np.float32, 4), make_side(size, np.float32, 4)
        tracemalloc.start()
        cohort_statistics(side, cohort, [300], finder=Highest(megabytes << 20, 8))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert megabytes / 4 < peak / 2**20 < 1.1 * megabytes


def test_a_gpu_finds_what_the_cpu_finds():
    import torch

    from sv_py.scoring.highest_gpu import HighestOnGpu

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # the code is the same
    random = np.random.default_rng(0)
    for offsets in (False, True):
        side, cohort = make_side(70, offsets=offsets), make_side(40000, offsets=offsets)
        left_out = own_pairs(random.integers(400, size=70), random.integers(500, size=40000))
        finder = HighestOnGpu(8 << 20, device)
        for top, found in zip([5, 300], cohort_statistics(side, cohort, [5, 300], left_out, finder), strict=True):
            assert_equal(found, plain(side, cohort, top, left_out), 1e-9)
    few = own_pairs(np.zeros(70, int), np.arange(100) // 60)  # 60 of 100 are left out
    for found in cohort_statistics(make_side(70), make_side(100), [80], few, HighestOnGpu(8 << 20, device)):
        assert_equal(found, plain(make_side(70), make_side(100), 80, few), 1e-9)
