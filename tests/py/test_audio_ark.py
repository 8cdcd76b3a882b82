"""Audio arks: Kaldi's programs read what we write and the reverse; slices are exact; damage is named."""

import io
import pickle
import resource

import kaldi_native_io
import kaldiio
import numpy as np
import pytest
import soundfile

from sv_py.cli import InputError
from sv_py.io.audio_ark import ENCODINGS, AudioArkReader, write_audio_ark
from sv_py.io.places import split_place
from sv_py.io.text import read_table

RATE = 16000


def waves():
    rng = np.random.default_rng(0)
    return {
        "a": np.array([-32768, 32767, 0, 1], np.int16),
        "b-é": (8000 * np.sin(np.arange(20000) / 9) + rng.normal(0, 50, 20000)).astype(np.int16),
        "c": rng.integers(-32768, 32768, 7777).astype(np.int16),
    }


@pytest.fixture
def write(tmp_path):
    """``write(encoding)``: path of the scp of an ark with `waves`."""

    def call(encoding="pcm16", items=None):
        write_audio_ark(tmp_path / "x.ark", tmp_path / "x.scp", items or waves().items(), RATE, encoding)
        return tmp_path / "x.scp"

    return call


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_written_is_read_back_to_the_bit(write, encoding):
    reader = AudioArkReader()
    for utt, place in read_table(write(encoding)).items():
        samples = reader.read(place, key=utt)
        assert samples.dtype == np.int16 and np.array_equal(samples, waves()[utt])
        assert reader.info(place) == (len(samples), RATE)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_slices_are_those_of_numpy(write, encoding):
    places, reader = read_table(write(encoding)), AudioArkReader()
    for bounds in ((0, 3), (5, 7000), (100, 100), (9, 5), (7776, 7778), (99999, 100000), (0, None), (-5, None)):
        samples = reader.read(places["c"], *bounds)
        assert np.array_equal(samples, waves()["c"][slice(*bounds)])
    samples[:] = 0  # a copy
    assert np.array_equal(reader.read(places["c"]), waves()["c"])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_kaldiio_reads_ours_by_scp_and_in_sequence(write, encoding):
    scp = write(encoding)
    scale = 1 if encoding == "pcm16" else 32768  # kaldiio gives FLAC as fractions of full scale
    for found in (kaldiio.load_scp(str(scp)), dict(kaldiio.load_ark(str(scp.with_suffix(".ark"))))):
        assert list(found) == list(waves())
        for utt, wave in waves().items():
            rate, samples = found[utt]
            assert rate == RATE and np.array_equal(samples * scale, wave)


def test_kaldis_own_reader_reads_ours_by_scp_and_in_sequence(write):
    scp = write()
    for source in (f"scp:{scp}", f"ark:{scp.with_suffix('.ark')}"):
        with kaldi_native_io.SequentialWaveReader(source) as reader:
            found = {utt: (wave.sample_freq, np.array(wave.data.numpy())) for utt, wave in reader}
        assert list(found) == list(waves())
        for utt, wave in waves().items():
            rate, samples = found[utt]
            assert rate == RATE and samples.shape[0] == 1 and np.array_equal(samples[0], wave)


def test_our_bytes_are_those_of_kaldis_own_writer(write, tmp_path):
    scp = write()
    with (
        kaldi_native_io.SequentialWaveReader(f"scp:{scp}") as reader,
        kaldi_native_io.WaveWriter(f"ark,scp:{tmp_path}/k.ark,{tmp_path}/k.scp") as writer,
    ):
        for utt, wave in reader:
            writer.write(utt, wave)
    assert (tmp_path / "k.ark").read_bytes() == (tmp_path / "x.ark").read_bytes()
    assert (tmp_path / "k.scp").read_text() == scp.read_text().replace("x.ark", "k.ark")


@pytest.mark.parametrize("options", [{}, {"write_function": "soundfile"}])
def test_we_read_what_kaldiio_wrote(tmp_path, options):
    items = {utt: (RATE, wave) for utt, wave in waves().items()}
    kaldiio.save_ark(str(tmp_path / "k.ark"), items, str(tmp_path / "k.scp"), **options)
    for utt, place in read_table(tmp_path / "k.scp").items():
        assert np.array_equal(AudioArkReader().read(place), waves()[utt])


@pytest.fixture
def stored(tmp_path):
    """``stored(samples, **options)``: place of an entry that is a file as soundfile writes it."""

    def call(samples, **options):
        file = io.BytesIO()
        soundfile.write(file, samples, RATE, format="WAV", **options)
        (tmp_path / "s.ark").write_bytes(b"u " + file.getvalue() + b"v RIFF")
        return f"{tmp_path}/s.ark:2"

    return call


