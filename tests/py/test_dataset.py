"""Utterances as the network sees them, from stored features and from audio: crops, means, silence, sound errors."""

import numpy as np
import pytest
import torch
from loader_data import LENGTHS, make_audio

from sv_py.cli import InputError
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.vad import DETECTORS, speech_samples
from sv_py.features import FRONTENDS
from sv_py.features.arguments import describe
from sv_py.features.cmn import normalise
from sv_py.io.ark import write_ark
from sv_py.io.text import write_table
from sv_py.registry import Part
from sv_py.schema import Features

RAW = Features(cmn="none")
FBANK = Part("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")(num_mel_bins=20))


def row(utterances, utt):
    return utterances.table.row(utt)


def test_a_set_knows_its_utterances_and_speakers(data):
    features = FeatureSet(data, RAW)
    assert len(features) == 12 and features.utts == list(LENGTHS) and features.speakers == ["ann", "bob", "cy"]
    assert "cy-3" in features and "cy-4" not in features
    with pytest.raises(InputError, match="no utterance 'cy-4'"):
        features.read("cy-4")


def test_a_whole_utterance_is_read_as_it_is(data):
    frames = FeatureSet(data, RAW).read("bob-2")
    assert frames.dtype == np.float32 and np.array_equal(frames[:, 0], np.arange(LENGTHS["bob-2"]))


def test_crops_are_consecutive_frames_that_begin_anywhere(data):
    features = FeatureSet(data, RAW)
    firsts = set()
    for start in np.linspace(0, 1, 500, endpoint=False):
        crop = features.crop(row(features, "cy-3"), start, 30)
        assert np.array_equal(crop[:, 0], crop[0, 0] + np.arange(30))
        firsts.add(int(crop[0, 0]))
    assert firsts == set(range(LENGTHS["cy-3"] - 30 + 1))


@pytest.mark.parametrize("vad", [False, True])
def test_short_utterances_are_repeated(data, vad):
    features = FeatureSet(data, Features(cmn="none", vad=vad))
    frames = features.crop(row(features, "ann-0"), 0.7, 50)
    expected = np.arange(1, 20, 2) if vad else np.arange(20)
    assert np.array_equal(frames[:, 0], np.tile(expected, 5)[:50])


@pytest.mark.parametrize("cmn", ["utterance", "sliding"])
def test_means_are_those_of_the_whole_utterance(data, cmn):
    plain, normalised = FeatureSet(data, RAW).read("cy-3"), FeatureSet(data, Features(cmn=cmn, cmn_window=40))
    expected = normalise(torch.from_numpy(plain)[None], cmn, 40)[0].numpy()
    assert np.array_equal(normalised.read("cy-3"), expected) and abs(expected[:, 0].mean()) < 10


def test_voice_activity_drops_frames_before_crop_and_mean(data):
    features = FeatureSet(data, Features(cmn="none", vad=True))
    frames = features.crop(row(features, "cy-3"), 0.5, 30)
    assert np.array_equal(np.diff(frames[:, 0]), np.full(29, 2)) and frames[0, 0] % 2 == 1
    normalised = FeatureSet(data, Features(vad=True)).read("cy-3")
    assert len(normalised) == LENGTHS["cy-3"] // 2 and abs(normalised.mean(axis=0)).max() < 1e-4


def test_nan_in_features_is_an_error_that_names_the_utterance(data):
    bad = np.ones((LENGTHS["ann-0"], 6))
    bad[3, 2] = np.nan
    write_ark(data / "bad.ark", data / "bad.scp", [("ann-0", bad)])
    text = (data / "feats.scp").read_text().splitlines()
    (data / "feats.scp").write_text("\n".join([(data / "bad.scp").read_text().strip(), *text[1:]]) + "\n")
    with pytest.raises(InputError, match=r"bad\.ark:\d+: 'ann-0' has features that are NaN"):
        FeatureSet(data, RAW).read("ann-0")


def test_an_utterance_without_speech_is_an_error(data):
    silent = {utt: np.zeros(length) for utt, length in LENGTHS.items()}
    write_ark(data / "vad.ark", data / "vad.scp", silent.items())
    features = FeatureSet(data, Features(vad=True))
    for read in (lambda: features.read("ann-0"), lambda: features.crop(0, 0.5, 10)):
        with pytest.raises(InputError, match=r"vad\.ark:\d+: 'ann-0' has no frames of speech"):
            read()


@pytest.mark.parametrize("name", ["feats.scp", "vad.scp", "utt2num_frames"])
def test_a_table_that_lacks_utterances_is_named_at_once(data, name):
    path = data / name
    path.write_text("".join(path.read_text().splitlines(keepends=True)[2:]))
    with pytest.raises(InputError, match=f"{name}: lacks ann-0, ann-1"):
        FeatureSet(data, Features(vad=True))
    path.unlink()
    with pytest.raises(InputError, match=f"{name}: no such file"):
        FeatureSet(data, Features(vad=True))


def test_counts_and_decisions_that_disagree_with_the_features_are_errors(data):
    write_table(data / "utt2num_frames", LENGTHS | {"cy-3": 500, "ann-1": 40})
    features = FeatureSet(data, RAW)
    with pytest.raises(InputError, match=r"feats\.2\.ark:\d+: 'cy-3' has not the 500 frames that utt2num_frames says"):
        features.crop(row(features, "cy-3"), 0.99, 30)
    with pytest.raises(InputError, match="'ann-1' has not the 40 frames"):
        features.read("ann-1")
    write_ark(data / "vad.ark", data / "vad.scp", [(utt, np.ones(30)) for utt in LENGTHS])
    with pytest.raises(InputError, match="'ann-0' has 20 frames, and decisions for 30"):
        FeatureSet(data, Features(vad=True)).read("ann-0")


