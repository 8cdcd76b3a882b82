"""Kaldi's text tables: what is written can be read, and what is wrong is told with file and line."""

import pytest

from sv_py.cli import InputError
from sv_py.io.text import invert, line_blocks, read_counts, read_lines, read_table, write_lines, write_table


@pytest.fixture
def write(tmp_path):
    def call(data: bytes):
        (tmp_path / "table").write_bytes(data)
        return tmp_path / "table"

    return call


def test_a_table_is_written_sorted_as_bytes_and_read_back(tmp_path):
    table = {"b": 1, "B": "two words", "a-é": "x", "a-z": "y", "日": "本"}
    write_table(tmp_path / "t", table)
    assert (tmp_path / "t").read_bytes().splitlines() == sorted((tmp_path / "t").read_bytes().splitlines())
    assert read_table(tmp_path / "t") == {key: str(value) for key, value in table.items()}


def test_the_rest_of_a_line_is_the_value_with_its_inner_blanks(write):
    assert read_table(write(b"a  sox  x.wav -t wav - |  \nb\ty z")) == {"a": "sox  x.wav -t wav - |", "b": "y z"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "table: is empty"),
        (b"a 1\r\nb 2\r\n", "table:1: carriage return"),
        (b"a 1\nb 2\r\n", "table:2: carriage return"),
        (b"a 1\nb \0\n", "table:2: NUL byte"),
        (b"a 1\nb \xff\n", "table:2: not UTF-8"),
        (b"\xef\xbb\xbfa 1\n", "table:1: byte-order mark"),
        (b"a 1\n\nb 2\n", "table:2: blank line"),
        (b"a 1\n \nb 2\n", "table:2: expected 'id value'"),
        (b"a 1\nb\n", "table:2: expected 'id value', got 'b'"),
        (b" a 1\n", "table:1: expected 'id value', got ' a 1'"),
        (b"a 1\na 2\n", "table:2: 'a' a second time"),
        (b"a 1\nc 1\nb 1\n", "table:3: 'b' after 'c': not sorted"),
        (b"a 1\nB 1\n", "table:2: 'B' after 'a': not sorted"),
        (b"a 1\nb 1 2\n", "table:2: 3 columns instead of 2"),
    ],
)
def test_a_malformed_table_names_file_and_line(write, tmp_path, data, expected):
    with pytest.raises(InputError) as error:
        read_table(write(data), columns=2)
    assert str(error.value).startswith(f"{tmp_path}/{expected}")


def test_a_long_file_comes_in_blocks_with_the_numbers_of_their_lines(write):
    lines = [f"line {k}" for k in range(1, 701)]
    lines[512] = "\ufeff"  # a byte-order mark only as the first character of a file, not of a block
    blocks = list(line_blocks(write("\n".join(lines).encode())))
    assert [line for _, block in blocks for line in block] == lines
    assert [(first, block[0]) for first, block in blocks] == [(n, lines[n - 1]) for n in (1, 257, 513)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "is empty"),
        (b"b\r\n", "carriage return"),
        (b"\0\n", "NUL byte"),
        (b"\xff\n", "not UTF-8"),
        (b"\n", "blank line"),
    ],
)
def test_a_fault_far_down_a_long_file_has_its_line(write, data, expected):
    for before in (0, 700) if data else (0,):
        with pytest.raises(InputError, match=f"{before + 1}: {expected}" if data else expected):
            list(line_blocks(write(b"a\n" * before + data)))


def test_a_missing_table_is_named(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        for read in (read_table, lambda path: next(line_blocks(path))):
            with pytest.raises(InputError, match="no such file"):
                read(path)


def test_unsorted_tables_and_crlf_and_blank_lines_can_be_allowed(write):
    assert list(read_table(write(b"b 1\na 2\n"), ordered=False)) == ["b", "a"]
    assert read_lines(write(b"a\r\nb\r\n"), crlf=True) == ["a", "b"]
    assert read_lines(write(b"a\n\nb\n"), blank=True) == ["a", "", "b"]


@pytest.mark.parametrize("value", ["-1", "1.5", "x", "1e3", "٣"])
def test_a_count_is_a_whole_number(write, value):
    assert read_counts(write(b"a 3\nb 0\n")) == {"a": 3, "b": 0}
    with pytest.raises(InputError, match="table:2: 'b' has a count that is no whole number"):
        read_counts(write(f"a 3\nb {value}\n".encode()))


def test_an_error_while_writing_leaves_the_old_table(tmp_path):
    write_lines(tmp_path / "t", ["old"])

    def lines():
        yield "new"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_lines(tmp_path / "t", lines())
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("t", "old\n")]


def test_speakers_get_their_utterances_sorted():
    assert list(invert({"b-2": "b", "a-1": "a", "b-1": "b"}).items()) == [("a", ["a-1"]), ("b", ["b-1", "b-2"])]
