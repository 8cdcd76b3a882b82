"""Normalisation of features over time."""

import torch

_GUARD = 1e-5  # added to deviations: what does not vary becomes 0


def normalise(feats: torch.Tensor, kind: str, window: int = 300) -> torch.Tensor:
    """Features (B, T, F) less their mean over time: ``kind`` is none, utterance (all frames) or sliding.

    sliding: Kaldi's apply-cmvn-sliding --center=true, whose mean at a frame is that of the ``window`` frames around it,
    from window / 2 before (rounded down); at the ends the window stays whole and stops being central, and an utterance
    that is shorter has one mean. Kaldi's --min-cmn-window does not matter where the window is central.
    """
    if kind == "none" or feats.shape[1] == 0:
        return feats
    if kind == "utterance":
        return feats - feats.mean(dim=1, keepdim=True)
    frames = feats.shape[1]
    window = min(window, frames)
    begin = (torch.arange(frames, device=feats.device) - window // 2).clamp(0, frames - window)
    total = torch.nn.functional.pad(feats.double().cumsum(dim=1), (0, 0, 1, 0))  # float32 would lose digits
    return feats - ((total[:, begin + window] - total[:, begin]) / window).to(feats.dtype)


def standardise(feats: torch.Tensor, dim: int) -> torch.Tensor:
    """(x - mean) / (deviation + 1e-5) along ``dim``, with the deviation of a whole population."""
    deviation, mean = torch.std_mean(feats, dim, correction=0, keepdim=True)
    return (feats - mean) / (deviation + _GUARD)
