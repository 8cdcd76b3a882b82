"""Filter banks: those of Kaldi, whatever the options; how options are read from confs and written to a feats.id."""

import dataclasses

import kaldi_native_fbank as knf
import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from sv_py.cli import InputError
from sv_py.data import synthetic
from sv_py.features import FRONTENDS
from sv_py.features.arguments import (
    KaldiFbankArguments,
    LogMelArguments,
    describe,
    parse_id,
    read_frontend,
    same_features,
)
from sv_py.features.kaldi_fbank import KaldiFbank
from sv_py.io.conf import read_conf


def speech(seconds=0.6, seed=0):
    """A voice on the scale of 16-bit integers, with the noise of a room: rounding decides about far weaker bins."""
    rng = np.random.default_rng(seed)
    samples = synthetic.speak(synthetic.draw_voice(rng, "f"), seconds, rng)
    return np.rint(8000 * samples / abs(samples).max() + rng.normal(0, 100, len(samples))).astype(np.float32)


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
    options.use_energy, options.raw_energy = arguments.use_energy, arguments.raw_energy
    options.energy_floor, options.htk_compat = arguments.energy_floor, arguments.htk_compat
    computer = knf.OnlineFbank(options)
    computer.accept_waveform(arguments.sample_frequency, samples.tolist())
    computer.input_finished()
    frames = [computer.get_frame(i) for i in range(computer.num_frames_ready)]
    return np.array(frames).reshape(-1, arguments.num_mel_bins + arguments.use_energy)


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
        use_log_fbank=bool(rng.random() < 0.9),
        use_energy=bool(rng.random() < 0.5),
        raw_energy=bool(rng.random() < 0.5),
        energy_floor=float(rng.choice([0, 1, 1e9])),
        htk_compat=bool(rng.random() < 0.3),
    )


def close(found, expected, arguments):
    """Within 1e-3, in the logarithm where Kaldi takes one."""
    if not arguments.use_log_fbank:
        return np.allclose(found, expected, rtol=1e-3, atol=1e-3)
    return np.abs(found - expected).max() <= 1e-3


@pytest.mark.parametrize("seed", range(40))
def test_frames_are_those_of_kaldi_for_any_options(seed):
    arguments = random_arguments(seed)
    loud = np.random.default_rng(seed).integers(-32768, 32768, 6000).astype(np.float32)
    for samples in (speech(seed=seed), noise(6000, seed), loud, 5000 + speech(seed=seed)):
        found, expected = ours(samples, arguments), kaldi(samples, arguments)
        assert found.shape == expected.shape
        assert close(found, expected, arguments)


def test_frames_of_real_speech_are_those_of_kaldi(shared):
    for number, path in enumerate(sorted((shared / "corpora/an4").rglob("*.flac"))[:100:10]):
        samples = soundfile.read(path, dtype="int16")[0].astype(np.float32)
        # below 20 Hz there is so little speech that rounding, Kaldi's and ours, decides about it
        arguments = dataclasses.replace(random_arguments(number), sample_frequency=16000.0, low_freq=20.0)
        found, expected = ours(samples, arguments), kaldi(samples, arguments)
        assert found.shape == expected.shape and close(found, expected, arguments)


@pytest.mark.parametrize("raw_energy", [True, False])
@pytest.mark.parametrize("htk_compat", [True, False])
@pytest.mark.parametrize("energy_floor", [0.0, 1e10])
def test_the_energy_is_kaldis_first_or_last_and_floored(raw_energy, htk_compat, energy_floor):
    arguments = KaldiFbankArguments(
        use_energy=True, raw_energy=raw_energy, htk_compat=htk_compat, energy_floor=energy_floor
    )
    found, expected = ours(speech(), arguments), kaldi(speech(), arguments)
    assert found.shape == expected.shape == (len(found), 81) and np.abs(found - expected).max() <= 1e-3
    assert KaldiFbank(arguments).feature_dim == 81
    assert (found[:, -1 if htk_compat else 0].min() >= np.log(1e10) - 1e-3) == (energy_floor > 0)


