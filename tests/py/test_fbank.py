"""Filter banks: those of Kaldi, whatever the options, and the same in a batch as alone."""

import kaldi_native_fbank as knf
import numpy as np
import pytest
import torch
import torchaudio

from sv_py.cli import InputError
from sv_py.data import synthetic
from sv_py.features.arguments import KaldiFbankArguments, describe, read_conf
from sv_py.features.kaldi_fbank import KaldiFbank


def speech(seconds=0.6, seed=0):
    """A voice on the scale of 16-bit integers, with the noise of a room: rounding decides about far weaker bins."""
    rng = np.random.default_rng(seed)
    samples = synthetic.speak(synthetic.draw_voice(rng, "f"), seconds, rng)
    return np.rint(8000 * samples / abs(samples).max() + rng.normal(0, 50, len(samples))).astype(np.float32)


def noise(count, seed=0):
    return np.rint(np.random.default_rng(seed).normal(0, 1000, count)).astype(np.float32)


def ours(samples, arguments):
    return KaldiFbank(arguments)(torch.from_numpy(samples)[None])[0].numpy()


def kaldi(samples, arguments):
    """The features of kaldi-native-fbank, Kaldi's own C++ code without Kaldi."""
    options = knf.FbankOptions()
    frame = options.frame_opts
    frame.dither = 0.0
    frame.samp_freq = arguments.sample_frequency
    frame.frame_length_ms, frame.frame_shift_ms = arguments.frame_length, arguments.frame_shift
    frame.preemph_coeff = arguments.preemphasis_coefficient
    frame.remove_dc_offset = arguments.remove_dc_offset
    frame.window_type = arguments.window_type
    frame.round_to_power_of_two = arguments.round_to_power_of_two
    frame.snip_edges = arguments.snip_edges
    options.mel_opts.num_bins = arguments.num_mel_bins
    options.mel_opts.low_freq, options.mel_opts.high_freq = arguments.low_freq, arguments.high_freq
    options.use_log_fbank, options.use_power = arguments.use_log_fbank, arguments.use_power
    options.use_energy = False
    computer = knf.OnlineFbank(options)
    computer.accept_waveform(arguments.sample_frequency, samples.tolist())
    computer.input_finished()
    frames = [computer.get_frame(i) for i in range(computer.num_frames_ready)]
    return np.array(frames).reshape(-1, arguments.num_mel_bins)


def random_arguments(seed):
    rng = np.random.default_rng(seed)
    rate = float(rng.choice([8000, 16000, 16000, 22050]))
    return KaldiFbankArguments(
        sample_frequency=rate,
        frame_length=float(rng.choice([20, 25, 30, 32])),
        frame_shift=float(rng.choice([8, 10, 12.5])),
        preemphasis_coefficient=float(rng.choice([0, 0.9, 0.97])),
        remove_dc_offset=bool(rng.random() < 0.7),
        window_type=str(rng.choice(["povey", "hamming", "hanning", "rectangular"])),
        round_to_power_of_two=rate == 22050 or bool(rng.random() < 0.7),  # Kaldi wants even FFTs
        snip_edges=bool(seed % 2),
        num_mel_bins=int(rng.choice([23, 40] if rate == 8000 else [40, 64, 80])),
        low_freq=float(rng.choice([0, 20, 60])),
        high_freq=float(rng.choice([0, -200, 3700])),
        use_power=bool(rng.random() < 0.8),
    )


@pytest.mark.parametrize("seed", range(16))
def test_frames_are_those_of_kaldi_for_any_options(seed):
    arguments = random_arguments(seed)
    for samples in (speech(seed=seed), noise(6000, seed)):
        found, expected = ours(samples, arguments), kaldi(samples, arguments)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-3


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("count", [1, 79, 80, 100, 399, 400, 401, 559, 560, 1234, 8000])
def test_the_number_of_frames_is_kaldis_at_every_length(snip_edges, count):
    arguments = KaldiFbankArguments(snip_edges=snip_edges)
    found, expected = ours(noise(count), arguments), kaldi(noise(count), arguments)
    assert len(found) == len(expected) == KaldiFbank(arguments).num_frames(count)
    if len(found):
        assert np.abs(found - expected).max() <= 1e-3


@pytest.mark.parametrize(("window", "bins"), [("povey", 80), ("hamming", 40)])
def test_torchaudio_agrees(window, bins):
    samples = speech()
    expected = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(samples)[None], num_mel_bins=bins, window_type=window, dither=0.0
    ).numpy()
    found = ours(samples, KaldiFbankArguments(window_type=window, num_mel_bins=bins))
    assert found.shape == expected.shape and np.abs(found - expected).max() <= 1e-3


