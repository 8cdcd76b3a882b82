"""Speed, tempo, gain, telephones and clipping, measured."""

import numpy as np
import pytest
import torch

from sv_py.augmentation.arguments import ClippingArguments, GainArguments, TelephoneArguments, TempoArguments
from sv_py.augmentation.channel import Clipping, Gain, Telephone, mu_law
from sv_py.augmentation.speed import speed, speed_input_samples, speed_output_samples
from sv_py.augmentation.tempo import Tempo
from sv_py.cli import InputError

RATE = 16000


def vowel(pitch=120.0, seconds=1.5, rate=RATE):
    """Harmonics of ``pitch`` under two formants: float32 (1, samples), peak 8000."""
    time = np.arange(int(seconds * rate)) / rate
    harmonics = np.arange(1, int(0.45 * rate / pitch))
    loudness = sum(np.exp(-(((harmonics * pitch - f) / 250) ** 2)) for f in (600, 1400)) + 0.02
    wave = (loudness[:, None] * np.sin(2 * np.pi * pitch * harmonics[:, None] * time)).sum(axis=0)
    return torch.from_numpy(8000 * wave / np.abs(wave).max()).float()[None]


def fundamental(wave, rate=RATE):
    """Hz: the first strong peak of the autocorrelation of the middle of a waveform (samples,)."""
    middle = np.asarray(wave, np.float64)[len(wave) // 4 : 3 * len(wave) // 4]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(middle, 2 * len(middle))) ** 2)
    least, most = rate // 400, rate // 60
    lag = least + int(correlation[least:most].argmax())
    before, peak, after = correlation[lag - 1 : lag + 2]
    return rate / (lag + 0.5 * (before - after) / (before - 2 * peak + after))


def tone(frequency, count, amplitude=5000.0):
    time = torch.arange(count, dtype=torch.float64) / RATE
    return (amplitude * torch.sin(2 * np.pi * frequency * time)).float()[None]


@pytest.mark.parametrize("factor", [0.9, 1.1, 0.95, 1.05, 1.2])
@pytest.mark.parametrize("count", [160, 16000, 31999])
def test_speed_divides_the_length(factor, count):
    length = speed_output_samples(count, factor)
    assert abs(length - count / factor) <= 1
    assert speed(torch.ones(3, count), factor, length).shape == (3, length)
    needed = speed_input_samples(count, factor)
    assert abs(needed - count * factor) < 1
    assert abs(speed(torch.ones(1, needed), factor, count)[0, 30:-30] - 1).max() < 1e-4


@pytest.mark.parametrize("factor", [0.9, 1.1])
@pytest.mark.parametrize("pitch", [95.0, 120.0, 210.0])
def test_pitch_moves_by_the_speed_factor_within_two_percent(factor, pitch):
    wave = vowel(pitch)
    faster = speed(wave, factor, speed_output_samples(wave.shape[1], factor))[0]
    assert fundamental(wave[0]) == pytest.approx(pitch, rel=0.005)
    assert fundamental(faster) == pytest.approx(factor * pitch, rel=0.02)


@pytest.mark.parametrize("factor", [0.9, 1.1, 0.873])
@pytest.mark.parametrize("frequency", [50.0, 440.0, 3000.0, 6000.0])
def test_a_tone_at_another_speed_is_the_tone_of_the_other_frequency(factor, frequency):
    count = speed_output_samples(8000, factor)
    found = speed(tone(frequency, 8000), factor, count)[0, 200:-200]
    expected = tone(factor * frequency, count)[0, 200:-200]
    assert (found - expected).abs().max() < 1e-4 * 5000


def test_what_would_move_above_the_nyquist_frequency_is_filtered_out():
    assert speed(tone(7800, 8000), 1.1, 7000)[0, 200:-200].abs().max() < 1e-3 * 5000


def test_a_long_recording_is_resampled_in_blocks_to_the_same_samples():
    wave = torch.from_numpy(np.random.default_rng(0).normal(0, 1000, (1, 400_000))).float()
    whole = speed(wave, 1.1, speed_output_samples(400_000, 1.1))
    part = speed(wave[:, 220_000:330_000], 1.1, 100_000)
    torch.testing.assert_close(whole[:, 200_100:299_900], part[:, 100:99_900])


@pytest.mark.parametrize("factor", [0.0, 0.4, 2.5, 1.00001, -1.0])
def test_a_speed_that_is_no_plain_factor_is_refused(factor):
    with pytest.raises(InputError, match=r"a speed is between 0.5 and 2, with at most three decimals"):
        speed(torch.ones(1, 100), factor, 100)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_tempo_keeps_pitch_and_length_and_changes_the_pace(factor):
    wave = vowel(120, seconds=2)
    time = torch.arange(wave.shape[1]) / RATE
    pulsing = wave * (1 + torch.cos(2 * np.pi * 5 * time)) / 2  # five syllables per second
    found = Tempo(TempoArguments(), {}, RATE).apply(pulsing, [factor])[0]
    assert found.shape == wave[0].shape
    assert fundamental(found) == pytest.approx(120, rel=0.02)
    envelope = found.abs().reshape(-1, 160).amax(dim=1)[:180]  # before the fast one begins again
    spectrum = torch.fft.rfft(envelope - envelope.mean(), n=4096).abs()
    assert 100 * int(spectrum.argmax()) / 4096 == pytest.approx(5 * factor, rel=0.04)
    assert float(found.square().mean() / pulsing.square().mean()) == pytest.approx(1, abs=0.1)


def test_a_tempo_of_one_gives_the_waveform_back():
    wave = vowel()
    found = Tempo(TempoArguments(), {}, RATE).apply(wave, [1.0])
    torch.testing.assert_close(found, wave)


def test_gain_is_in_decibels_and_within_its_range():
    gain = Gain(GainArguments(gain=(-12.0, 6.0)), {}, RATE)
    drawn = [gain.draw(np.random.default_rng(i), 100)[0] for i in range(200)]
    assert -12 <= min(drawn) < -11 and 5 < max(drawn) <= 6
    found = gain.apply(torch.ones(2, 100), [20.0, -6.0])
    assert found[0, 0] == pytest.approx(10) and found[1, 0] == pytest.approx(0.501, abs=1e-3)


def test_clipping_cuts_off_the_drawn_share_of_the_samples_at_one_level():
    clipping = Clipping(ClippingArguments(share=(0.02, 0.3)), {}, RATE)
    waves = torch.from_numpy(np.random.default_rng(0).normal(0, 1000, (20, 9000))).float()
    drawn = [clipping.draw(np.random.default_rng(i), 9000)[0] for i in range(20)]
    found = clipping.apply(waves, drawn)
    for wave, result, share in zip(waves, found, drawn, strict=True):
        level = result.abs().max()
        assert float((result != wave).float().mean()) == pytest.approx(share, abs=2e-4) and 0.02 <= share <= 0.3
        assert torch.equal(result, wave.clamp(-level, level))


def band_levels(wave, *edges):
    """dB of a waveform (samples,) between edges in Hz."""
    power = torch.fft.rfft(wave.double() * torch.hann_window(len(wave), dtype=torch.float64)).abs().square()
    frequency = torch.fft.rfftfreq(len(wave), 1 / RATE)
    return [float(10 * torch.log10(power[(frequency >= a) & (frequency < b)].mean())) for a, b in edges]


def test_a_telephone_passes_its_band_and_nothing_else():
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 1000, (1, 32000))).float()
    telephone = Telephone(TelephoneArguments(mu_law=False), {}, RATE)
    before = band_levels(noise[0], (300, 3400))
    low, inside, high = band_levels(telephone.apply(noise, [True])[0], (0, 120), (300, 3400), (3700, 8000))
    assert inside == pytest.approx(before[0], abs=0.2)
    assert low < inside - 60 and high < inside - 60


