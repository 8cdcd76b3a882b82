"""Every front end: what all have in common, and that each equals the program that it is named after."""

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from sv_py.cli import InputError
from sv_py.data import synthetic
from sv_py.features import FRONTENDS
from sv_py.features.arguments import LogMelArguments, MelSpectrogramArguments, SpectrogramArguments

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a package that is only compared with
    import librosa

NAMES = list(FRONTENDS.entries)
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
GOLDEN = Path(__file__).parents[1] / "golden"


def build(name, **options):
    return FRONTENDS.build(name, FRONTENDS.arguments(name)(**options)).eval()


def voice(seconds=1.0, seed=0):
    """A voice in the noise of a room, float32 on the scale of 16-bit integers."""
    rng = np.random.default_rng(seed)
    samples = synthetic.speak(synthetic.draw_voice(rng, "m"), seconds, rng)
    return np.rint(8000 * samples / abs(samples).max() + rng.normal(0, 50, len(samples))).astype(np.float32)


def librosa_mel(samples, rate=16000, n_mels=128, **stft):
    """librosa.feature.melspectrogram (T, n_mels), without the functions that take it half a minute to compile."""
    spectrum = librosa.stft(samples / 32768, n_fft=1024, pad_mode="reflect", **stft)
    return (librosa.filters.mel(sr=rate, n_fft=1024, n_mels=n_mels) @ abs(spectrum) ** 2).T


def features(frontend, samples):
    return frontend(torch.from_numpy(samples)[None])[0].numpy()


@pytest.mark.parametrize("name", NAMES)
def test_the_frames_of_a_waveform_are_as_many_and_as_wide_as_is_said_beforehand(name):
    frontend = build(name)
    assert frontend.sample_frequency == 16000 and isinstance(frontend.sample_frequency, int)
    for count in (0, 1, 100, 160, 399, 400, 559, 560, 5000, 16000):
        feats = frontend(torch.randn(2, count))
        assert feats.shape == (2, frontend.num_frames(count), frontend.feature_dim), count


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_the_least_samples_of_so_many_frames_have_them_and_one_sample_less_has_not(name, snip_edges):
    frontend = build(name, **({"snip_edges": snip_edges} if name == "kaldi_fbank" else {}))
    assert frontend.num_samples(0) == 0
    for frames in (1, 2, 3, 200):
        samples = frontend.num_samples(frames)
        assert frontend.num_frames(samples) == frames and frontend.num_frames(samples - 1) == frames - 1


