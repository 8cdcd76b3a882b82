"""Recordings of several microphones: the first is kept to the bit; a damaged one is an error and leaves no copy."""

import numpy as np
import pytest
import soundfile

from sv_py.cli import InputError
from sv_py.data.channels import first_channel
from sv_py.data.utterance import Utterance


def recording(path, channels, subtype):
    samples = np.random.default_rng(0).uniform(-1, 1, (4000, channels))
    soundfile.write(path, samples, 16000, subtype)
    return Utterance("rir-1", "rir-1", str(path), (path, None), sampling_rate=16000, num_channels=channels)


@pytest.mark.parametrize(("subtype", "kept"), [("PCM_16", "PCM_16"), ("PCM_24", "FLOAT"), ("FLOAT", "FLOAT")])
def test_the_first_channel_is_kept_to_the_bit_and_copied_once(tmp_path, subtype, kept):
    both = recording(tmp_path / "both.wav", 2, subtype)
    one = first_channel(both, tmp_path / "copies")
    assert (one.num_channels, one.path) == (1, str(tmp_path / "copies/rir-1.wav"))
    assert soundfile.info(one.path).subtype == kept
    assert np.array_equal(soundfile.read(one.path)[0], soundfile.read(both.path)[0][:, 0])
    inode = (tmp_path / "copies/rir-1.wav").stat().st_ino
    first_channel(both, tmp_path / "copies")
    assert (tmp_path / "copies/rir-1.wav").stat().st_ino == inode


def test_a_recording_of_one_channel_is_left_alone(tmp_path):
    one = recording(tmp_path / "one.wav", 1, "PCM_16")
    assert first_channel(one, tmp_path / "copies") is one and not (tmp_path / "copies").exists()


def test_a_truncated_recording_is_an_error_that_names_it_and_leaves_no_copy(tmp_path):
    both = recording(tmp_path / "both.wav", 2, "PCM_16")
    with open(both.path, "r+b") as file:
        file.truncate(4000)
    with pytest.raises(InputError, match=r"both\.wav: truncated"):
        first_channel(both, tmp_path / "copies")
    assert not (tmp_path / "copies").exists()
