"""Voice activity: one decision per frame; speech is kept, silence is not; both detectors are what they claim to be."""

import kaldi_native_fbank
import numpy as np
import pytest
import soundfile

from sv_py.cli import InputError
from sv_py.compute_vad import check_front_end
from sv_py.data import synthetic
from sv_py.data.vad import (
    DETECTORS,
    DetectorArguments,
    EnergyArguments,
    WebrtcArguments,
    decide,
    describe,
    log_energies,
    read_detector,
    speech_samples,
)
from sv_py.features.arguments import KaldiFbankArguments, LogMelArguments, SpectrogramArguments
from sv_py.features.arguments import describe as describe_features
from sv_py.features.kaldi_fbank import KaldiFbank

BOTH = pytest.mark.parametrize("name", list(DETECTORS.entries))


def arguments(name, **options):
    return DETECTORS.arguments(name)(**options)


def voice(seconds=2.0):
    rng = np.random.default_rng(0)
    samples = synthetic.speak(synthetic.draw_voice(rng, "m"), seconds, rng)
    return 8000 * samples / abs(samples).max()


def noise(samples, level=1.0, seed=0):
    return np.random.default_rng(seed).normal(0, level, samples)


@pytest.fixture(scope="session")
def speech(shared):
    """A real recording, int16, 16 kHz."""
    path = next(iter(sorted((shared / "corpora/an4/wav").rglob("*.flac"))))
    return soundfile.read(path, dtype="int16")[0]


@BOTH
def test_speech_between_silences_is_found_where_it_is(name):
    samples = np.concatenate([noise(16000), voice(), noise(16000)])
    decisions = decide(samples, 398, name, arguments(name))
    assert decisions.dtype == np.float32 and set(decisions) == {0.0, 1.0}
    assert decisions[:90].mean() < 0.05 and decisions[110:290].mean() > 0.6 and decisions[-60:].mean() < 0.05


def test_silence_has_no_speech():
    assert not decide(np.zeros(16000), 98, "webrtc", WebrtcArguments()).any()
    assert not decide(np.zeros(16000), 98, "energy", EnergyArguments()).any()


@BOTH
@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("num_samples", [0, 1, 79, 80, 399, 400, 559, 560, 15999, 16000, 16079, 16080])
def test_there_are_as_many_decisions_as_the_front_end_makes_frames(name, snip_edges, num_samples):
    frames = KaldiFbank(KaldiFbankArguments(snip_edges=snip_edges)).num_frames(num_samples)
    options = arguments(name, snip_edges=snip_edges)
    assert options.num_frames(num_samples) == frames
    assert decide(voice(2.0)[:num_samples], frames, name, options).shape == (frames,)


@BOTH
@pytest.mark.parametrize("num_frames", [97, 100, 105])
def test_a_front_end_that_counts_a_few_frames_more_or_less_gets_as_many_decisions(name, num_frames):
    assert decide(voice(1.0), num_frames, name, arguments(name)).shape == (num_frames,)


@BOTH
@pytest.mark.parametrize("num_frames", [0, 80, 120])
def test_frames_of_other_audio_are_noticed(name, num_frames):
    with pytest.raises(InputError, match=f"'ann-1': the features have {num_frames} frames and the audio 98"):
        decide(voice(1.0), num_frames, name, arguments(name), "ann-1")


@BOTH
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(name, bad):
    samples = voice(1.0)
    samples[5] = bad
    with pytest.raises(InputError, match="'ann-1': NaN or infinite samples"):
        decide(samples, 98, name, arguments(name), "ann-1")


@BOTH
@pytest.mark.parametrize("snip_edges", [True, False])
def test_a_decision_is_about_the_centre_of_its_frame(name, snip_edges):
    # A burst of 10 frames of 10 ms: the voiced frames are those whose centres lie in it, give or take two.
    samples = np.zeros(16000)
    begin, end = 8000, 9600
    samples[begin:end] = voice(1.0)[4000 : 4000 + end - begin]
    options = arguments(name, snip_edges=snip_edges, **({"aggressiveness": 3} if name == "webrtc" else {}))
    decisions = decide(samples, options.num_frames(len(samples)), name, options)
    centres = np.arange(len(decisions)) * 160 + (200 if snip_edges else 80)
    inside = (centres > begin) & (centres < end)
    assert decisions[inside].mean() > 0.8
    assert not decisions[centres < begin - 320].any()


@BOTH
def test_an_utterance_is_judged_the_same_after_any_other_and_as_integers(name):
    samples = np.rint(voice())
    first = decide(samples, 198, name, arguments(name))
    decide(noise(16000, 9000), 98, name, arguments(name))
    assert np.array_equal(decide(samples.astype(np.int16), 198, name, arguments(name)), first)


