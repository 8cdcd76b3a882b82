"""Arks: what we write others read and the reverse; damage is an error that names entry and ark, never other numbers."""

import pickle

import kaldiio
import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.ark import ArkReader, split_place, write_ark
from sv_py.io.text import read_table


def arrays():
    rng = np.random.default_rng(0)
    return {
        "a": rng.normal(size=(7, 3)).astype(np.float32),
        "b-é": rng.normal(size=(1, 5)).astype(np.float32),
        "c": rng.normal(size=11).astype(np.float32),
    }


@pytest.fixture
def written(tmp_path):
    """Path of a scp with the entries of `arrays`."""
    assert write_ark(tmp_path / "x.ark", tmp_path / "x.scp", arrays().items()) == 3
    return tmp_path / "x.scp"


def kaldi_ark(folder, array, **options):
    """Place of ``array`` in an ark that kaldiio wrote, behind another entry."""
    kaldiio.save_ark(
        str(folder / "k.ark"), {"x": np.ones((2, 2), np.float32), "y": array}, str(folder / "k.scp"), **options
    )
    return read_table(folder / "k.scp")["y"]


def test_what_is_written_is_read_back_to_the_bit(written):
    for key, place in read_table(written).items():
        array = ArkReader().read(place, key=key)
        assert array.dtype == np.float32 and np.array_equal(array, arrays()[key])


def test_kaldiio_reads_ours_by_scp_and_in_sequence(written):
    by_scp = kaldiio.load_scp(str(written))
    assert all(np.array_equal(by_scp[key], array) for key, array in arrays().items())
    in_sequence = dict(kaldiio.load_ark(str(written.with_suffix(".ark"))))
    assert list(in_sequence) == list(arrays())


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(6, 4), (9,), (1, 1), (0, 4)])
def test_we_read_what_kaldiio_wrote(tmp_path, kind, shape):
    array = np.random.default_rng(1).normal(size=shape).astype(kind)
    place = kaldi_ark(tmp_path, array)
    assert np.array_equal(ArkReader().read(place), array.astype(np.float32))


@pytest.mark.parametrize("method", [1, 2, 3, 5])
def test_compressed_matrices_are_read_as_kaldiio_reads_them(tmp_path, method):
    array = np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32)
    place = kaldi_ark(tmp_path, array, compression_method=method)
    found = ArkReader().read(place)
    assert np.array_equal(found, kaldiio.load_mat(place)) and np.allclose(found, array, atol=0.1)
    assert np.array_equal(ArkReader().read(place, 5, 9), found[5:9])


def test_text_matrices_are_read(tmp_path):
    array = np.array([[1.5, 2], [3, -4]], np.float32)
    assert np.array_equal(ArkReader().read(kaldi_ark(tmp_path, array, text=True)), array)


