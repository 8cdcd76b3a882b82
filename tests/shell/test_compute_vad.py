"""steps/compute_vad.sh on real recordings: either detector, silence, and audio that is not that of the features."""

import numpy as np
import pytest
import soundfile

from sv_py.data.vad import EnergyArguments, decide
from sv_py.io.ark import ArkReader
from sv_py.io.text import read_table, write_table


@pytest.fixture
def step(root, run, tmp_path):
    """``step(name, *argv)`` runs steps/<name>.sh in tmp_path with one job."""

    def call(name, *argv, **options):
        return run(root / f"steps/{name}.sh", "--nj", 1, *argv, cwd=tmp_path, **options)

    return call


@pytest.fixture
def data(tmp_path, shared, step):
    """Two recordings of AN4 and one that is silent, with features."""
    files = sorted((shared / "corpora/an4/wav/an4test_clstk").rglob("*.flac"))[:2]
    soundfile.write(tmp_path / "quiet.wav", np.zeros(16000, np.int16), 16000)
    wavs = {"an4-1": files[0], "an4-2": files[1], "quiet": tmp_path / "quiet.wav"}
    (tmp_path / "data").mkdir()
    write_table(tmp_path / "data/wav.scp", wavs)
    for name in ("utt2spk", "spk2utt"):
        write_table(tmp_path / "data" / name, {utt: utt for utt in wavs})
    step("make_fbank", "data")
    return tmp_path / "data"


def decisions(data):
    return {utt: ArkReader().read(place) for utt, place in read_table(data / "vad.scp").items()}


def test_the_conf_file_chooses_the_detector(data, tmp_path, step):
    (tmp_path / "vad.conf").write_text("--detector=energy\n--vad-energy-threshold=5.5\n--vad-frames-context=2\n")
    step("compute_vad", "--vad-config", "vad.conf", "data")
    options = EnergyArguments(vad_energy_threshold=5.5, vad_frames_context=2)
    frames = read_table(data / "utt2num_frames")
    for utt, found in decisions(data).items():
        samples, _ = soundfile.read(read_table(data / "wav.scp")[utt], dtype="int16")
        assert np.array_equal(found, decide(samples, int(frames[utt]), "energy", options))
    assert decisions(data)["an4-1"].any()


def test_utterances_without_speech_are_named_and_can_be_dropped(data, root, run, tmp_path, step):
    done = step("compute_vad", "data")
    assert "no speech at all in 1 utterances: quiet" in done.stderr
    assert not decisions(data)["quiet"].any() and decisions(data)["an4-2"].any()
    run(root / "steps/filter_data_dir.sh", "--min-voiced-frames", 1, "data", "kept", cwd=tmp_path)
    assert list(read_table(tmp_path / "kept/utt2spk")) == ["an4-1", "an4-2"]


def test_audio_that_was_replaced_since_the_features_is_noticed(data, tmp_path, step):
    soundfile.write(tmp_path / "quiet.wav", np.zeros(32000, np.int16), 16000)
    done = step("compute_vad", "data", code=1)
    assert "'quiet': the features have 98 frames and the audio 198: not of one audio" in done.stderr
    assert not (data / "vad.scp").exists()


def test_a_mistake_in_the_conf_file_is_told_with_its_line(data, tmp_path, step):
    (tmp_path / "vad.conf").write_text("--detector=energy\n--vad-frame-context=2\n")
    done = step("compute_vad", "--vad-config", "vad.conf", "data", code=1)
    assert "vad.conf:2: unknown option '--vad-frame-context' (did you mean 'vad-frames-context'?)" in done.stderr
    assert not (data / "vad.scp").exists()
