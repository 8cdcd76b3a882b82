"""steps/make_fbank.sh with what its conf and options choose: other front ends, compressed arks, dither."""

import shutil

import kaldiio
import numpy as np
import pytest
import soundfile
import torch

from sv_py.features import FRONTENDS
from sv_py.features.arguments import describe, read_frontend
from sv_py.io.ark import ArkReader
from sv_py.io.text import read_table


@pytest.fixture
def make(root, tmp_path, tiny_data_dir, run):
    """``make(*options, conf=lines)``: features of data/tiny; the data dir."""

    def call(*options, conf="--num-mel-bins=80\n", **known):
        (tmp_path / "fbank.conf").write_text(conf)
        done = run(
            root / "steps/make_fbank.sh", "--nj", 1, "--fbank-config", "fbank.conf", *options, "data/tiny", **known
        )
        return tiny_data_dir, done

    return call


def log_of(data):
    return (data / "log/make_fbank_tiny.1.log").read_text()


@pytest.mark.parametrize("name", FRONTENDS.entries)
def test_a_conf_chooses_the_front_end(make, tmp_path, name):
    data, _ = make(conf=f"--frontend={name}\n")
    chosen, arguments = read_frontend(tmp_path / "fbank.conf")
    frontend = FRONTENDS.build(chosen, arguments).eval()
    assert chosen == name and (data / "feats.id").read_text() == describe(name, arguments)
    source, place = read_table(data / "wav.scp")["bea-1"], read_table(data / "feats.scp")["bea-1"]
    samples = soundfile.read(source, dtype="int16")[0].astype(np.float32)
    expected = frontend(torch.from_numpy(samples)[None])[0].numpy()
    np.testing.assert_allclose(ArkReader().read(place), expected, atol=1e-4)
    assert int(read_table(data / "utt2num_frames")["bea-1"]) == frontend.num_frames(len(samples))


def test_compressed_arks_are_a_quarter_as_large_and_kaldiio_reads_about_the_same_values(make, tmp_path, root, run):
    data, _ = make()
    plain = {utt: ArkReader().read(place) for utt, place in read_table(data / "feats.scp").items()}
    identity, size = (data / "feats.id").read_bytes(), (data / "data/raw_fbank_tiny.1.ark").stat().st_size

    make("--compress", "true")
    assert (data / "feats.id").read_bytes() == identity
    assert "is there already" not in log_of(data)
    assert (data / "data/raw_fbank_tiny.1.ark").stat().st_size < 0.35 * size
    for utt, feats in kaldiio.load_scp(str(data / "feats.scp")).items():
        assert feats.shape == plain[utt].shape
        assert np.abs(feats - plain[utt]).max() < 0.02 * np.ptp(plain[utt])
        np.testing.assert_allclose(ArkReader().read(read_table(data / "feats.scp")[utt], 3, 9), feats[3:9], rtol=1e-4)
    run(root / "utils/validate_data_dir.sh", data)


def test_the_conf_of_a_training_with_dither_makes_features_without_it_and_says_so(make, tmp_path):
    data, _ = make()
    before = {path.name: path.read_bytes() for path in (data / "data").glob("*.ark")}
    identity = (data / "feats.id").read_bytes()
    shutil.rmtree(data / "data")
    data, done = make(conf="--num-mel-bins=80\n--dither=1.0\n")
    assert "fbank.conf: stored features have no dither" in done.stderr
    assert {path.name: path.read_bytes() for path in (data / "data").glob("*.ark")} == before
    assert (data / "feats.id").read_bytes() == identity


def test_an_unknown_front_end_stops_before_anything_is_made(make, tiny_data_dir):
    before = sorted(path.name for path in tiny_data_dir.iterdir())
    _, done = make(conf="--frontend=kaldi_fbanks\n", code=1)
    assert "fbank.conf:1: unknown front end 'kaldi_fbanks' (did you mean 'kaldi_fbank'?)" in done.stderr
    assert sorted(path.name for path in tiny_data_dir.iterdir()) == before


def test_a_recording_too_short_for_a_frame_is_named(make, tiny_data_dir):
    source = read_table(tiny_data_dir / "wav.scp")["ann-1"]
    short = tiny_data_dir / "short.wav"
    soundfile.write(short, np.zeros(160, np.int16), 16000)
    scp = tiny_data_dir / "wav.scp"
    scp.write_text(scp.read_text().replace(source, str(short)))
    make(code=1)
    assert "'ann-1': 160 samples are too short for a frame" in log_of(tiny_data_dir)
    assert not (tiny_data_dir / "feats.scp").exists()
