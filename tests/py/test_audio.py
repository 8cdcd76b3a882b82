"""Audio of a data dir: the samples that were recorded, or an error that names utterance and file."""

import subprocess

import numpy as np
import pytest
import soundfile

from sv_py.cli import InputError
from sv_py.data.audio import utterances
from sv_py.data.shard_job import make_shard
from sv_py.io.ark import ArkReader
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


def load(folder, **options):
    return {utt: read() for utt, read in utterances(folder, RATE, **options)}


def complaint(folder, **options):
    with pytest.raises(InputError) as error:
        load(folder, **options)
    return str(error.value)


def test_samples_come_on_the_scale_of_16_bit_integers(data, wav):
    samples = load(data(u=wav()))["u"]
    assert samples.dtype == np.float32 and np.array_equal(samples, tone().astype(np.float32))


@pytest.mark.parametrize("name", ["x.flac", "x.sph", "x.wav"])
def test_lossless_formats_give_the_same_samples(data, wav, name):
    options = {"format": "NIST", "subtype": "PCM_16"} if name == "x.sph" else {}
    assert np.array_equal(load(data(u=wav(name, **options)))["u"], tone())


def test_segments_are_cut_from_their_recordings_at_the_nearest_sample(data, wav):
    other = wav("y.wav", -tone(1.0))
    lines = ["a r 0 0.25", "b r 0.1 0.35006", "c s 0.5 1.0", "d r 0.4 0.5"]
    found = load(data(lines, r=wav(), s=other))
    assert np.array_equal(found["a"], tone()[:2000])
    assert np.array_equal(found["b"], tone()[800:2800])
    assert np.array_equal(found["c"], -tone(1.0)[4000:])
    assert np.array_equal(found["d"], tone()[3200:])


@pytest.mark.parametrize("times", ["0 0.6", "0.3 0.3", "0.3 0.2", "-0.1 0.2", "0.6 0.7", "nan 0.2", "0 nan", "0 inf"])
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
    for utt, read in utterances(folder, RATE):
        source, reason = bad[utt]
        with pytest.raises(InputError) as error:
            read()
        assert str(error.value).startswith(f"{source}: '{utt}': {reason}")


def test_a_segment_of_bad_audio_names_the_utterance(data, tmp_path):
    assert "none.wav: 'u': no such file" in complaint(data(["u r 0 1"], r=tmp_path / "none.wav"))


def test_commands_in_wav_scp_run_only_when_that_is_allowed(data, wav, tmp_path):
    folder = data(u=f"touch {tmp_path}/mark; cat {wav()} |")
    assert "'u' is a command, run only with --allow-pipes true: touch" in complaint(folder)
    assert not (tmp_path / "mark").exists()
    assert np.array_equal(load(folder, pipes=True)["u"], tone())
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
        assert np.array_equal(load(data(u=f"cat {path} |"), pipes=True)["u"], tone())


def shard(folder, compute=lambda utt, samples: samples[:3, None], **options):
    out = folder / "out"
    out.mkdir(exist_ok=True)
    make_shard(folder, out / "x.ark", out / "x.scp", RATE, "identity", compute, **options)
    return out


def test_a_shard_has_counts_and_durations_and_is_made_once(data, wav):
    folder = data(a=wav("a.wav"), b=wav("b.wav", tone(0.25)))
    out = shard(folder)
    assert read_table(out / "x.utt2num_frames") == {"a": "3", "b": "3"}
    assert read_table(out / "x.utt2dur") == {"a": "0.500", "b": "0.250"}
    assert np.array_equal(ArkReader().read(read_table(out / "x.scp")["b"]), tone()[:3, None])

    def never(utt, samples):
        raise AssertionError

    shard(folder, never)
    data(a=wav("a.wav"))
    shard(folder)
    assert list(read_table(out / "x.scp")) == ["a"]


def test_all_bad_utterances_are_named_and_nothing_is_written(data, wav, tmp_path, caplog):
    names = [f"missing{i}" for i in range(9)]
    folder = data(short=wav("s.wav", tone()[:1]), good=wav(), **{name: tmp_path / name for name in names})

    def compute(utt, samples):
        return samples[: len(samples) // 100]

    with pytest.raises(InputError, match="10 of 11 utterances cannot be used"):
        shard(folder, compute)
    assert list((tmp_path / "out").iterdir()) == []
    assert all(f"'{name}'" in caplog.text for name in ("short", *names))
    assert "'short': 1 samples are too short for a frame" in caplog.text

    out = shard(folder, compute, skip_bad=True)
    assert list(read_table(out / "x.scp")) == ["good"]
    with pytest.raises(InputError, match="10 of 11"):  # what was left out once is not forgotten
        shard(folder, compute)


def test_a_shard_without_any_good_utterance_is_an_error_even_if_bad_ones_are_skipped(data, tmp_path):
    with pytest.raises(InputError, match="not one utterance can be used"):
        shard(data(u=tmp_path / "none.wav"), skip_bad=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_shard_whose_job_was_killed_is_made_again(data, wav):
    out = shard(data(u=wav()))
    before = (out / "x.ark").read_bytes()
    (out / "x.done").unlink()  # the last thing that is written
    subprocess.run(["truncate", "-s", "10", out / "x.ark"], check=True)
    shard(data(u=wav()))
    assert (out / "x.ark").read_bytes() == before