def test_dither_is_for_training_only_and_its_generator_decides_about_it():
    frontend = KaldiFbank(KaldiFbankArguments(dither=1.0))
    waveforms = torch.from_numpy(speech())[None].repeat(2, 1)
    plain = ours(speech(), KaldiFbankArguments())

    def dithered(seed):
        return frontend.train()(waveforms, generator=torch.Generator().manual_seed(seed)).numpy()

    assert np.array_equal(dithered(1), dithered(1)) and not np.array_equal(dithered(1), dithered(2))
    assert not np.array_equal(dithered(1)[0], dithered(1)[1])  # each waveform has its own noise
    assert 0 < np.abs(dithered(1)[0] - plain).mean() < 0.1
    assert np.array_equal(frontend.eval()(waveforms, generator=torch.Generator().manual_seed(1))[0].numpy(), plain)


def test_dither_has_the_deviation_that_is_asked_for_and_differs_from_frame_to_frame():
    options = {"window_type": "rectangular", "preemphasis_coefficient": 0.0, "use_energy": True, "raw_energy": True}
    frontend = KaldiFbank(KaldiFbankArguments(dither=3.0, **options)).train()
    energy = frontend(torch.zeros(1, 160_000), torch.Generator().manual_seed(0))[0, :, 0].exp()
    assert (energy.mean() / 400).sqrt().item() == pytest.approx(3.0, rel=0.02)
    assert energy.unique().numel() > 0.9 * len(energy)


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


def test_a_conf_chooses_the_front_end_and_has_its_options_only(tmp_path):
    assert read_frontend(conf(tmp_path, "--num-mel-bins=40")) == ("kaldi_fbank", KaldiFbankArguments(num_mel_bins=40))
    name, arguments = read_frontend(conf(tmp_path, "--frontend=log_mel", "--compression=100"))
    assert name == "log_mel" and arguments == LogMelArguments(compression=100.0)
    with pytest.raises(InputError, match=r":1: unknown front end 'log_mels' \(did you mean 'log_mel'\?\)"):
        read_frontend(conf(tmp_path, "--frontend=log_mels"))
    with pytest.raises(InputError, match=":2: unknown option '--window-type'"):
        read_frontend(conf(tmp_path, "--frontend=log_mel", "--window-type=povey"))
    with pytest.raises(InputError, match=r":1: unknown option '--front-end' \(did you mean 'frontend'\?\)"):
        read_frontend(conf(tmp_path, "--front-end=log_mel"))


@pytest.mark.parametrize("name", FRONTENDS.entries)
def test_the_identity_is_read_back_as_what_it_was_made_of(name):
    kind = FRONTENDS.arguments(name)
    for arguments in (kind(), kind(sample_frequency=8000.0, frame_shift=12.345678901)):
        assert parse_id(describe(name, arguments), "feats.id") == (name, arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("made by hand\n", ":1: expected frontend=NAME, got 'made by hand'"),
        ("frontend=fbank\n", ":1: unknown front end 'fbank'"),
        ("frontend=log_mel\n--num-mel-bin=40\n", ":2: unknown option '--num-mel-bin'"),
    ],
)
def test_a_text_that_is_no_identity_is_refused_with_its_place(text, message):
    with pytest.raises(InputError) as error:
        parse_id(text, "data/feats.id")
    assert str(error.value).startswith("data/feats.id: " if message == "is empty" else "data/feats.id:")
    assert message in str(error.value)


def test_features_are_of_one_kind_whatever_their_dither():
    plain = describe("kaldi_fbank", KaldiFbankArguments())
    assert same_features(plain, describe("kaldi_fbank", KaldiFbankArguments(dither=1.0)))
    assert not same_features(plain, describe("kaldi_fbank", KaldiFbankArguments(num_mel_bins=40)))
    assert not same_features(plain, describe("log_mel", LogMelArguments()))
    older = "".join(line for line in plain.splitlines(keepends=True) if "energy" not in line)
    assert same_features(plain, older)  # an option that did not exist had its default
    assert same_features("of another program\n", "of another program\n")
    assert not same_features("of another program\n", plain)
