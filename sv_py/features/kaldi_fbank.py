"""Log mel filter-bank energies as Kaldi computes them."""

import math

import torch
from torch import nn

from sv_py.cli import InputError
from sv_py.features.arguments import KaldiFbankArguments

_EPSILON = torch.finfo(torch.float32).eps  # Kaldi's floor of the energies


class KaldiFbank(nn.Module):
    """Waveforms (B, N) on the scale of 16-bit integers -> log energies (B, T, num_mel_bins).

    T is 1 + (N - frame_length) // frame_shift with snip_edges (0 if N is shorter), else N / frame_shift, rounded.
    """

    def __init__(self, arguments: KaldiFbankArguments):
        super().__init__()
        self.arguments = arguments
        self.length = int(arguments.sample_frequency * arguments.frame_length / 1000)  # samples, as Kaldi truncates
        self.shift = int(arguments.sample_frequency * arguments.frame_shift / 1000)
        self.fft = 1 << (self.length - 1).bit_length() if arguments.round_to_power_of_two else self.length
        self.feature_dim = arguments.num_mel_bins
        self.register_buffer("window", _window(arguments.window_type, self.length), persistent=False)
        self.register_buffer("filters", _mel_filters(arguments, self.fft), persistent=False)

    def num_frames(self, num_samples: int) -> int:
        """Frames of a signal."""
        if not self.arguments.snip_edges:
            return (num_samples + self.shift // 2) // self.shift
        return 0 if num_samples < self.length else 1 + (num_samples - self.length) // self.shift

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Log energies of each waveform of a batch of equal lengths."""
        count = self.num_frames(waveforms.shape[-1])
        if count == 0:
            return waveforms.new_empty(waveforms.shape[0], 0, self.feature_dim)
        frames = self._frames(waveforms, count)
        if self.arguments.remove_dc_offset:
            frames = frames - frames.mean(-1, keepdim=True)
        if self.arguments.preemphasis_coefficient != 0:
            before = torch.cat((frames[..., :1], frames[..., :-1]), -1)  # Kaldi repeats the first sample
            frames = frames - self.arguments.preemphasis_coefficient * before
        spectrum = torch.fft.rfft(frames * self.window, n=self.fft).abs()
        if self.arguments.use_power:
            spectrum = spectrum.square()
        energies = spectrum[..., : self.fft // 2] @ self.filters.T
        return energies.clamp(min=_EPSILON).log() if self.arguments.use_log_fbank else energies

    def _frames(self, waveforms: torch.Tensor, count: int) -> torch.Tensor:
        """(B, N) -> (B, count, length)."""
        if not self.arguments.snip_edges:  # frames are centred, and the signal is mirrored at its ends
            before = self.length // 2 - self.shift // 2
            index = torch.arange(-before, (count - 1) * self.shift + self.length - before, device=waveforms.device)
            period = 2 * waveforms.shape[-1]
            index = index.remainder(period)
            waveforms = waveforms[:, torch.minimum(index, period - 1 - index)]
        return waveforms.unfold(-1, self.length, self.shift)[:, :count]


def _window(kind: str, length: int) -> torch.Tensor:
    phase = 2 * math.pi * torch.arange(length, dtype=torch.float64) / (length - 1)
    windows = {
        "hanning": 0.5 - 0.5 * phase.cos(),
        "povey": (0.5 - 0.5 * phase.cos()) ** 0.85,  # a Hann-like window that reaches zero at its ends
        "hamming": 0.54 - 0.46 * phase.cos(),
        "rectangular": torch.ones_like(phase),
    }
    return windows[kind].float()


def _mel_filters(arguments: KaldiFbankArguments, fft: int) -> torch.Tensor:
    """Triangles on the mel scale 1127 ln(1 + f/700), (num_mel_bins, fft / 2)."""
    nyquist = arguments.sample_frequency / 2
    high = arguments.high_freq if arguments.high_freq > 0 else nyquist + arguments.high_freq
    low_mel, high_mel = (1127 * math.log(1 + f / 700) for f in (arguments.low_freq, high))
    edges = torch.linspace(low_mel, high_mel, arguments.num_mel_bins + 2, dtype=torch.float64)
    frequency = torch.arange(fft // 2, dtype=torch.float64) * arguments.sample_frequency / fft
    mel = 1127 * (1 + frequency / 700).log()
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = torch.minimum((mel - left) / (centre - left), (right - mel) / (right - centre)).clamp(min=0).float()
    if not filters.any(dim=1).all():
        raise InputError(
            f"num-mel-bins {arguments.num_mel_bins} are too many for {fft // 2} frequencies: a filter has none"
        )
    return filters