def test_vectors_where_features_should_be_are_an_error(data):
    write_ark(data / "flat.ark", data / "feats.scp", [(utt, np.ones(length)) for utt, length in LENGTHS.items()])
    with pytest.raises(InputError, match=r"flat\.ark:\d+: 'ann-0' has no matrix of features"):
        FeatureSet(data, RAW).read("ann-0")


def test_the_identity_of_the_features_is_known_or_empty(data):
    assert FeatureSet(data, RAW).id == "frontend=test\n"
    (data / "feats.id").unlink()
    assert FeatureSet(data, RAW).id == ""


def test_audio_becomes_the_frames_that_its_front_end_makes(audio_dir, waves):
    utterances = AudioSet(audio_dir, Features(frontend=FBANK))
    frontend = FRONTENDS.build(FBANK.name, FBANK.args).eval()
    for utt, samples in waves.items():
        feats = frontend(torch.from_numpy(samples)[None].float())
        assert np.array_equal(utterances.read(utt), normalise(feats, "utterance")[0].numpy())
    assert utterances.id == describe(FBANK.name, FBANK.args)


def test_crops_of_audio_are_slices_and_short_recordings_are_repeated(audio_dir, waves):
    utterances = AudioSet(audio_dir, Features(frontend=FBANK))
    k, samples = row(utterances, "cal-2"), waves["cal-2"]
    assert np.array_equal(utterances.crop(k, 0.5, 2000), samples[(first := (len(samples) - 1999) // 2) : first + 2000])
    assert np.array_equal(utterances.crop(k, 0.9, 40000), np.resize(samples, 40000))
    assert utterances.values_of(200) == 32240


def test_audio_of_another_rate_than_the_front_ends_is_an_error(audio_dir, tmp_path):
    other = Part("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")(sample_frequency=8000))
    with pytest.raises(InputError, match="audio of 16000 Hz, and the front end takes 8000 Hz"):
        AudioSet(audio_dir, Features(frontend=other))


def test_dropping_silence_needs_shards_without_and_marks_the_features(waves, audio_dir, tmp_path):
    options = Features(frontend=FBANK, vad=True)
    with pytest.raises(InputError, match=r"features\.vad.*make_shards\.sh --apply-vad"):
        AudioSet(audio_dir, options)
    speech = make_audio(tmp_path / "speech", waves, speech="detector=webrtc\n--aggressiveness=2\n")
    assert AudioSet(speech, options).id == describe(FBANK.name, FBANK.args) + "detector=webrtc\n--aggressiveness=2\n"
    with pytest.raises(InputError, match=r"no silence: features\.vad"):
        AudioSet(speech, Features(frontend=FBANK))


def test_a_detector_drops_the_silence_of_whole_utterances(audio_dir, waves):
    detector = "energy", DETECTORS.arguments("energy")(vad_energy_mean_scale=0.95)
    utterances = AudioSet(audio_dir, Features(frontend=FBANK, vad=True), detector)
    samples = speech_samples(waves["bea-2"], *detector, "bea-2")
    assert 400 < len(samples) < len(waves["bea-2"])
    feats = FRONTENDS.build(FBANK.name, FBANK.args).eval()(torch.from_numpy(samples)[None].float())
    assert np.array_equal(utterances.read("bea-2"), normalise(feats, "utterance")[0].numpy())
    assert utterances.id.startswith(describe(FBANK.name, FBANK.args) + "detector=energy\n")


def test_a_detector_for_another_rate_is_an_error(audio_dir):
    detector = "energy", DETECTORS.arguments("energy")(sample_frequency=8000)
    with pytest.raises(InputError, match="audio of 16000 Hz, and the detector is for 8000 Hz"):
        AudioSet(audio_dir, Features(frontend=FBANK, vad=True), detector)


def test_a_data_dir_without_audio_shards_says_how_to_make_them(data):
    with pytest.raises(InputError, match=r"has no audio\.scp: run steps/make_shards\.sh"):
        AudioSet(data, Features(frontend=FBANK))


def test_ten_milliseconds_are_too_short_for_a_frame_but_make_a_crop(tmp_path):
    audio = {"ann-1": np.ones(160, np.int16), "bob-1": np.ones(16000, np.int16)}
    utterances = AudioSet(make_audio(tmp_path, audio, 1), Features(frontend=FBANK))
    with pytest.raises(InputError, match="'ann-1': 160 samples are too short for a frame"):
        utterances.read("ann-1")
    assert utterances.crop(0, 0.5, 32240).shape == (32240,)


def test_lengths_that_disagree_with_the_audio_are_errors(tmp_path, waves):
    folder = make_audio(tmp_path, waves)
    write_table(folder / "utt2num_samples", {utt: len(samples) + 5 for utt, samples in waves.items()})
    with pytest.raises(InputError, match=r"audio\.0\.ark:\d+: 'ann-1' has not the \d+ samples that utt2num_samples"):
        AudioSet(folder, Features(frontend=FBANK)).read("ann-1")


def test_a_truncated_ark_is_an_error_that_names_utterance_and_file(tmp_path, waves):
    folder = make_audio(tmp_path, waves)
    ark = folder / "audio.2.ark"
    ark.write_bytes(ark.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"audio\.2\.ark: dan-2: truncated"):
        AudioSet(folder, Features(frontend=FBANK)).read("dan-2")