@BOTH
def test_samples_beyond_16_bits_are_clipped_and_do_not_wrap(name):
    loud = voice() * 8
    clipped = np.clip(np.rint(loud), -32768, 32767)
    assert np.array_equal(decide(loud, 198, name, arguments(name)), decide(clipped, 198, name, arguments(name)))


def test_more_aggressive_keeps_less():
    samples = np.concatenate([[*voice(0.5) * level, *np.zeros(2000)] for level in (1, 0.1, 0.01)])
    samples = samples + noise(len(samples), 30)
    options = [WebrtcArguments(aggressiveness=a) for a in range(4)]
    kept = [decide(samples, options[0].num_frames(len(samples)), "webrtc", a).sum() for a in options]
    assert kept == sorted(kept, reverse=True) and kept[0] > kept[3]


def test_hangover_keeps_so_many_frames_after_speech_and_none_before():
    samples = np.concatenate([noise(16000), voice(0.5), noise(16000), voice(0.5), noise(8000)])
    plain = decide(samples, 348, "webrtc", WebrtcArguments(aggressiveness=3)) > 0
    longer = decide(samples, 348, "webrtc", WebrtcArguments(aggressiveness=3, hangover=7)) > 0
    expected = [plain[max(0, t - 7) : t + 1].any() for t in range(348)]
    assert longer.tolist() == expected and longer.sum() > plain.sum()


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize(("frame_length", "frame_shift"), [(25, 10), (20, 20), (32, 12.5)])
def test_the_energy_is_that_of_kaldis_mfcc(speech, snip_edges, frame_length, frame_shift):
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = snip_edges
    options.frame_opts.frame_length_ms = frame_length
    options.frame_opts.frame_shift_ms = frame_shift
    assert options.use_energy and options.raw_energy
    mfcc = kaldi_native_fbank.OnlineMfcc(options)
    mfcc.accept_waveform(16000, speech.astype(np.float32).tolist())
    mfcc.input_finished()
    theirs = np.array([mfcc.get_frame(t)[0] for t in range(mfcc.num_frames_ready)])
    frames = DetectorArguments(frame_length=frame_length, frame_shift=frame_shift, snip_edges=snip_edges)
    assert frames.num_frames(len(speech)) == len(theirs)
    np.testing.assert_allclose(log_energies(speech, len(theirs), frames), theirs, atol=1e-3)


def compute_vad(energies, threshold, mean_scale, context, proportion):
    """Kaldi's decision, frame by frame."""
    threshold += mean_scale * sum(map(float, energies)) / len(energies)
    decisions = []
    for t in range(len(energies)):
        near = [u for u in range(t - context, t + context + 1) if 0 <= u < len(energies)]
        votes = sum(energies[u] > np.float32(threshold) for u in near)
        decisions.append(float(votes >= np.float32(len(near)) * np.float32(proportion)))
    return decisions


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize(
    "vad", [(5.0, 0.5, 0, 0.6), (5.5, 0.5, 2, 0.12), (0.0, 1.0, 5, 0.6), (12.0, 0.0, 3, 0.5), (5.0, 0.5, 1000, 0.3)]
)
def test_energy_decisions_are_those_of_kaldis_loop(speech, vad, snip_edges):
    options = EnergyArguments(16000, 25.0, 10.0, snip_edges, *vad)
    count = options.num_frames(len(speech))
    decisions = decide(speech, count, "energy", options)
    assert decisions.tolist() == compute_vad(log_energies(speech, count, options), *vad)


def test_a_steady_offset_has_no_energy():
    assert log_energies(np.full(1600, 32767, np.int16), 8, DetectorArguments()).tolist() == pytest.approx(
        [-15.9424] * 8
    )


@BOTH
@pytest.mark.parametrize("snip_edges", [True, False])
def test_the_samples_of_speech_are_those_of_the_voiced_frames(name, snip_edges, speech):
    samples = np.concatenate([np.zeros(8000, np.int16), speech, np.zeros(8123, np.int16)])
    options = arguments(name, snip_edges=snip_edges)
    voiced = decide(samples, options.num_frames(len(samples)), name, options) > 0
    kept = speech_samples(samples, name, options, "an4")
    first = 120 if snip_edges else 0
    parts = [samples[first + 160 * t :][:160] for t in np.flatnonzero(voiced)]
    assert not voiced[0] and not voiced[-1]
    assert kept.dtype == np.int16 and np.array_equal(kept, np.concatenate(parts))


def test_nothing_is_lost_of_an_utterance_that_is_speech_throughout():
    samples = np.rint(voice(0.5)).astype(np.int16)[:7777]
    options = EnergyArguments(vad_energy_threshold=-100.0)
    assert np.array_equal(speech_samples(samples, "energy", options, "x"), samples)


