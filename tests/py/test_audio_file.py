"""Audio files: every format gives all of its samples, or an error; none passes for a shorter one."""

import io
import subprocess

import numpy as np
import pytest
import soundfile

from sv_py.cli import InputError
from sv_py.data.audio_file import read_audio
from sv_py.data.ffmpeg import find_ffmpeg

RATE = 16000
FORMATS = {
    "wav": ("WAV", "PCM_16"), "ulaw.wav": ("WAV", "ULAW"), "wavex": ("WAVEX", "PCM_24"), "w64": ("W64", "PCM_16"),
    "rf64": ("RF64", "PCM_16"), "aiff": ("AIFF", "PCM_16"), "au": ("AU", "PCM_16"), "sph": ("NIST", "PCM_16"),
    "ulaw.sph": ("NIST", "ULAW"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"),
}  # fmt: skip
EVERY_FORMAT = pytest.mark.parametrize("name", FORMATS)


def speech(seconds=2.0, channels=1):
    times = np.arange(round(RATE * seconds)) / RATE
    signal = 0.2 * np.sin(2500 * times) + np.random.default_rng(0).normal(0, 0.02, len(times))
    return np.stack([signal * (c + 1) for c in range(channels)], 1).astype(np.float32)


def encoded(name, samples) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=FORMATS[name][0], subtype=FORMATS[name][1])
    return file.getvalue()


def complaint(file) -> str:
    with pytest.raises(InputError) as error:
        read_audio(file)
    return str(error.value)


@EVERY_FORMAT
@pytest.mark.parametrize("channels", [1, 2])
def test_a_whole_file_is_read_as_libsndfile_reads_it(name, channels):
    data = encoded(name, speech(channels=channels))
    samples, rate, subtype = read_audio(io.BytesIO(data))
    expected = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]
    assert (rate, subtype) == (RATE, FORMATS[name][1])
    assert samples.shape == (2 * RATE, channels) and np.array_equal(samples, expected)


@EVERY_FORMAT
@pytest.mark.parametrize("share", [0.4, 0.9, 0.999])
def test_a_truncated_file_is_an_error_in_memory_and_on_disk(name, share, tmp_path):
    data = encoded(name, speech())
    cut = data[: round(share * len(data))]
    path = tmp_path / name
    path.write_bytes(cut)
    assert complaint(io.BytesIO(cut)).startswith(("truncated", "not audio, or damaged"))
    assert complaint(str(path)).startswith(("truncated", "not audio, or damaged"))


@pytest.mark.parametrize("name", ["flac", "ogg", "opus"])
def test_a_file_that_is_damaged_in_its_middle_is_an_error(name):
    data = bytearray(encoded(name, speech(4.0)))
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    assert "damaged" in complaint(io.BytesIO(data))


@pytest.mark.parametrize("name", ["flac", "wav", "au", "aiff", "ogg"])
def test_what_a_program_wrote_to_a_pipe_without_knowing_its_length_is_whole(name):
    command = [find_ffmpeg(), "-v", "error", "-i", "-", "-f", name, "-"]
    piped = subprocess.run(command, input=encoded("wav", speech()), capture_output=True, check=True).stdout
    assert read_audio(io.BytesIO(piped))[0].shape == (2 * RATE, 1)


def test_a_long_recording_is_joined_from_its_blocks_to_the_bit():
    data = encoded("ogg", speech(70.0))  # more than 2^20 samples
    assert np.array_equal(read_audio(io.BytesIO(data))[0][:, 0], soundfile.read(io.BytesIO(data), dtype="float32")[0])


def test_the_length_that_a_header_claims_takes_no_memory():
    data = bytearray(encoded("flac", speech()))
    data[21:26] = bytes([data[21] | 0x0F, *b"\xff" * 4])  # of STREAMINFO: 2^36 - 1 samples, 256 GB
    assert "damaged" in complaint(io.BytesIO(data))
