"""Noise, music, talkers and rooms: levels, lengths and alignment, measured on real sounds."""

import itertools

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve
from sounds import audio_dir, real_pools

from sv_py.augmentation import AUGMENTATIONS
from sv_py.augmentation.arguments import BabbleArguments, NoiseArguments, ReverbArguments, RoomsArguments
from sv_py.augmentation.reverb import Response, Reverb
from sv_py.augmentation.rooms import Rooms, shoebox
from sv_py.data.pool import Pool
from sv_py.data.store import AudioStore

COUNT = 32240


@pytest.fixture(scope="module")
def pools(shared, tmp_path_factory):
    return real_pools(shared, tmp_path_factory.mktemp("pools"))


def crops(pools, number, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([pools["speech"].segment(rng, COUNT) for _ in range(number)])).float()


def decibels(samples):
    return 10 * np.log10(np.mean(np.square(np.asarray(samples, np.float64)), axis=-1))


@pytest.mark.parametrize("name", ["noise", "music", "speech"])
def test_the_measured_ratio_of_speech_to_what_was_added_is_the_drawn_one(name, pools):
    augmentation = AUGMENTATIONS.build(name, AUGMENTATIONS.arguments(name)(), pools=pools, rate=16000)
    waves = crops(pools, 40)
    drawn = [augmentation.draw(np.random.default_rng(i), COUNT)[0] for i in range(40)]
    added = augmentation.apply(waves, drawn) - waves
    snr = np.array([sounds[0].snr for sounds in drawn])
    assert np.abs(decibels(waves) - decibels(added) - snr).max() < 0.3
    least, most = augmentation.arguments.snr
    assert least <= snr.min() < least + 2 and most - 2 < snr.max() <= most


def test_each_talker_of_a_babble_has_the_level_drawn_for_him(pools):
    babble = AUGMENTATIONS.build("babble", BabbleArguments(), pools=pools, rate=16000)
    waves = crops(pools, 1)
    (sounds,) = babble.draw(np.random.default_rng(3), COUNT, row=0)
    alone = [babble.apply(waves, [[sound]]) - waves for sound in sounds]
    for sound, added in zip(sounds, alone, strict=True):
        assert float(decibels(waves[0]) - decibels(added[0])) == pytest.approx(sound.snr, abs=0.3)
    torch.testing.assert_close(babble.apply(waves, [sounds]) - waves, sum(alone), rtol=0, atol=0.1)


def test_a_babble_has_three_to_eight_talkers_and_the_speaker_is_none_of_them(tmp_path):
    tones = {f"{who}-{n}": np.full(400 + n, 100 * who, np.int16) for who in range(1, 6) for n in range(4)}
    store = AudioStore(audio_dir(tmp_path / "train", tones))
    babble = AUGMENTATIONS.build("babble", BabbleArguments(), pools={"train": Pool(store)}, rate=16000)
    counts = set()
    for seed in range(200):
        row = seed % len(store)
        (sounds,) = babble.draw(np.random.default_rng(seed), 300, row)
        counts.add(len(sounds))
        own = int(store.table.utt(row)[0]) * 100
        assert own not in {int(sound.samples[0]) for sound in sounds}
    assert counts == {3, 4, 5, 6, 7, 8}


def test_a_noise_that_is_shorter_than_the_speech_is_repeated(tmp_path):
    short = np.random.default_rng(0).integers(-9000, 9000, 700).astype(np.int16)
    pools = {"noise": Pool(AudioStore(audio_dir(tmp_path / "n", {"click-1": short})))}
    noise = AUGMENTATIONS.build("noise", NoiseArguments(), pools=pools, rate=16000)
    ((sound,),) = noise.draw(np.random.default_rng(1), 5000)
    assert len(sound.samples) == 5000
    assert np.array_equal(sound.samples[700:], sound.samples[:-700])
    assert sorted(sound.samples[:700]) == sorted(short)


def test_a_silent_noise_adds_nothing_and_a_loud_one_leaves_16_bits_without_wrapping(tmp_path, pools):
    silence = {"noise": Pool(AudioStore(audio_dir(tmp_path / "n", {"none-1": np.zeros(9000, np.int16)})))}
    waves = crops(pools, 1)
    noise = AUGMENTATIONS.build("noise", NoiseArguments(), pools=silence, rate=16000)
    assert torch.equal(noise.apply(waves, noise.draw(np.random.default_rng(0), COUNT)), waves)

    loud = waves * 30000 / waves.abs().max()
    noise = AUGMENTATIONS.build("noise", NoiseArguments(snr=(-20.0, -20.0)), pools=pools, rate=16000)
    (drawn,) = noise.draw(np.random.default_rng(0), COUNT)
    added = noise.apply(loud, [drawn]) - loud
    assert added.abs().max() > 40000
    correlation = np.corrcoef(added[0], drawn[0].samples)[0, 1]
    assert correlation > 0.9999


def test_reverberation_is_convolution_with_a_response_of_unit_energy_aligned_on_its_peak(pools):
    reverb = Reverb(ReverbArguments(), pools, 16000)
    waves = crops(pools, 12)
    drawn = [reverb.draw(np.random.default_rng(i), COUNT)[0] for i in range(12)]
    found = reverb.apply(waves, drawn)
    assert found.shape == waves.shape and len({len(response.samples) for response in drawn}) > 3
    for wave, result, (samples, direct) in zip(waves, found, drawn, strict=True):
        response = samples / np.sqrt(np.sum(samples.astype(np.float64) ** 2))
        expected = fftconvolve(wave.double().numpy(), response)[direct : direct + COUNT]
        assert abs(response[direct]) == abs(response).max()
        assert np.abs(result.numpy() - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["reverb", "rooms"])
