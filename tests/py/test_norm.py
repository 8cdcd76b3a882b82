"""The normalisations: the worked example of the documents, what bias they take away, and who chooses them."""

import re
from pathlib import Path

import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.scoring import NORMS
from sv_py.scoring.backend import Side
from sv_py.scoring.cohort import Statistics, cohort_statistics
from sv_py.scoring.metrics import eer

SECTION = (Path(__file__).resolve().parents[2] / "docs/scoring.md").read_text().split("### AS-Norm in numbers")[1]


def normalise(name: str, top: int, sides: list[Side], cohort: Side, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    norm = NORMS.build(name, NORMS.arguments(name)(top=(top,)))
    statistics = {k: cohort_statistics(sides[k], cohort, norm.tops)[0] for k in norm.sides}
    return norm.normalise(scores, rows, statistics)


def test_the_example_of_the_documents_is_right():
    tables = re.findall(r"(?:^\|.*\n)+", SECTION, re.MULTILINE)
    cohort_scores, trials = (
        [[c.strip() for c in row.strip("|").split("|")] for row in t.splitlines()[2:]] for t in tables[:2]
    )
    names = [row[0] for row in cohort_scores]
    vectors = np.array([[float(score) for score in row[1:]] for row in cohort_scores])
    cohort = Side(np.eye(vectors.shape[1]))  # against which an embedding scores its own coordinates
    assert len(names) == 3 and len(trials) == 2
    for pair, score, enrol, test, as_norm, s_norm in trials:
        rows = np.array([[names.index(name)] for name in pair.split()])
        scores = np.array([float(score)])
        for name, top, shown in (
            ("z_norm", 3, enrol.split("=")[1]),
            ("t_norm", 3, test.split("=")[1]),
            ("as_norm", 3, as_norm),
            ("s_norm", 0, s_norm),
        ):
            found = normalise(name, top, [Side(vectors)] * 2, cohort, scores, rows)
            assert f"{found[0]:.2f}" == shown.strip(), (pair, name)


def test_each_side_has_its_own_statistics():
    enrol, test = Statistics(np.array([1.0, 2.0]), np.array([0.5, 0.0])), Statistics(np.array([3.0]), np.array([2.0]))
    scores, rows = np.array([5.0, 6.0]), np.array([[0, 1], [0, 0]])
    expected = {"z_norm": [8, 4], "t_norm": [1, 1.5], "s_norm": [4.5, 2.75], "as_norm": [4.5, 2.75]}
    for name, values in expected.items():
        norm = NORMS.build(name, NORMS.arguments(name)())
        assert norm.normalise(scores, rows, {0: enrol, 1: test}).tolist() == values


@pytest.fixture(scope="module")
def biased():
    """All pairs of 60 recordings of 20 speakers, as ``made(scales, shifts)``, those of the recordings' scores."""
    random = np.random.default_rng(0)
    speakers = np.arange(60) // 3
    vectors = random.standard_normal((20, 24))[speakers] + 0.7 * random.standard_normal((60, 24))
    cohort = Side(np.column_stack([random.standard_normal((300, 24)), np.ones(300)]))
    rows = np.stack(np.triu_indices(60, 1))

    def made(scales, shifts):
        side = Side(np.column_stack([vectors * scales[:, None], shifts]))
        return side, cohort, np.einsum("nd,nd->n", vectors[rows[0]], vectors[rows[1]])

    return made, rows, speakers[rows[0]] == speakers[rows[1]]


@pytest.mark.parametrize(("name", "k"), [("z_norm", 0), ("t_norm", 1)])
def test_scale_and_shift_of_the_side_that_is_normalised_vanish(biased, name, k):
    made, rows, _ = biased
    random = np.random.default_rng(1)
    scales, shifts = random.uniform(0.5, 2, 60), random.normal(0, 10, 60)
    plain, cohort, scores = made(np.ones(60), np.zeros(60))
    moved, *_ = made(scales, shifts)
    found = normalise(name, 50, [moved] * 2, cohort, scores * scales[rows[k]] + shifts[rows[k]], rows)
    assert found == pytest.approx(normalise(name, 50, [plain] * 2, cohort, scores, rows), abs=1e-9)


@pytest.mark.parametrize("name", ["as_norm", "s_norm", "z_norm", "t_norm"])
def test_errors_fall_where_recordings_shift_all_of_their_scores(biased, name):
    made, rows, target = biased
    shifts = np.random.default_rng(1).normal(0, 10, 60)
    moved, cohort, scores = made(np.ones(60), shifts)
    scores = scores + shifts[rows[0]] + shifts[rows[1]]
    assert eer(normalise(name, 50, [moved] * 2, cohort, scores, rows), target) < eer(scores, target) - 0.02


@pytest.mark.parametrize("top", [(), (1,), (5, 1), (-2,), (5, 5)])
def test_a_top_without_deviation_is_an_error(top):
    with pytest.raises(InputError, match="top has different numbers, each 0 or at least 2"):
        NORMS.arguments("as_norm")(top=top)