def test_mu_law_leaves_a_telephone_the_noise_of_its_eight_bits_below_4_kilohertz():
    speech = vowel(seconds=2)
    plain = Telephone(TelephoneArguments(mu_law=False), {}, RATE).apply(speech, [True])[0]
    coded = Telephone(TelephoneArguments(), {}, RATE).apply(speech, [True])[0]
    snr = 10 * np.log10(float(plain.square().mean() / (coded - plain).square().mean()))
    assert 33 < snr < 41  # G.711: about 38 dB, whatever the level
    inside, above = band_levels(coded, (300, 3400), (4050, 8000))
    assert above < inside - 60


def test_mu_law_has_the_levels_of_the_recommendation():
    found = mu_law(torch.arange(-40000, 40001).double()).unique()
    segments = [((np.arange(16) + 16.5) * 2.0**k - 132) for k in range(3, 11)]
    expected = np.concatenate(segments)
    assert expected[0] == 0 and expected[-1] == 32124
    assert np.array_equal(found, np.concatenate([-expected[:0:-1], expected]))


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_a_telephone_works_at_any_rate_from_8_kilohertz(rate):
    wave = vowel(rate=rate, seconds=0.7)
    found = Telephone(TelephoneArguments(band=(100.0, 3900.0)), {}, rate).apply(wave, [True])
    assert found.shape == wave.shape
    assert fundamental(found[0], rate) == pytest.approx(120, rel=0.01)


def test_a_telephone_is_refused_below_8_kilohertz():
    with pytest.raises(InputError, match="audio of 6000 Hz is below the 8000 Hz"):
        Telephone(TelephoneArguments(), {}, 6000)
