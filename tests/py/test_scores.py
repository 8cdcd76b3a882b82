"""Score files: read back as written, and refused with the line where they are wrong."""

import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.pairs import Pairs
from sv_py.io.scores import read_scores, write_scores


@pytest.fixture
def pairs():
    return Pairs(["a", "b", "c"], np.array([0, 0, 1], np.int32), np.array([1, 2, 2], np.int32))


def test_written_scores_are_read_back(tmp_path, pairs):
    target = np.array([True, False, False])
    write_scores(tmp_path / "s", pairs, np.array([0.5, -0.1234567, 1e3], np.float32), target)
    assert (tmp_path / "s").read_text() == "a b 0.500000 target\na c -0.123457 nontarget\nb c 1000.000000 nontarget\n"
    found = read_scores(tmp_path / "s", labelled=True)
    assert found.ids == pairs.ids and found.scores.tolist() == [0.5, -0.123457, 1000.0]
    assert (found.enrol == pairs.enrol).all() and (found.test == pairs.test).all() and (found.target == target).all()


def test_a_score_that_is_not_finite_is_not_written_and_the_old_file_stays(tmp_path, pairs):
    (tmp_path / "s").write_text("old")
    with pytest.raises(InputError, match="the score of 'a c' is nan"):
        write_scores(tmp_path / "s", pairs, np.array([0, np.nan, 1]), np.zeros(3, bool))
    assert (tmp_path / "s").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_labels_may_be_absent_unless_asked_for(tmp_path):
    path = tmp_path / "s"
    path.write_text("a b 1e-3\na c -2\n")
    assert read_scores(path).target is None and read_scores(path).scores.tolist() == [0.001, -2]
    with pytest.raises(InputError, match=r"s:1: no label in the 4th column"):
        read_scores(path, labelled=True)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "is empty"),
        ("a b 0.5 target\r\n", 1, "CRLF"),
        ("a b\n", 1, "2 columns"),
        ("a b 1 target x\n", 1, "5 columns"),
        ("a b 1 target\na c 2\n", 2, "3 columns: 'a c 2'; expected 'enrol test score [target|nontarget]' as the lines"),
        ("a b 1\na c 2 target\n", 2, "4 columns"),
        ("a b target\n", 1, "score 'target' is not a finite number"),
        ("a b 1 target\na c 0,5 nontarget\n", 2, "score '0,5' is not a finite number"),
        ("a b 1\n" * 1500 + "a c nan\n", 1501, "score 'nan' is not a finite number"),
        ("a b 1\na c inf\n", 2, "score 'inf' is not a finite number"),
        ("a b 1\na c 1e999\n", 2, "score '1e999' is not a finite number"),
        ("a b 1 nontargt\n", 1, "label 'nontargt' (did you mean 'nontarget'?)"),
        ("a b 1 target\na c 1 0\n", 2, "label '0': expected target or nontarget"),
        ("a b 1 target\na b 1 nontarget\n", 2, "'a b' is target here and nontarget elsewhere"),
        (b"a b 1 target\n\xe9 b 1 target\n", 2, "not UTF-8"),
    ],
)
def test_a_malformed_score_file_is_refused_with_its_line(tmp_path, text, line, message):
    path = tmp_path / "s"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as error:
        read_scores(path)
    place = f"{path}: " if line is None else f"{path}:{line}: "
    assert str(error.value).startswith(place) and message in str(error.value)