def test_a_wav_with_another_header_is_decoded(stored):
    place = stored(waves()["c"])
    with open(split_place(place)[0], "r+b") as file:  # a chunk that Kaldi does not write, in front of the samples
        data = file.read()
        extra = b"LIST\x04\0\0\0abcd"
        size = int.from_bytes(data[6:10], "little") + len(extra)
        file.seek(0)
        file.write(data[:6] + size.to_bytes(4, "little") + data[10:38] + extra + data[38:])
    assert np.array_equal(AudioArkReader().read(place, 5, 50), waves()["c"][5:50])
    assert AudioArkReader().info(place) == (7777, RATE)


@pytest.mark.parametrize(
    ("shape", "subtype", "reason"), [((99, 2), "PCM_16", "2 channels instead of one"), (99, "FLOAT", "32 bit float")]
)
def test_other_entries_are_refused_and_can_be_taken_as_a_file(stored, shape, subtype, reason):
    samples = np.full(shape, 0.25)
    place = stored(samples, subtype=subtype)
    with pytest.raises(InputError, match=rf"s\.ark: u: truncated or not audio at byte 2: {reason}"):
        AudioArkReader().read(place, key="u")
    found, rate = soundfile.read(AudioArkReader().file(place))
    assert rate == RATE and np.array_equal(found, samples)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_truncated_ark_is_an_error_at_every_byte(write, tmp_path, encoding):
    scp = write(encoding, [("a", waves()["a"]), ("utt7", waves()["b-é"][:100])])
    place, data = read_table(scp)["utt7"], scp.with_suffix(".ark").read_bytes()
    for size in {0, 1, *range(split_place(place)[1] - 2, len(data), 3), len(data) - 1}:
        (tmp_path / "cut.ark").write_bytes(data[:size])
        for call in (AudioArkReader().read, AudioArkReader().info, AudioArkReader().file):
            with pytest.raises(InputError, match=r"cut\.ark: utt7: truncated or not audio at byte"):
                call(place.replace("x.ark", "cut.ark"), key="utt7")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_offset_but_the_right_one_gives_samples(write, encoding):
    scp = write(encoding, [("a", waves()["a"]), ("b", waves()["b-é"][:300])])
    right = {split_place(place)[1] for place in read_table(scp).values()}
    for offset in {*range(scp.with_suffix(".ark").stat().st_size + 20), 10**15} - right:
        with pytest.raises(InputError, match="u: truncated or not audio"):
            AudioArkReader().read(f"{scp.with_suffix('.ark')}:{offset}", key="u")


@pytest.mark.parametrize(
    "head",
    [b"AUDIO\x05\xff\xff\xff\xff\xff", b"AUDIO\x00", b"AUDIO\x01\x20" + b"?" * 40, b"fLaC", b"\0BFM ", b"PKL", b"NPY"],
)
def test_a_damaged_head_is_an_error(tmp_path, head):
    (tmp_path / "x.ark").write_bytes(b"u " + head + bytes(range(200)))
    with pytest.raises(InputError, match=r"x\.ark: u: truncated or not audio at byte 2"):
        AudioArkReader().read(f"{tmp_path}/x.ark:2", key="u")


def test_a_missing_ark_and_a_pipe_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.ark: u: no such ark"):
        AudioArkReader().read(f"{tmp_path}/none.ark:2", key="u")
    with pytest.raises(InputError, match="u: pipes are not run"):
        AudioArkReader().read(f"touch {tmp_path}/mark |", key="u")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("samples", [np.zeros(5), np.zeros((5, 1), np.int16), np.zeros(0, np.int16)])
def test_what_is_not_a_16_bit_wave_is_not_written(write, tmp_path, samples):
    for encoding in ENCODINGS:
        with pytest.raises(ValueError, match="'a': not samples of type int16"):
            write(encoding, [("a", samples)])
    assert list(tmp_path.iterdir()) == []


def test_a_recording_of_many_hours_is_refused_with_its_name(write, tmp_path):
    with pytest.raises(InputError, match="'day': 1073741824 samples are too many for an entry of an ark"):
        write("pcm16", [("day", np.broadcast_to(np.int16(1), 2**30))])
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_travels_to_another_process_opens_its_own_files(write):
    places, reader = read_table(write()), AudioArkReader()
    reader.read(places["a"])
    copy = pickle.loads(pickle.dumps(reader))
    del reader
    assert np.array_equal(copy.read(places["c"]), waves()["c"])


def test_reading_a_large_ark_slice_by_slice_does_not_fill_the_memory(write):
    rng = np.random.default_rng(0)
    block = rng.integers(-99, 99, 10**6).astype(np.int16)
    places, reader = read_table(write(items=[(f"u{i:02}", block) for i in range(40)])), AudioArkReader()
    reader.read(places["u00"], 0, 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for start in range(0, len(block), 1000):
        for place in places.values():
            reader.read(place, start, start + 1000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kB; the ark has 80 MB