@pytest.mark.parametrize("bounds", [(0, 3), (2, 5), (6, 7), (3, 3), (5, 100), (100, 200), (0, None), (4, None)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_slices_are_those_of_numpy(tmp_path, bounds, kind):
    for shape in ((7, 3), (7,)):
        array = np.random.default_rng(1).normal(size=shape).astype(kind)
        found = ArkReader().read(kaldi_ark(tmp_path, array), *bounds)
        assert np.array_equal(found, array[slice(*bounds)].astype(np.float32)) and found.ndim == array.ndim


def test_an_array_that_was_read_can_be_changed_without_changing_the_ark(written):
    place, reader = read_table(written)["a"], ArkReader()
    reader.read(place)[:] = 0
    assert np.array_equal(reader.read(place), arrays()["a"])


def test_more_arks_than_can_be_open_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("sv_py.io.ark._MAPS", 2)
    for i in range(5):
        write_ark(tmp_path / f"{i}.ark", tmp_path / f"{i}.scp", [("u", np.full((2, 2), i))])
    reader = ArkReader()
    for i in (0, 1, 2, 3, 4, 0, 4, 1):
        assert reader.read(f"{tmp_path}/{i}.ark:2")[0, 0] == i
    assert len(reader._maps) == 2


@pytest.mark.parametrize("kind", ["float", "double", "vector", "compressed", "text"])
def test_a_truncated_ark_is_an_error_at_every_byte(tmp_path, kind):
    array = np.random.default_rng(1).normal(size=(12, 4) if kind != "vector" else 12)
    options = {"compressed": {"compression_method": 2}, "text": {"text": True}}.get(kind, {})
    place = kaldi_ark(tmp_path, array.astype(np.float64 if kind == "double" else np.float32), **options)
    path, offset = split_place(place)
    data = (tmp_path / "k.ark").read_bytes()
    end = len(data) - (2 if kind == "text" else 0)  # text without its last bracket is truncated
    for size in {0, 1, offset - 1, *range(offset, end, 3), end - 1}:
        (tmp_path / "cut.ark").write_bytes(data[:size])
        with pytest.raises(InputError, match=r"cut\.ark: utt7: truncated or not a Kaldi matrix"):
            ArkReader().read(place.replace("k.ark", "cut.ark"), key="utt7")
    assert path == str(tmp_path / "k.ark")


def test_no_offset_but_the_right_one_gives_numbers(written):
    data = written.with_suffix(".ark").read_bytes()
    right = {split_place(place)[1] for place in read_table(written).values()}
    for offset in {*range(len(data) + 20), 10**15} - right:
        with pytest.raises(InputError, match="truncated or not"):
            ArkReader().read(f"{written.with_suffix('.ark')}:{offset}", key="u")


@pytest.mark.parametrize(
    "head",
    [
        b"\0BFM \x04\xff\xff\xff\xff\x04\x01\0\0\0",
        b"\0BFM \x04\x01\0\0\0\x04\xff\xff\xff\xff",
        b"\0BFM \x08\x01\0\0\0\x04\x01\0\0\0",
        b"\0BFM \x04\x01\0\0\0\x08\x01\0\0\0",
        b"\0BFM \x04\xff\xff\xff\x7f\x04\xff\xff\xff\x7f",
        b"\0BFV \x04\xff\xff\xff\x7f",
        b"\0BCM " + b"\0" * 8 + b"\xff\xff\xff\x7f" * 2,
        b"\0BXM \x04\x01\0\0\0\x04\x01\0\0\0",
        b"\0B\x04\x01\0\0\0\x04\x01\0\0\0",
        b"[ 1 x ]\n",
        b"[ 1 2\n 3 ]\n",
        b"1 2 3\n",
        b"RIFF",
        b"fLaC",
        b"NPY",
        b"AUDIO",
        b"-----",
    ],
)
def test_a_damaged_head_is_an_error(tmp_path, head):
    (tmp_path / "x.ark").write_bytes(b"u " + head + bytes(range(200)))
    with pytest.raises(InputError, match=r"x\.ark: u: truncated or not a Kaldi matrix at byte 2"):
        ArkReader().read(f"{tmp_path}/x.ark:2", key="u")


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_an_ark_runs(tmp_path):
    (tmp_path / "x.ark").write_bytes(b"u PKL" + pickle.dumps(Bomb(tmp_path / "mark")))
    with pytest.raises(InputError, match="u: truncated or not a Kaldi matrix"):
        ArkReader().read(f"{tmp_path}/x.ark:2", key="u")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "place", ["touch mark |", "touch mark | ", "| touch mark", "touch mark |:0", "touch mark |:12"]
)
def test_pipes_in_a_scp_are_refused(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="u: pipes are not run: "):
        ArkReader().read(place, key="u")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_ark_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.ark: u: no such ark"):
        ArkReader().read(f"{tmp_path}/none.ark:2", key="u")
    with pytest.raises(InputError, match="u: truncated or not"):
        ArkReader().read(f"{tmp_path}:2", key="u")


def test_a_path_may_have_colons_and_blanks(tmp_path):
    folder = tmp_path / "a: b"
    folder.mkdir()
    write_ark(folder / "x:1.ark", folder / "x.scp", [("u", np.ones((2, 2)))])
    assert ArkReader().read(read_table(folder / "x.scp")["u"]).sum() == 4


def test_the_scp_appears_last_and_a_failure_leaves_nothing(tmp_path):
    def items():
        yield "a", np.ones((2, 2))
        assert not (tmp_path / "x.scp").exists() and not (tmp_path / "x.ark").exists()
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        write_ark(tmp_path / "x.ark", tmp_path / "x.scp", items())
    assert list(tmp_path.iterdir()) == []


def test_an_ark_that_cannot_be_put_in_place_has_no_scp(tmp_path):
    (tmp_path / "x.ark").mkdir()
    with pytest.raises(OSError):
        write_ark(tmp_path / "x.ark", tmp_path / "x.scp", [("a", np.ones((2, 2)))])
    assert [path.name for path in tmp_path.iterdir()] == ["x.ark"]