def test_a_crop_of_200_frames_takes_the_samples_that_kaldi_users_expect():
    assert build("kaldi_fbank").num_samples(200) == 32240
    assert build("mel_spectrogram").num_samples(200) == 31840


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gives_what_each_waveform_gives_alone_however_long_and_on_any_device(name, device):
    frontend, there = build(name), build(name).to(device)
    for seconds, count in ((0.3, 5), (1.0, 3), (5.0, 2)):  # several in a block, one in a block, several blocks of one
        waveforms = torch.stack([torch.from_numpy(voice(seconds, seed)) for seed in range(count)])
        together = there(waveforms.to(device)).cpu()
        for one, waveform in zip(together, waveforms, strict=True):
            torch.testing.assert_close(one, frontend(waveform[None])[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_audio_gives_the_same_bits_in_train_and_eval_mode_and_under_autocast(name):
    frontend, waveforms = build(name), torch.from_numpy(voice())[None]
    expected = frontend(waveforms)
    assert torch.equal(frontend.train()(waveforms), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(frontend(waveforms), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["silence", "full scale", "clipped", "constant", "one click", "10 ms", "one sample"])
def test_extreme_audio_gives_finite_features(name, kind):
    samples = {
        "silence": np.zeros(8000),
        "full scale": np.random.default_rng(0).choice([-32768, 32767], 8000),
        "clipped": np.clip(20 * voice(0.5), -32768, 32767),
        "constant": np.full(8000, 32767),
        "one click": np.eye(1, 8000, 4000)[0],
        "10 ms": voice(0.5)[:160],
        "one sample": np.ones(1),
    }[kind].astype(np.float32)
    feats = features(build(name), samples)
    assert np.isfinite(feats).all()
    if kind == "silence":
        assert abs(feats - feats[0]).max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_hour_long_waveform_is_computed_in_blocks_of_bounded_memory(name):
    frontend = build(name)
    largest = []
    compute = frontend._compute
    frontend._compute = lambda frames, generator: largest.append(frames.shape[:2].numel()) or compute(frames, generator)
    assert frontend(torch.randn(1, 100 * 16000)).shape[1] == frontend.num_frames(100 * 16000)
    assert frontend(torch.randn(40, 4000)).shape[0] == 40
    assert max(largest) <= 800


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mel_spectrogram", {"normalise": "rms"}, "normalise is std, max or none, not 'rms'"),
        ("mel_spectrogram", {"n_fft": 256}, "n-fft must hold a frame of 400 samples, is 256"),
        ("mel_spectrogram", {"log_offset": 0.0}, "log-offset must be positive, is 0"),
        ("mel_spectrogram", {"preemphasis_coefficient": 1.5}, "preemphasis-coefficient is between 0 and 1"),
        ("log_mel", {"compression": -1.0}, "compression must be positive"),
        ("log_mel", {"high_freq": 9000.0}, "need 0 <= low-freq < high-freq <= 8000 Hz"),
        ("spectrogram", {"n_fft": 100}, "n-fft must hold a frame"),
        ("spectrogram", {"sample_frequency": 16000.5}, "sample-frequency is a whole number of Hz"),
        ("speechbrain_fbank", {"top_db": -1.0}, "top-db must not be negative"),
        ("speechbrain_fbank", {"num_mel_bins": 300}, "num-mel-bins 300 are too many for 201 frequencies"),
        ("kaldi_fbank", {"dither": -1.0}, "dither must not be negative"),
        ("kaldi_fbank", {"energy_floor": -1.0}, "energy-floor must not be negative"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        build(name, **options)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("standardise", [False, True])
def test_log_mel_is_librosas_mel_spectrogram_compressed_and_standardised_per_bin(rate, standardise):
    samples = voice(1.0)
    options = LogMelArguments(
        sample_frequency=float(rate), frame_length=64.0 if rate == 16000 else 20.0, n_fft=1024, standardise=standardise,
        num_mel_bins=128 if rate == 16000 else 40,
    )  # fmt: skip
    power = librosa_mel(samples, rate, options.num_mel_bins, win_length=options.length, hop_length=options.shift)
    expected = np.log10(1 + 10000 * power)
    if standardise:
        expected = (expected - expected.mean(0)) / (expected.std(0) + 1e-5)
    found = features(FRONTENDS.build("log_mel", options), samples)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-3


def test_a_signal_shorter_than_half_a_frame_is_mirrored_repeatedly_as_librosa_does():
    samples = voice(0.5)[4000:4160]
    with pytest.warns(UserWarning, match="too large for input signal"):
        power = librosa_mel(samples, hop_length=160)
    found = features(build("log_mel", standardise=False), samples)
    assert np.abs(found - np.log10(1 + 10000 * power)).max() <= 1e-3


@pytest.mark.parametrize("normalise", ["std", "max", "none"])
@pytest.mark.parametrize("options", [{}, {"num_mel_bins": 40, "n_fft": 400, "low_freq": 50.0, "high_freq": -400.0}])
def test_mel_spectrogram_is_that_of_torchaudio_of_the_normalised_then_emphasised_waveform(normalise, options):
    arguments = MelSpectrogramArguments(normalise=normalise, **options)
    samples = voice(1.0).astype(np.float64)
    normalised = samples
    if normalise == "std":
        normalised = (samples - samples.mean()) / samples.std()
    if normalise == "max":
        normalised = samples / (abs(samples).max() + 1e-4)
    emphasised = np.append(normalised[0], normalised[1:] - 0.97 * normalised[:-1])
    mel = torchaudio.transforms.MelSpectrogram(
        16000, n_fft=arguments.n_fft, win_length=400, hop_length=160, f_min=arguments.low_freq, f_max=arguments.highest,
        n_mels=arguments.num_mel_bins,
    )  # fmt: skip
    expected = (mel(torch.from_numpy(emphasised.astype(np.float32))) + 1e-6).log().T.numpy()
    found = features(FRONTENDS.build("mel_spectrogram", arguments), samples.astype(np.float32))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 2e-3


@pytest.mark.parametrize("standardise", [False, True])
def test_spectrogram_is_librosas_magnitudes_standardised_per_frame(standardise):
    samples = voice(1.0)
    expected = abs(librosa.stft(samples / 32768, n_fft=512, win_length=400, hop_length=160, pad_mode="reflect")).T
    if standardise:
        expected = (expected - expected.mean(1, keepdims=True)) / (expected.std(1, keepdims=True) + 1e-5)
    found = features(FRONTENDS.build("spectrogram", SpectrogramArguments(standardise=standardise)), samples)
    assert found.shape == expected.shape == (101, 257)
    assert np.abs(found - expected).max() <= 1e-3


def test_speechbrain_fbank_is_what_speechbrain_made_of_the_same_audio():
    golden = np.load(GOLDEN / "speechbrain_fbank.npz", allow_pickle=False)
    found = features(build("speechbrain_fbank"), golden["samples"].astype(np.float32))
    assert found.shape == golden["feats"].shape
    assert np.abs(found - golden["feats"]).max() <= 5e-3  # dB


def test_every_option_of_every_front_end_is_explained_with_its_default():
    text = (Path(__file__).parents[2] / "docs/features.md").read_text()
    kinds = [FRONTENDS.arguments(name) for name in NAMES]
    assert "| option | " + " | ".join(f"`{name}`" for name in NAMES) + " |" in text
    for option in dict.fromkeys(field.name for kind in kinds for field in dataclasses.fields(kind)):
        defaults = " | ".join(show(getattr(kind(), option, None)) for kind in kinds)
        assert f"| `--{option.replace('_', '-')}` | {defaults} | " in text, option


def show(value):
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")


def test_real_speech_gives_finite_features_that_vary(shared):
    for path in sorted((shared / "corpora/an4").rglob("*.flac"))[:3]:
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == 16000
        for name in NAMES:
            feats = features(build(name), samples.astype(np.float32))
            assert np.isfinite(feats).all() and feats.std(axis=0).min() > 0, name
