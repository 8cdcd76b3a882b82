"""Audio of a data dir: the samples that were recorded, or an error that names utterance and file."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import soundfile

from sv_py.cli import InputError
from sv_py.data.audio import Conversion, load, resample, sources, to_int16, utterances
from sv_py.io.audio_ark import ENCODINGS, write_audio_ark
from sv_py.io.text import read_table

RATE = 8000


def tone(seconds=0.5):
    return np.rint(8000 * np.sin(np.arange(round(RATE * seconds)) / 5)).astype(np.int16)


@pytest.fixture
def data(tmp_path):
    """``data(**wav_scp)``: a data dir with these sources; ``segments`` are lines."""

    def call(segments=(), **sources):
        (tmp_path / "wav.scp").write_text("".join(f"{utt} {source}\n" for utt, source in sorted(sources.items())))
        utts = [line.split()[0] for line in segments] or sorted(sources)
        (tmp_path / "utt2spk").write_text("".join(f"{utt} spk\n" for utt in utts))
        if segments:
            (tmp_path / "segments").write_text("".join(f"{line}\n" for line in segments))
        return tmp_path

    return call


@pytest.fixture
def wav(tmp_path):
    """``wav(name, samples, rate)``: path of a file in the format that the name says."""

    def call(name="x.wav", samples=None, rate=RATE, **options):
        soundfile.write(tmp_path / name, tone() if samples is None else samples, rate, **options)
        return tmp_path / name

    return call


def read(folder, **options):
    return {utt: samples_of() for utt, samples_of in utterances(folder, RATE, **options)}


def complaint(folder, **options):
    with pytest.raises(InputError) as error:
        read(folder, **options)
    return str(error.value)


def test_samples_come_on_the_scale_of_16_bit_integers(data, wav):
    samples = read(data(u=wav()))["u"]
    assert samples.dtype == np.float32 and np.array_equal(samples, tone().astype(np.float32))


@pytest.mark.parametrize("name", ["x.flac", "x.sph", "x.wav"])
def test_lossless_formats_give_the_same_samples(data, wav, name):
    options = {"format": "NIST", "subtype": "PCM_16"} if name == "x.sph" else {}
    assert np.array_equal(read(data(u=wav(name, **options)))["u"], tone())


def test_segments_are_cut_from_their_recordings_at_the_nearest_sample(data, wav):
    other = wav("y.wav", -tone(1.0))
    lines = ["a r 0 0.25", "b r 0.1 0.35006", "c s 0.5 1.0", "d r 0.4 0.5"]
    found = read(data(lines, r=wav(), s=other))
    assert np.array_equal(found["a"], tone()[:2000])
    assert np.array_equal(found["b"], tone()[800:2800])
    assert np.array_equal(found["c"], -tone(1.0)[4000:])
    assert np.array_equal(found["d"], tone()[3200:])


def test_a_segment_may_end_a_hundredth_of_a_second_behind_its_recording_as_in_the_validation(data, wav):
    found = read(data(["a r 0.4 0.51", "b r 0.4 0.505"], r=wav()))
    assert np.array_equal(found["a"], tone()[3200:]) and np.array_equal(found["b"], tone()[3200:])


@pytest.mark.parametrize(
    "times",
    ["0 0.511", "0.505 0.51", "0 0.6", "0.3 0.3", "0.3 0.2", "-0.1 0.2", "0.6 0.7", "nan 0.2", "0 nan", "0 inf"],
)
def test_a_segment_outside_its_recording_is_an_error(data, wav, times):
    message = complaint(data([f"u rec {times}"], rec=wav()))
    assert "segments: 'u' is " in message and "of 'rec', which lasts 0.500 s" in message


def test_mistakes_in_segments_have_a_line(data, wav):
    assert "segments:2: 'b' is cut from 'nix', which wav.scp lacks" in complaint(
        data(["a r 0 0.1", "b nix 0 1"], r=wav())
    )
    assert "segments:1: 'a' begins and ends at seconds, not at 0 and x" in complaint(data(["a r 0 x"], r=wav()))
    assert "segments:1: 3 columns instead of 4" in complaint(data(["a r 0"], r=wav()))


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    return path


def test_bad_audio_is_an_error_that_names_utterance_and_file(data, wav, tmp_path):
    (tmp_path / "text.wav").write_text("RIFF is what this is not")
    (tmp_path / "empty.wav").write_bytes(b"")
    bad = {
        "missing": (tmp_path / "none.wav", "no such file"),
        "rate": (wav("rate.wav", rate=16000), "sample rate 16000 Hz instead of 8000 Hz"),
        "stereo": (wav("stereo.wav", np.stack([tone(), tone()], 1)), "2 channels instead of one"),
        "none": (wav("zero.wav", tone()[:0]), "no samples"),
        "nan": (wav("nan.wav", np.array([0, np.nan, 0.1]), subtype="FLOAT"), "NaN or infinite samples"),
        "inf": (wav("inf.wav", np.array([0, np.inf, 0.1]), subtype="FLOAT"), "NaN or infinite samples"),
        "text": (tmp_path / "text.wav", "not audio, or damaged"),
        "void": (tmp_path / "empty.wav", "not audio, or damaged"),
        "folder": (tmp_path, "not audio, or damaged"),
        "head": (cut(wav("head.wav"), 20), "not audio, or damaged"),
        "tail": (cut(wav("tail.wav"), 4044), "truncated, 4000 of 8000 bytes are there"),
        "flac": (cut(wav("tail.flac"), 900), "not audio, or damaged"),
    }
    folder = data(**{utt: source for utt, (source, _) in bad.items()})
    for utt, samples_of in utterances(folder, RATE):
        source, reason = bad[utt]
        with pytest.raises(InputError) as error:
            samples_of()
        assert str(error.value).startswith(f"{source}: '{utt}': {reason}")


def test_a_segment_of_bad_audio_names_the_utterance(data, tmp_path):
    assert "none.wav: 'u': no such file" in complaint(data(["u r 0 1"], r=tmp_path / "none.wav"))


def test_commands_in_wav_scp_run_only_when_that_is_allowed(data, wav, tmp_path):
    folder = data(u=f"touch {tmp_path}/mark; cat {wav()} |")
    assert "'u' is a command, run only with --allow-pipes true: touch" in complaint(folder)
    assert not (tmp_path / "mark").exists()
    assert np.array_equal(read(folder, pipes=True)["u"], tone())
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("false |", "'u': exit status 1 of: false |"),
        ("cat {wav} | false | cat |", "'u': exit status 1 of: "),
        ("no-such-command-here |", "'u': exit status 127 of: "),
        ("echo hello |", "echo hello |: 'u': not audio, or damaged"),
        ("true |", "true |: 'u': not audio, or damaged"),
    ],
)
def test_a_command_that_fails_is_an_error(data, wav, source, expected):
    assert expected in complaint(data(u=source.format(wav=wav())), pipes=True)


def test_a_stream_whose_writer_did_not_know_its_length_is_not_taken_for_truncated(data, wav):
    path = wav()
    head = bytearray(path.read_bytes())
    for length in (0xFFFFFFFF, 0x7FFFF000):
        head[40:44] = length.to_bytes(4, "little")
        path.write_bytes(head)
        assert np.array_equal(read(data(u=f"cat {path} |"), pipes=True)["u"], tone())


def test_a_command_does_not_take_what_the_caller_is_given_on_its_standard_input(data, wav, tmp_path):
    folder = data(u=f"cat >> {tmp_path}/taken; cat {wav()} |")
    code = f"from sv_py.data.audio import utterances\n[read() for _, read in utterances({str(folder)!r}, {RATE}, True)]"
    subprocess.run([sys.executable, "-c", code], input=b"lines of a loop", check=True)
    assert (tmp_path / "taken").read_bytes() == b""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_places_in_arks_are_read_as_files_are(data, tmp_path, encoding):
    write_audio_ark(tmp_path / "x.ark", tmp_path / "x.scp", [("u", tone()), ("v", -tone(1.0))], RATE, encoding)
    folder = data(**read_table(tmp_path / "x.scp"))
    found = read(folder)
    assert np.array_equal(found["u"], tone()) and np.array_equal(found["v"], -tone(1.0))
    (tmp_path / "x.ark").write_bytes((tmp_path / "x.ark").read_bytes()[:-5])
    assert "x.ark: v: truncated or not audio at byte" in complaint(folder)


def test_several_channels_become_their_mean_only_when_that_is_allowed(data, wav):
    left, right = tone(), np.rint(tone() / 3).astype(np.int16)
    folder = data(u=wav("stereo.wav", np.stack([left, right], 1)))
    assert "2 channels instead of one" in complaint(folder, resample=True)
    assert np.array_equal(read(folder, mixdown=True)["u"], (left.astype(np.float32) + right) / 2)


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 22050, 44100, 48000])
def test_a_tone_of_another_rate_is_the_same_tone(data, wav, rate):
    seconds, frequency = 0.5, 440.0

    def at(rate):
        return 8000 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)

    folder = data(u=wav("other.wav", np.rint(at(rate)).astype(np.int16), rate))
    assert f"sample rate {rate} Hz instead of 8000 Hz" in complaint(folder, mixdown=True)
    samples = read(folder, resample=True)["u"]
    assert samples.dtype == np.float32 and len(samples) == round(seconds * RATE)
    middle = slice(400, -400)  # away from where the signal begins and ends
    assert np.abs(samples - at(RATE))[middle].max() < 4  # of 8000: -66 dB, with the rounding of the file


def test_a_rate_that_only_a_damaged_header_can_have_is_an_error(data, wav):
    path = wav()
    head = bytearray(path.read_bytes())
    head[24:28] = (2**31 - 19).to_bytes(4, "little")
    path.write_bytes(head)
    assert "'u': sample rate 2147483629 Hz, which cannot be converted" in complaint(data(u=path), resample=True)


def test_what_lies_above_half_of_the_new_rate_does_not_come_back_as_an_alias():
    samples = 8000 * np.sin(2 * np.pi * 4100 * np.arange(16000) / 16000).astype(np.float32)
    assert np.abs(resample(samples, 16000, RATE)[400:-400]).max() < 8000 * 10 ** (-60 / 20)


def test_conversions_are_counted_by_kind(data, wav):
    stereo = wav("a.wav", np.stack([tone(), tone()], 1), 16000)
    folder, done = data(a=stereo, b=wav("b.wav"), c=wav("c.wav", rate=16000)), Counter()
    for _, samples_of in load(sources(folder), Conversion(RATE, resample=True, mixdown=True), done):
        samples_of()
    assert done == {"resampled from 16000 Hz": 2, "mixed down from 2 channels": 1}


def test_a_part_of_the_utterances_is_found_by_its_lines(data, wav):
    folder = data(**{f"u{i}": wav() for i in range(5)})
    assert [source.utt for source in sources(folder, range(1, 4))] == ["u1", "u2", "u3"]
    folder = data([f"u{i} r {i / 10} 0.5" for i in range(4)], r=wav())
    assert sources(folder, range(2, 4)) == sources(folder)[2:]
    data(["a r 0 0.1", "b nix 0 1"], r=wav())
    with pytest.raises(InputError, match="segments:2: 'b' is cut from 'nix'"):
        sources(folder, range(1, 2))


def test_rounding_is_to_the_nearest_integer_halves_to_even_and_clipping_is_counted():
    samples = np.array([0.5, 1.5, -0.5, -2.5, 2.4, 32767.4, 32767.5, -32768.5, -32769, 1e9], np.float32)
    rounded, clipped = to_int16(samples)
    assert rounded.dtype == np.int16 and clipped == 3
    assert rounded.tolist() == [0, 2, 0, -2, 2, 32767, 32767, -32768, -32768, 32767]
