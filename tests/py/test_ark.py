"""Arks: what we write others read and the reverse; damage is an error that names entry and ark, never other numbers."""

import pickle

import kaldi_native_io
import kaldiio
import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.ark import ArkReader, write_ark
from sv_py.io.places import split_place
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


def speech_features():
    rng = np.random.default_rng(3)
    return {"short": rng.normal(8, 3, (5, 80)), "u": rng.normal(8, 3, (298, 80)), "v": rng.normal(8, 3, (30, 80))}


def test_kaldis_own_reader_reads_plain_and_compressed_arks_as_we_do(tmp_path):
    for compress, largest, bytes_per_value in ((False, 1e-6, 4), (True, 0.2, 1.2)):
        ark, scp = tmp_path / "x.ark", tmp_path / "x.scp"
        write_ark(ark, scp, speech_features().items(), compress)
        assert ark.stat().st_size < bytes_per_value * sum(x.size for x in speech_features().values()) + 500
        for source in (f"scp:{scp}", f"ark:{ark}"):
            with kaldi_native_io.SequentialFloatMatrixReader(source) as reader:
                found = {key: np.array(matrix) for key, matrix in reader}
            assert list(found) == list(speech_features())
            for key, array in speech_features().items():
                ours = ArkReader().read(read_table(scp)[key])
                assert np.abs(found[key] - array).max() < largest and np.allclose(found[key], ours, atol=1e-5)


def test_our_compressed_bytes_are_those_of_kaldis_own_writer(tmp_path):
    rng = np.random.default_rng(5)
    arrays = speech_features() | {"flat": np.full((50, 4), 3.0), "zero": np.zeros((5, 4))}
    arrays |= {f"r{i}": rng.normal(8, 3, (i, 7)) * 10.0 ** (i - 9) for i in range(1, 20)}
    arrays = {key: array.astype(np.float32) for key, array in sorted(arrays.items())}
    write_ark(tmp_path / "ours.ark", tmp_path / "ours.scp", arrays.items(), compress=True)
    with kaldi_native_io.CompressedMatrixWriter(f"ark:{tmp_path}/kaldi.ark") as writer:
        for key, array in arrays.items():
            writer.write(key, array, kaldi_native_io.CompressionMethod.kAutomaticMethod)
    assert (tmp_path / "ours.ark").read_bytes() == (tmp_path / "kaldi.ark").read_bytes()


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
    assert np.allclose(found, kaldiio.load_mat(place), atol=1e-5) and np.allclose(found, array, atol=0.1)
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
    monkeypatch.setattr("sv_py.io.open_files.OpenFiles.__init__.__defaults__", (2,))
    for i in range(5):
        write_ark(tmp_path / f"{i}.ark", tmp_path / f"{i}.scp", [("u", np.full((2, 2), i))])
    reader = ArkReader()
    for i in (0, 1, 2, 3, 4, 0, 4, 1):
        assert reader.read(f"{tmp_path}/{i}.ark:2")[0, 0] == i
    assert len(reader._files._open) == 2


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
