"""Voice activity: one decision per frame, speech is kept and silence is not."""

import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.data import synthetic
from sv_py.data.vad import WebrtcArguments, webrtc
from sv_py.features.arguments import read_conf

OPTIONS = WebrtcArguments()


def voice(seconds=2.0):
    rng = np.random.default_rng(0)
    samples = synthetic.speak(synthetic.draw_voice(rng, "m"), seconds, rng)
    return 8000 * samples / abs(samples).max()


def test_speech_between_silences_is_found_where_it_is():
    quiet = np.random.default_rng(0).normal(0, 1, 16000)
    samples = np.concatenate([quiet, voice(), quiet])
    decisions = webrtc(samples, 398, OPTIONS)
    assert decisions.dtype == np.float32 and set(decisions) == {0.0, 1.0}
    assert decisions[:90].mean() < 0.05 and decisions[110:290].mean() > 0.8 and decisions[-60:].mean() < 0.05


def test_silence_has_no_speech():
    assert not webrtc(np.zeros(16000), 98, OPTIONS).any()


@pytest.mark.parametrize("num_frames", [1, 97, 98, 100, 105])
def test_there_are_as_many_decisions_as_frames(num_frames):
    assert webrtc(voice(1.0), num_frames, OPTIONS).shape == (num_frames,)


def test_more_aggressive_keeps_less():
    rng = np.random.default_rng(0)
    samples = np.concatenate([[*voice(0.5) * level, *np.zeros(2000)] for level in (1, 0.1, 0.01)])
    samples = samples + rng.normal(0, 30, len(samples))
    kept = [webrtc(samples, len(samples) // 160, WebrtcArguments(aggressiveness=a)).sum() for a in range(4)]
    assert kept == sorted(kept, reverse=True) and kept[0] > kept[3]


def test_an_utterance_is_judged_the_same_after_any_other():
    first = webrtc(voice(), 198, OPTIONS)
    webrtc(np.random.default_rng(0).normal(0, 9000, 16000), 98, OPTIONS)
    assert np.array_equal(webrtc(voice(), 198, OPTIONS), first)


def test_samples_beyond_16_bits_are_clipped_and_do_not_wrap():
    loud = voice() * 8
    clipped = np.clip(np.rint(loud), -32768, 32767)
    assert np.array_equal(webrtc(loud, 198, OPTIONS), webrtc(clipped, 198, OPTIONS))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--aggressiveness=4", "aggressiveness is 0, 1, 2 or 3, not 4"),
        ("--sample-frequency=44100", "webrtcvad knows 8, 16, 32 and 48 kHz, not 44100 Hz"),
        ("--frame-shift=12.5", "webrtcvad decides on 10, 20 or 30 ms, not 12.5"),
        ("--agressiveness=2", r":1: unknown option '--agressiveness' \(did you mean 'aggressiveness'"),
    ],
)
def test_options_that_the_detector_does_not_know_are_refused(tmp_path, line, expected):
    (tmp_path / "vad.conf").write_text(line + "\n")
    with pytest.raises(InputError, match=f"vad.conf.*{expected}"):
        read_conf(tmp_path / "vad.conf", WebrtcArguments)