def test_reverberation_keeps_length_and_puts_the_direct_sound_where_the_sound_was(name, pools):
    augmentation = AUGMENTATIONS.build(name, AUGMENTATIONS.arguments(name)(), pools=pools, rate=16000)
    clicks = torch.zeros(30, COUNT)
    clicks[:, 16000] = 1000
    drawn = [augmentation.draw(np.random.default_rng(i), COUNT)[0] for i in range(30)]
    found = augmentation.apply(clicks, drawn)
    assert found.shape == clicks.shape
    correlation = torch.fft.irfft(torch.fft.rfft(found) * torch.fft.rfft(clicks).conj(), n=COUNT).abs()
    if name == "reverb":  # the peak of a response is its direct sound
        assert (correlation.argmax(dim=1) == 0).all()
    else:  # reflections can add up to more than the direct sound, but come after it
        loudest = correlation.amax(dim=1)
        assert (correlation[:, [-1, 0, 1]].amax(dim=1) > 0.5 * loudest).all()
        assert (correlation[:, -800:-8].amax(dim=1) < 0.05 * loudest).all()


def test_a_response_longer_than_the_crop_and_one_whose_peak_comes_late_are_cut_to_what_can_be_heard(tmp_path):
    samples = np.zeros(9000, np.int16)
    samples[[10, 5000, 8500]] = [8000, 30000, 9000]
    pools = {"rir": Pool(AudioStore(audio_dir(tmp_path / "rir", {"late-1": samples})))}
    reverb = Reverb(ReverbArguments(), pools, 16000)
    (response,) = reverb.draw(np.random.default_rng(0), 1000)
    assert len(response.samples) == 2000 and response.direct == 1000
    impulse = torch.zeros(1, 1000)
    impulse[0, 300] = 1
    found = reverb.apply(impulse, [response])[0]
    assert found[300] == pytest.approx(1, abs=1e-5) and found.abs().sum() == pytest.approx(1, abs=1e-3)


def test_a_silent_response_is_not_applied(tmp_path):
    pools = {"rir": Pool(AudioStore(audio_dir(tmp_path / "rir", {"none-1": np.zeros(99, np.int16)})))}
    assert Reverb(ReverbArguments(), pools, 16000).draw(np.random.default_rng(0), 1000) == [None]


def decay_time(response: Response, rate=16000):
    """Seconds to decay by 60 dB, from the slope of Schroeder's integral between -5 and -25 dB."""
    energy = np.cumsum(np.square(response.samples[response.direct :].astype(np.float64))[::-1])[::-1]
    level = 10 * np.log10(energy / energy[0])
    first, last = np.searchsorted(-level, [5, 25])
    return 60 * (last - first) / rate / (level[first] - level[last])


@pytest.mark.parametrize("rt60", [0.2, 0.4, 0.7])
def test_a_simulated_room_decays_as_asked(rt60):
    size = np.array([6.0, 5.0, 3.0])
    found = [
        decay_time(shoebox(size, np.array([2.0, 1.5 + 0.2 * i, 1.6]), np.array([4.2, 3.1, 1.2]), rt60, 16000))
        for i in range(4)
    ]
    assert np.median(found) == pytest.approx(rt60, rel=0.3)


def test_a_room_is_the_sum_of_its_mirror_images():
    size, source, microphone = np.array([5.0, 4.0, 3.0]), np.array([1.0, 1.2, 1.5]), np.array([3.5, 2.9, 1.1])
    rt60, rate = 0.08, 16000
    reflection = -np.exp(-12 * np.log(10) / 343 * 60 / (94 * rt60))  # Eyring: volume 60 m3, walls of 94 m2
    frequency = np.fft.rfftfreq(4096, 1 / rate)
    spectrum = np.zeros(len(frequency), complex)
    numbers = itertools.product(range(-6, 7), repeat=3)
    for number, mirrored in itertools.product(numbers, itertools.product((0, 1), repeat=3)):
        image = 2 * np.array(number) * size + np.where(mirrored, -source, source)
        distance = np.linalg.norm(image - microphone)
        if distance < 343 * rt60:
            walls = sum(abs(2 * n - m) for n, m in zip(number, mirrored, strict=True))
            spectrum += reflection**walls / distance * np.exp(-2j * np.pi * frequency * distance / 343)
    spectrum[frequency > 6000] = 0

    response = shoebox(size, source, microphone, rt60, rate)
    delay = round(np.linalg.norm(source - microphone) / 343 * rate)
    samples = np.roll(np.pad(response.samples, (0, 4096 - len(response.samples))), delay - response.direct)
    found = np.fft.rfft(samples) * (frequency <= 6000)
    assert np.linalg.norm(found - spectrum) < 0.12 * np.linalg.norm(spectrum)


@pytest.mark.parametrize("samples", [2240, 2241])
def test_the_direct_sound_of_a_room_stands_where_its_response_says(samples):
    source, microphone = np.full(3, 10.0), np.array([40.0, 43.5, 10.0])  # 45 m: at the end of the response
    response = shoebox(np.full(3, 50.0), source, microphone, samples / 16000, 16000)
    assert np.abs(response.samples).argmax() == response.direct


def test_rooms_are_the_same_in_every_run_and_computed_once():
    first, second = (Rooms(RoomsArguments(rooms=3), {}, 16000) for _ in range(2))
    drawn = [first.draw(np.random.default_rng(i), COUNT)[0] for i in range(20)]
    again = [second.draw(np.random.default_rng(i), COUNT)[0] for i in reversed(range(20))][::-1]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(drawn, again, strict=True))
    assert len({a.samples.tobytes() for a in drawn}) == 3 == len(first._cache)
    assert all(0.1 * 16000 <= len(a.samples) <= 0.7 * 16000 for a in drawn)
