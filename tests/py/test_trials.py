"""Trial lists: two formats told apart by the whole file, ids resolved against what is there."""

import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.trials import check_known, look_up, match_ids, read_trials


@pytest.fixture
def trials_file(tmp_path):
    def write(text):
        path = tmp_path / "trials"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def as_lines(trials):
    rows = zip(trials.enrol, trials.test, trials.target, strict=True)
    return [(trials.ids[i], trials.ids[j], bool(label)) for i, j, label in rows]


def test_all_formats_give_the_same_trials(trials_file):
    expected = [("a-1", "a-2", True), ("b-1", "a-2", False)]
    kaldi = read_trials(trials_file("a-1 a-2 target\nb-1 a-2 nontarget\n"))
    voxceleb = read_trials(trials_file("1 a-1 a-2\n0 b-1 a-2\n"))
    last = read_trials(trials_file("a-1 a-2 1\nb-1 a-2 0\n"))
    assert as_lines(kaldi) == as_lines(voxceleb) == as_lines(last) == expected
    assert sorted(kaldi.ids) == ["a-1", "a-2", "b-1"]
    assert kaldi.enrol.dtype == kaldi.test.dtype == np.int32 and kaldi.target.dtype == bool


def test_the_order_of_a_long_file_is_kept(trials_file):
    lines = [f"s{k * 7 % 1000} t{k} {'target' if k % 3 else 'nontarget'}" for k in range(5000)]
    trials = read_trials(trials_file("\n".join(lines)))
    assert [f"{e} {t} {'target' if y else 'nontarget'}" for e, t, y in as_lines(trials)] == lines


def test_a_last_line_decides_between_the_formats(trials_file):
    head = "1 a target\n0 b nontarget\n" * 1000  # could be either
    assert as_lines(read_trials(trials_file(head + "x c target\n")))[0] == ("1", "a", True)
    assert as_lines(read_trials(trials_file("1 a target\n0 b nontarget\n1 c d\n")))[0] == ("a", "target", True)


def test_a_repeated_trial_is_kept_and_counted(trials_file):
    trials = read_trials(trials_file("1 a b\n0 a c\n1 a b\n1 a b\n"))
    assert len(trials) == 4 and trials.repeated == 2


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "is empty"),
        ("a b target\r\nc d target\r\n", 1, "CRLF"),
        (b"a b target\na \xff target\n", 2, "not UTF-8"),
        (b"a b target\nab\0 c target\n", 2, "NUL"),
        ("a b target\n\nc d target\n", 2, "blank line"),
        ("a b\n", 1, "2 columns: 'a b'; expected 'enrol test target|nontarget' or '1|0 enrol test'"),
        ("a b target\na b\n", 2, "2 columns"),
        ("a b target x\n", 1, "4 columns"),
        ("a b target\na b 0.5 target\n", 2, "4 columns"),
        ("a b\ntarget d e target\n", 1, "2 columns"),  # six words, but not three and three
        ("a b target\na c nontargets\n", 2, "did you mean 'nontarget'?"),
        ("a b Target\n", 1, "did you mean 'target'?"),
        ("a b target\n" * 2000 + "a c impostor\n", 2001, "got 'a c impostor'"),
        ("1 a b\n2 a c\n", 2, "expected '1|0 enrol test', got '2 a c'"),
        ("1 a b\na c nontarget\n", 2, "two formats in one file"),
        ("a c nontarget\n1 a b\n", 2, "'1|0 enrol test' here, 'enrol test target|nontarget' above"),
        ("a b 1\nc d 2\n", 2, "expected 'enrol test 1|0', got 'c d 2'"),
        ("a b 1\nc d nontarget\n", 2, "two formats in one file"),
        ("1 a 1\n0 b 0\n", None, "'1|0 enrol test' and as 'enrol test 1|0'"),
        ("1 a target\n0 b nontarget\n", None, "rename the utterances called 0, 1, target or nontarget"),
        ("a b target\na c target\na b nontarget\n", 3, "'a b' is target here and nontarget elsewhere, or the reverse"),
        ("1 a b\n0 c d\n0 a b\n", 3, "'a b' is target here"),
    ],
)
def test_a_malformed_list_is_refused_with_its_line(trials_file, text, line, message):
    path = trials_file(text)
    with pytest.raises(InputError) as error:
        read_trials(path)
    place = f"{path}: " if line is None else f"{path}:{line}: "
    assert str(error.value).startswith(place) and message in str(error.value)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_trials(tmp_path / "trials")


def test_ids_are_mapped_to_the_data_dirs_form_only_if_that_explains_all_of_them():
    files = ["id10270/x6uYqmx31kE/00001.wav", "id10270/8jEAjG6SegY/00008.wav"]
    kaldi = ["id10270-x6uYqmx31kE-00001", "id10270-8jEAjG6SegY-00008"]
    assert match_ids(files, set(kaldi)) == kaldi
    assert match_ids(files, set(files) | set(kaldi)) == files
    assert match_ids(files, set(kaldi[:1])) == files
    assert match_ids(["a.b"], {"a.b"}) == ["a.b"]


def test_rows_lead_from_trials_to_names(trials_file):
    path = trials_file("1 spk/v/2.wav spk/v/1.wav\n0 spk/v/2.wav tom/v/1.wav\n")
    names, rows = look_up(read_trials(path), {"spk-v-1", "spk-v-2", "tom-v-1"}, path)
    assert [[names[k] for k in side] for side in rows] == [["spk-v-2", "spk-v-2"], ["spk-v-1", "tom-v-1"]]


def test_unknown_utterances_are_counted_and_the_first_few_listed(trials_file):
    path = trials_file("a b target\nx1 b nontarget\na x2 nontarget\na x3 nontarget\na x4 nontarget\n")
    with pytest.raises(InputError) as error:
        check_known(read_trials(path), {"a", "b"}, path)
    assert str(error.value) == f"{path}:2: 4 of the 6 ids in the trials are unknown: x1, x2, x3 and 1 more"


def test_models_are_known_on_the_enrolment_side_only(trials_file):
    path = trials_file("model a target\n")
    check_known(read_trials(path), {"a"}, path, models={"model"})
    with pytest.raises(InputError, match="unknown: a"):
        check_known(read_trials(path), {"b"}, path, models={"model"})