def test_a_batch_gives_what_each_waveform_gives_alone():
    frontend = KaldiFbank(KaldiFbankArguments())
    waveforms = torch.stack([torch.from_numpy(noise(5000, seed)) for seed in range(4)])
    together = frontend(waveforms)
    assert together.shape == (4, frontend.num_frames(5000), 80)
    for one, waveform in zip(together, waveforms, strict=True):
        torch.testing.assert_close(one, frontend(waveform[None])[0], rtol=0, atol=1e-5)


def test_ten_milliseconds_have_no_frame_and_silence_has_finite_ones():
    frontend = KaldiFbank(KaldiFbankArguments())
    assert frontend(torch.zeros(2, 160)).shape == (2, 0, 80)
    silence = frontend(torch.zeros(1, 16000))
    assert silence.shape == (1, 98, 80)
    assert torch.isfinite(silence).all() and silence.unique().numel() == 1


def test_more_filters_than_frequencies_are_refused():
    with pytest.raises(InputError, match="num-mel-bins 200 are too many for 256 frequencies"):
        KaldiFbank(KaldiFbankArguments(num_mel_bins=200))


def conf(tmp_path, *lines):
    path = tmp_path / "fbank.conf"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_conf_has_kaldis_form_with_comments_and_blank_lines(tmp_path):
    path = conf(
        tmp_path, "# front end", "", "--num-mel-bins=40  # as in x-vectors", " --snip-edges = false", "--low-freq=0"
    )
    assert read_conf(path, KaldiFbankArguments) == KaldiFbankArguments(num_mel_bins=40, snip_edges=False, low_freq=0.0)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--num-mel-bin=40", ":2: unknown option '--num-mel-bin' (did you mean 'num-mel-bins'?)"),
        ("--xyzzy=40", ":2: unknown option '--xyzzy'"),
        ("--num-mel-bins=40.5", ":2: --num-mel-bins is of type int, not '40.5'"),
        ("--num-mel-bins=", ":2: --num-mel-bins is of type int, not ''"),
        ("--low-freq=low", ":2: --low-freq is of type float, not 'low'"),
        ("--low-freq=nan", ":2: --low-freq is a finite number, not 'nan'"),
        ("--frame-shift=inf", ":2: --frame-shift is a finite number, not 'inf'"),
        ("--snip-edges=yes", ":2: --snip-edges is true or false, not 'yes'"),
        ("--snip-edges", ":2: expected --option=value, got '--snip-edges'"),
        ("num-mel-bins=40", ":2: expected --option=value, got 'num-mel-bins=40'"),
        ("--sample-frequency=8000", ":2: --sample-frequency a second time"),
        ("--window-type=blackman", ": window-type is povey, hamming, hanning or rectangular, not 'blackman'"),
        ("--high-freq=9000", ": need 0 <= low-freq < high-freq <= 8000 Hz, not 20 and 9000"),
        ("--low-freq=-1", ": need 0 <= low-freq"),
        ("--num-mel-bins=3", ": num-mel-bins must be at least 4, is 3"),
        ("--frame-shift=0", ": frame-length must be two samples or more"),
        ("--frame-length=0.07", ": frame-length must be two samples or more"),
    ],
)
def test_a_mistake_in_a_conf_is_named_with_its_place(tmp_path, line, expected):
    path = conf(tmp_path, "--sample-frequency=16000", line)
    with pytest.raises(InputError) as error:
        read_conf(path, KaldiFbankArguments)
    assert str(error.value).startswith(f"{path}{expected}")


def test_a_missing_or_crlf_conf_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_conf(tmp_path / "none.conf", KaldiFbankArguments)
    with pytest.raises(InputError, match=":1: carriage return"):
        read_conf(conf(tmp_path, "--num-mel-bins=40\r"), KaldiFbankArguments)


def test_the_identity_of_features_is_every_option_in_a_form_that_does_not_depend_on_spelling(tmp_path):
    one = read_conf(conf(tmp_path, "--frame-shift=10", "--low-freq=20.0"), KaldiFbankArguments)
    assert describe("kaldi_fbank", one) == describe("kaldi_fbank", KaldiFbankArguments())
    lines = describe("kaldi_fbank", one).splitlines()
    assert lines[0] == "frontend=kaldi_fbank" and "--frame-shift=10" in lines and "--snip-edges=true" in lines
    assert describe("kaldi_fbank", KaldiFbankArguments(num_mel_bins=40)) != describe("kaldi_fbank", one)
