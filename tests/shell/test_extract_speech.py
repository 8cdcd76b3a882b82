"""Voice activity in extraction: silence dropped on the way gives the embeddings of shards that hold speech only."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sv_py.config import load, to_dict
from sv_py.data.vad import describe as describe_detector
from sv_py.data.vad import read_detector
from sv_py.features.arguments import describe
from sv_py.io.ark import ArkReader
from sv_py.io.text import read_table, write_table
from sv_py.models import BACKBONES
from sv_py.train import checkpoint

YAML = """\
model: {name: ecapa_tdnn, args: {channels: 16, pooled_channels: 32, embedding_dim: 8}}
features: {frontend: {name: kaldi_fbank, args: {num_mel_bins: 40}}, vad: true}
data: {source: audio}
phases: [{name: a, epochs: 1}]
"""


@pytest.fixture
def recipe(root, tmp_path, tiny_data_dir, run) -> Path:
    """data/tiny with shards of audio with silence, data/speech with shards of speech, and a network, final.pt."""
    shutil.copytree(root / "conf", tmp_path / "conf")
    (tmp_path / "conf/vad.conf").write_text("--detector=energy\n")
    for wav in sorted({Path(source) for source in read_table(tiny_data_dir / "wav.scp").values()}):
        samples = np.pad(soundfile.read(wav, dtype="int16")[0], (8000, 16000))
        soundfile.write(tmp_path / wav.name, samples, 16000)
    write_table(
        tiny_data_dir / "wav.scp", {utt: tmp_path / f"{utt}.wav" for utt in read_table(tiny_data_dir / "utt2spk")}
    )
    shutil.copytree(tiny_data_dir, tmp_path / "data/speech")
    for name, speech in (("tiny", "false"), ("speech", "true")):
        run(root / "steps/make_shards.sh", "--nj", 1, "--apply-vad", speech, f"data/{name}")
    (tmp_path / "x.yaml").write_text(YAML)
    config = load(tmp_path / "x.yaml")
    torch.manual_seed(0)
    network = BACKBONES.build("ecapa_tdnn", config.model.args, feature_dim=40)
    frontend = config.features.frontend
    identity = describe(frontend.name, frontend.args) + describe_detector(*read_detector(tmp_path / "conf/vad.conf"))
    state = {"config": to_dict(config), "model": network.state_dict(), "feature_dim": 40, "feats_id": identity}
    checkpoint.save(tmp_path / "final.pt", state)
    return tmp_path


@pytest.fixture
def extract(recipe, root, run):
    """``extract(data, *options, code=0)``: the embeddings, and what the step said."""

    def call(data, *options, code=0):
        shutil.rmtree(recipe / "exp", ignore_errors=True)
        done = run(root / "steps/extract_embeddings.sh", "--nj", 1, *options, "final.pt", data, "exp", code=code)
        scp = recipe / "exp/xvector.scp"
        return {u: ArkReader().read(place) for u, place in read_table(scp).items()} if scp.exists() else {}, done.stderr

    return call


def same(one, other):
    return list(one) == list(other) and all(np.array_equal(one[utt], other[utt]) for utt in one)


def test_speech_is_taken_from_the_shards_or_found_on_the_way_to_the_same_bits(extract):
    stored, found = extract("data/speech")[0], extract("data/tiny")[0]
    assert len(stored) == 8 and same(stored, found) and same(found, extract("data/tiny", "--apply-vad", "true")[0])
    whole = extract("data/tiny", "--apply-vad", "false")[0]
    assert list(whole) == list(found) and not any(np.allclose(whole[utt], found[utt]) for utt in found)


def test_what_cannot_be_as_asked_is_an_error(extract, recipe):
    assert "its audio has no silence" in extract("data/speech", "--apply-vad", "false", code=1)[1]
    (recipe / "other.conf").write_text("--detector=webrtc\n")
    message = extract("data/tiny", "--vad-config", "other.conf", code=1)[1]
    assert "final.pt was trained on other features" in message and "detector=webrtc here" in message
    (recipe / "narrow.conf").write_text("--detector=energy\n--sample-frequency=8000\n")
    message = extract("data/tiny", "--vad-config", "narrow.conf", "--apply-vad", "true", code=1)[1]
    assert "has audio of 16000 Hz, and the detector is for 8000 Hz" in message


def test_an_utterance_of_which_nothing_is_left_is_named_and_no_embeddings_appear(extract, recipe, root, run):
    soundfile.write(recipe / "cal-1.wav", np.zeros(16000, np.int16), 16000)
    run(root / "steps/make_shards.sh", "--nj", 1, "data/tiny")
    embeddings, message = extract("data/tiny", code=1)
    assert "'cal-1': no speech in 1.000 s of audio" in message and not embeddings
    assert not list((recipe / "exp").glob("*.ark"))
