"""The synthetic voices and the lists of the mini corpus."""

from dataclasses import replace

import numpy as np
import pytest

from sv_py.data import synthetic
from sv_py.make_mini import Corpus, synthesise, trials, utterances

CORPUS = Corpus(
    seed=0, num_train_speakers=4, num_test_speakers=6, num_sessions=3, num_utts=2,
    speaker_spread=1.0, snr_low=10, snr_high=30,
)  # fmt: skip


def rng(seed=0):
    return np.random.default_rng(seed)


def pitch_of(speech):
    """Median F0 (Hz) by autocorrelation of 40 ms frames that are loud."""
    frames = np.lib.stride_tricks.sliding_window_view(speech, 640)[::320]
    frames = frames[(frames**2).mean(1) > 0.5 * (speech**2).mean()]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(640), 2048)) ** 2
    correlation = np.fft.irfft(spectra)[:, 40:320]  # 50 to 400 Hz
    return np.median(synthetic.RATE / (40 + correlation.argmax(1)))


@pytest.mark.parametrize("pitch", [85, 120, 180, 240])
def test_a_voice_has_the_pitch_it_was_given(pitch):
    voice = replace(synthetic.draw_voice(rng(), "m"), pitch=pitch, pitch_range=1.0)
    assert pitch_of(synthetic.speak(voice, 4, rng(1))) == pytest.approx(pitch, rel=0.08)


def test_women_have_higher_pitch_and_formants_than_men():
    women = [synthetic.draw_voice(rng(seed), "f") for seed in range(50)]
    men = [synthetic.draw_voice(rng(seed), "m") for seed in range(50)]
    assert np.median([v.pitch for v in women]) > 1.5 * np.median([v.pitch for v in men])
    assert np.mean([v.formants for v in women]) > 1.1 * np.mean([v.formants for v in men])


def test_a_shorter_vocal_tract_moves_the_spectral_peaks_up():
    voice = replace(synthetic.draw_voice(rng(), "m"), formants=np.ones(7))
    shorter = replace(voice, formants=np.full(7, 1.25))

    def centroid(speech):
        power = np.abs(np.fft.rfft(speech)) ** 2
        return (power * np.fft.rfftfreq(len(speech), 1 / synthetic.RATE)).sum() / power.sum()

    assert centroid(synthetic.speak(shorter, 3, rng(1))) > 1.1 * centroid(synthetic.speak(voice, 3, rng(1)))


def test_speaker_spread_scales_how_much_voices_differ():
    pitches = {s: np.std([np.log(synthetic.draw_voice(rng(i), "m", s).pitch) for i in range(50)]) for s in (0.5, 1.5)}
    assert pitches[1.5] == pytest.approx(3 * pitches[0.5])


def test_what_is_said_varies_with_the_generator_and_repeats_with_its_seed():
    voice = synthetic.draw_voice(rng(), "f")
    assert np.array_equal(synthetic.speak(voice, 2, rng(1)), synthetic.speak(voice, 2, rng(1)))
    assert abs(np.corrcoef(synthetic.speak(voice, 2, rng(1)), synthetic.speak(voice, 2, rng(2)))[0, 1]) < 0.3


@pytest.mark.parametrize("noise", ["white", "pink", "hum", "babble"])
def test_every_noise_gives_finite_samples_that_do_not_clip(noise):
    channel = replace(synthetic.draw_channel(rng()), noise=noise, level=-6.0)
    speech = synthetic.speak(synthetic.draw_voice(rng(), "f"), 2.345, rng(1))
    recorded = synthetic.record(speech, channel, rng(2))
    assert recorded.shape == speech.shape and recorded.dtype == np.float32
    assert np.isfinite(recorded).all() and 0.1 < np.abs(recorded).max() < 1


def test_a_channel_adds_noise_at_its_ratio_and_keeps_to_its_band():
    channel = replace(synthetic.draw_channel(rng()), noise="white", snr=0.0, low=100, high=4000, colour=np.zeros(8))
    speech = synthetic.speak(synthetic.draw_voice(rng(), "m"), 3, rng(1))
    noisy = synthetic.record(speech, channel, rng(2))
    clean = synthetic.record(speech, replace(channel, snr=100.0), rng(2))
    assert np.corrcoef(noisy, clean)[0, 1] == pytest.approx(np.sqrt(0.5), abs=0.2)
    power = np.abs(np.fft.rfft(noisy)) ** 2
    hertz = np.fft.rfftfreq(len(noisy), 1 / synthetic.RATE)
    assert power[hertz > 6500].mean() < 0.03 * power[(hertz > 2000) & (hertz < 3500)].mean()


def test_an_utterance_does_not_depend_on_the_size_of_the_corpus():
    larger = replace(CORPUS, num_train_speakers=9, num_test_speakers=20, num_sessions=5, num_utts=7)
    for utterance in (utterances(CORPUS, 0)[3], utterances(CORPUS, 1)[5]):
        assert np.array_equal(synthesise(CORPUS, utterance), synthesise(larger, utterance))


def test_another_seed_another_speaker_session_or_number_gives_other_audio():
    first = utterances(CORPUS, 0)[0]
    others = [replace(first, **change) for change in ({"part": 1}, {"speaker": 2}, {"session": 1}, {"number": 1})]
    heard = [synthesise(CORPUS, u)[:20000] for u in (first, *others)]
    heard.append(synthesise(replace(CORPUS, seed=1), first)[:20000])
    assert len({samples.tobytes() for samples in heard}) == len(heard)


def test_target_trials_cross_sessions_and_nontarget_trials_stay_within_a_gender():
    known = {u.id: u for u in utterances(CORPUS, 1)}
    seen = [line.split() for line in trials(CORPUS)]
    assert seen == sorted(seen) and len({(a, b) for a, b, _ in seen}) == len(seen)
    for enrol, test, kind in seen:
        a, b = known[enrol], known[test]
        assert a.gender == b.gender
        assert (a.speaker == b.speaker and a.session != b.session) if kind == "target" else a.speaker != b.speaker
    assert sum(kind == "target" for *_, kind in seen) == 6 * 3 * 2 * 2  # speakers, pairs of sessions, utterances
    assert sum(kind == "nontarget" for *_, kind in seen) == 6 * 6 * 6  # pairs of one gender, utterances


def test_trials_of_a_large_corpus_are_a_sample_of_known_size():
    large = replace(CORPUS, num_test_speakers=200, num_utts=20)
    lines = trials(large)
    assert sum(line.endswith(" target") for line in lines) == 1000
    assert len(set(lines)) == 11000


def test_ids_begin_with_the_speaker_and_are_sorted_as_bytes():
    ids = [u.id for u in utterances(replace(CORPUS, num_train_speakers=120), 0)]
    assert ids == sorted(ids)
    assert all(u.id.startswith(u.speaker_id + "-") for u in utterances(CORPUS, 1))


def test_this_version_makes_the_audio_it_always_made():
    """Loudness per quarter of a second; if this fails, raise synthetic.VERSION, so that old corpora are remade."""
    assert synthetic.VERSION == 1
    samples = synthesise(CORPUS, utterances(CORPUS, 1)[9])
    loudness = np.sqrt((samples[:32000].reshape(8, -1) ** 2).mean(1))
    assert len(samples) == 52160
    assert loudness == pytest.approx([0.0243, 0.0456, 0.0435, 0.041, 0.041, 0.0421, 0.0415, 0.0723], abs=2e-4)