@BOTH
@pytest.mark.parametrize("num_samples", [0, 160, 16000])
def test_an_utterance_of_which_nothing_is_left_is_an_error_that_names_it(name, num_samples):
    with pytest.raises(InputError, match=rf"'ann-1': no speech in {num_samples / 16000:.3f} s of audio"):
        speech_samples(np.zeros(num_samples, np.int16), name, arguments(name), "ann-1")


def test_a_conf_file_chooses_the_detector_and_describes_itself(tmp_path):
    conf = tmp_path / "vad.conf"
    conf.write_text("--vad-energy-threshold=5.5  # as in Kaldi's recipe of VoxCeleb\n--detector=energy\n")
    name, options = read_detector(conf)
    assert isinstance(options.sample_frequency, int)
    assert (name, options) == ("energy", EnergyArguments(vad_energy_threshold=5.5))
    assert describe(name, options).splitlines() == [
        "detector=energy", "--sample-frequency=16000", "--frame-length=25", "--frame-shift=10", "--snip-edges=true",
        "--vad-energy-threshold=5.5", "--vad-energy-mean-scale=0.5", "--vad-frames-context=0",
        "--vad-proportion-threshold=0.6",
    ]  # fmt: skip
    conf.write_text("# nothing but the defaults\n")
    assert read_detector(conf) == ("webrtc", WebrtcArguments())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("--aggressiveness=4", ": aggressiveness is 0, 1, 2 or 3, not 4"),
        ("--sample-frequency=44100", ": webrtcvad knows 8, 16, 32 and 48 kHz, not 44100 Hz"),
        ("--frame-shift=12.5", ": webrtcvad decides on 10, 20 or 30 ms, not 12.5"),
        ("--hangover=-1", ": hangover is a number of frames, not -1"),
        ("--frame-length=0.1", ": frame-length must be two samples or more"),
        ("--agressiveness=2", r":1: unknown option '--agressiveness' \(did you mean 'aggressiveness'"),
        ("--vad-energy-threshold=5", ":1: unknown option '--vad-energy-threshold'"),
        ("\n--detector=enrgy", r":2: unknown detector 'enrgy' \(did you mean 'energy'\?\); known: webrtc, energy"),
        ("--detectr=energy", r":1: unknown option '--detectr' \(did you mean 'detector'"),
        ("--detector=energy\n--detector=webrtc", ":2: --detector a second time"),
        ("--detector=energy\n--aggressiveness=1", ":2: unknown option '--aggressiveness'"),
        ("--detector=energy\n--vad-proportion-threshold=1", ": vad-proportion-threshold is between 0 and 1, not 1"),
        ("--detector=energy\n--vad-frames-context=-1", "vad-frames-context must be at least 0"),
        ("--detector=energy\n--vad-energy-mean-scale=-0.5", ": vad-energy-mean-scale and"),
    ],
)
def test_options_that_a_detector_does_not_know_are_refused(tmp_path, lines, expected):
    (tmp_path / "vad.conf").write_text(lines + "\n")
    with pytest.raises(InputError, match=f"vad.conf{expected}" if expected[0] == ":" else expected):
        read_detector(tmp_path / "vad.conf")


@pytest.mark.parametrize(
    ("feats_id", "options", "expected"),
    [
        (describe_features("kaldi_fbank", KaldiFbankArguments()), {}, None),
        (describe_features("kaldi_fbank", KaldiFbankArguments(snip_edges=False)), {"snip_edges": False}, None),
        (describe_features("log_mel", LogMelArguments()), {"snip_edges": False, "frame_length": 64.0}, None),
        ("somebody's features\n", {"snip_edges": False}, None),
        (
            describe_features("kaldi_fbank", KaldiFbankArguments(snip_edges=False)), {},
            "--snip-edges is false for the features and true for the detector",
        ),
        (
            describe_features("spectrogram", SpectrogramArguments()), {},
            "--snip-edges is false for the features and true for the detector",
        ),
        (
            describe_features("log_mel", LogMelArguments()), {"snip_edges": False},
            "--frame-length is 64 for the features and 25 for the detector",
        ),
        (
            describe_features("kaldi_fbank", KaldiFbankArguments(sample_frequency=8000.0)), {},
            "--sample-frequency is 8000 for the features and 16000 for the detector",
        ),
    ],
)  # fmt: skip
def test_a_detector_whose_frames_are_not_those_of_the_features_is_refused(tmp_path, feats_id, options, expected):
    (tmp_path / "feats.id").write_text(feats_id)
    if expected is None:
        check_front_end(EnergyArguments(**options), tmp_path / "feats.id")
        return
    with pytest.raises(InputError, match=f"feats.id: {expected}"):
        check_front_end(EnergyArguments(**options), tmp_path / "feats.id")
