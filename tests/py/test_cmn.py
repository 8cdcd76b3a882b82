"""Mean normalisation of the features."""

import numpy as np
import pytest
import torch
import torchaudio

from sv_py.features.cmn import normalise, standardise


def feats(frames, seed=0, offset=50.0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy((offset + rng.normal(0, 3, (2, frames, 5))).astype(np.float32))


def kaldi_sliding(one, window):
    """Kaldi's SlidingWindowCmn with --center=true, frame by frame."""
    frames = len(one)
    out = np.empty_like(one)
    for t in range(frames):
        start = t - window // 2
        end = start + window
        if start < 0:
            start, end = 0, end - start
        if end > frames:
            start, end = max(0, start - (end - frames)), frames
        out[t] = one[t] - one[start:end].astype(np.float64).mean(axis=0)
    return out


@pytest.mark.parametrize("window", [1, 2, 7, 300, 301])
@pytest.mark.parametrize("frames", [1, 2, 6, 7, 8, 299, 300, 301, 700])
def test_a_sliding_mean_is_that_of_kaldi(frames, window):
    values = feats(frames)
    found = normalise(values, "sliding", window)
    for one, expected in zip(found.numpy(), values.numpy(), strict=True):
        np.testing.assert_allclose(one, kaldi_sliding(expected, window), atol=1e-4)


def test_torchaudio_agrees_about_a_sliding_mean():
    values = feats(500)
    expected = torchaudio.functional.sliding_window_cmn(values, cmn_window=300, center=True)
    torch.testing.assert_close(normalise(values, "sliding", 300), expected, rtol=0, atol=1e-4)


def test_an_hour_of_large_values_keeps_its_digits():
    values = feats(360_000, offset=1e4)[:1]
    found = normalise(values, "sliding", 300)
    last = values[0, -300:].double().mean(0)
    torch.testing.assert_close(found[0, -1].double(), values[0, -1].double() - last, rtol=0, atol=2e-3)


def test_utterance_takes_the_mean_over_all_frames_and_none_takes_nothing():
    values = feats(200)
    torch.testing.assert_close(normalise(values, "utterance").mean(1), torch.zeros(2, 5), rtol=0, atol=1e-4)
    assert torch.equal(normalise(values, "none"), values)


@pytest.mark.parametrize("kind", ["none", "utterance", "sliding"])
def test_no_frames_stay_no_frames_and_one_frame_is_its_own_mean(kind):
    assert normalise(torch.empty(2, 0, 5), kind).shape == (2, 0, 5)
    one = normalise(feats(1), kind)
    assert torch.isfinite(one).all() and (kind == "none" or not one.any())


@pytest.mark.parametrize("dim", [1, 2])
def test_standardised_values_have_mean_0_and_deviation_1_and_what_does_not_vary_becomes_0(dim):
    found = standardise(feats(400), dim)
    torch.testing.assert_close(found.mean(dim), torch.zeros_like(found.mean(dim)), rtol=0, atol=1e-4)
    torch.testing.assert_close(found.std(dim, correction=0), torch.ones_like(found.mean(dim)), rtol=0, atol=1e-4)
    assert not standardise(torch.full((1, 4, 4), 7.0), dim).any()
