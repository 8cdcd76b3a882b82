"""What libsndfile cannot read comes through ffmpeg: whole, or as an error that names the file."""

import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from sv_py.cli import InputError
from sv_py.data.audio import Conversion, Source, load
from sv_py.data.ffmpeg import decode, find_ffmpeg, to_wav

RATE = 16000


def tone():
    return np.rint(8000 * np.sin(np.arange(RATE) / 5)).astype(np.int16)


@pytest.fixture(scope="module")
def encode(tmp_path_factory):
    """``encode(suffix, *options)``: path of a second of `tone` as ffmpeg writes it."""

    def call(suffix, *options):
        folder = tmp_path_factory.mktemp("encoded")
        soundfile.write(folder / "x.wav", tone(), RATE)
        command = [find_ffmpeg(), "-nostdin", "-v", "error", "-i", folder / "x.wav", *options, folder / f"x{suffix}"]
        subprocess.run(command, check=True)
        return folder / f"x{suffix}"

    return call


def samples(path, **options):
    ((_, samples_of),) = load([Source("utt7", "ann", "utt7", str(path))], Conversion(RATE, **options))
    return samples_of()


def loudest_frequency(samples, rate=RATE):
    return np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)


@pytest.mark.parametrize("suffix", [".m4a", ".mp4", ".aac", ".M4A"])
def test_mpeg_audio_has_the_sound_rate_and_length_of_what_was_encoded(encode, suffix):
    found = samples(encode(suffix, "-b:a", "96k"))
    assert found.dtype == np.float32 and RATE <= len(found) <= RATE + 2048  # the codec's blocks
    assert loudest_frequency(found[:RATE]) == pytest.approx(loudest_frequency(tone()), abs=2)
    assert np.abs(found).max() == pytest.approx(8000, rel=0.1)


def test_the_sound_track_of_a_video_is_read(shared):
    path = shared / "corpora/video/hdtf/WDA_KatieHill_000.mp4"
    file = soundfile.SoundFile(io.BytesIO(to_wav(path)))
    found = samples(path, resample=True, mixdown=True)
    assert len(found) == pytest.approx(file.frames * RATE / file.samplerate, abs=1) and found.std() > 100


def test_rate_and_channels_are_converted_only_when_that_is_allowed(encode):
    path = encode(".m4a", "-ar", "44100", "-ac", "2")
    for options, reason in (({"mixdown": True}, "sample rate 44100 Hz"), ({"resample": True}, "2 channels")):
        with pytest.raises(InputError, match=rf"x\.m4a: 'utt7': {reason} instead of"):
            samples(path, **options)
    found = samples(path, resample=True, mixdown=True)
    assert loudest_frequency(found) == pytest.approx(loudest_frequency(tone()), abs=2)


def test_decode_gives_16_bit_mono_of_the_rate_that_is_asked_for(encode):
    found = decode(encode(".m4a", "-ar", "44100", "-ac", "2"), 8000)
    assert found.dtype == np.int16 and len(found) == pytest.approx(8000, abs=600)
    assert loudest_frequency(found, 8000) == pytest.approx(loudest_frequency(tone()), abs=3)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.98])
def test_a_truncated_file_is_an_error_and_never_a_shorter_recording(encode, tmp_path, share):
    for options in ((), ("-movflags", "faststart")):
        whole = encode(".m4a", *options).read_bytes()
        (tmp_path / "cut.m4a").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match=r"cut\.m4a: 'utt7': ffmpeg cannot decode it: "):
            samples(tmp_path / "cut.m4a")


def test_damage_inside_is_an_error(encode, tmp_path):
    data = bytearray(encode(".m4a", "-movflags", "faststart").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(b ^ 0x5A for b in data[middle : middle + 300])
    (tmp_path / "x.m4a").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.m4a: ffmpeg cannot decode it"):
        decode(tmp_path / "x.m4a", RATE)


def test_a_playlist_opens_no_other_file(encode, tmp_path):
    other = encode(".m4a")
    (tmp_path / "x.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:{other}\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputError, match=r"x\.mp4: ffmpeg cannot decode it"):
        to_wav(tmp_path / "x.mp4")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.m4a: 'utt7': no such file"):
        samples(tmp_path / "none.m4a")
    with pytest.raises(InputError, match=r"none\.m4a: no such file"):
        decode(tmp_path / "none.m4a", RATE)


def test_the_program_is_that_of_sv_ffmpeg_then_that_of_path(monkeypatch, tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("SV_FFMPEG", raising=False)
    assert find_ffmpeg() == str(program)
    monkeypatch.setenv("SV_FFMPEG", "/bin/true")
    assert find_ffmpeg() == "/bin/true"
    monkeypatch.setenv("SV_FFMPEG", str(tmp_path / "none"))
    with pytest.raises(InputError, match="SV_FFMPEG is not a program that can be run: "):
        find_ffmpeg()


def test_without_the_program_an_error_says_what_to_do(root, run, tmp_path):
    (tmp_path / "x.m4a").write_bytes(b"?")
    script = (
        "import sys; sys.path.append(sys.argv[1]); sys.modules['imageio_ffmpeg'] = None  # as if not installed\n"
        "from sv_py.cli import command; from sv_py.data.ffmpeg import decode; command(lambda: decode('x.m4a', 16000))"
    )
    done = run(sys.executable, "-c", script, root, code=1, PATH="/nowhere", SV_FFMPEG="")
    assert "need ffmpeg: put it into PATH, or its path into SV_FFMPEG" in done.stderr and "Traceback" not in done.stderr
