"""Log mel filter-bank energies as Kaldi computes them."""

import math

import torch

from sv_py.features.arguments import KaldiFbankArguments, kaldi_num_frames
from sv_py.features.frames import FrontEnd, cut
from sv_py.features.mel import FilterBank, kaldi_filters

_EPSILON = torch.finfo(torch.float32).eps  # Kaldi's floor of the energies


class KaldiFbank(FrontEnd):
    """Kaldi's compute-fbank-feats: F is num_mel_bins, and one more with use_energy.

    T is 1 + (N - length) // shift with snip_edges (0 if N is shorter), else N / shift, rounded.
    Dither is noise on the samples, drawn for each frame anew, in train mode only.
    """

    def __init__(self, arguments: KaldiFbankArguments):
        super().__init__(arguments, arguments.num_mel_bins + arguments.use_energy)
        n_fft = 1 << (self.length - 1).bit_length() if arguments.round_to_power_of_two else self.length
        window = torch.zeros(n_fft)
        window[: self.length] = _window(arguments.window_type, self.length)
        self.register_buffer("window", window, persistent=False)
        self.filters = FilterBank(kaldi_filters(arguments, n_fft))

    def num_frames(self, num_samples: int) -> int:
        """As in the parent class."""
        return kaldi_num_frames(num_samples, self.length, self.shift, self.arguments.snip_edges)

    def num_samples(self, num_frames: int) -> int:
        """As in the parent class."""
        if num_frames == 0:
            return 0
        if not self.arguments.snip_edges:
            return num_frames * self.shift - self.shift // 2
        return self.length + (num_frames - 1) * self.shift

    def _cut(self, waveforms: torch.Tensor, count: int) -> torch.Tensor:
        """Frames as long as the FFT, whose window is zero at the end, and before each the sample that precedes it."""
        width = 1 + len(self.window)
        if self.arguments.snip_edges:
            return cut(waveforms, 1, count, width, self.shift, "zeros")
        return cut(waveforms, 1 + self.length // 2 - self.shift // 2, count, width, self.shift, "mirror")

    def _compute(self, frames: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        options = self.arguments
        if self.training and options.dither:
            frames = frames + options.dither * _normal(frames, generator)
        if options.remove_dc_offset:
            frames = frames - frames[..., 1 : 1 + self.length].mean(-1, keepdim=True)
        samples = frames[..., 1:]
        windowed = samples.sub(frames[..., :-1], alpha=options.preemphasis_coefficient)
        windowed[..., 0] = (1 - options.preemphasis_coefficient) * samples[..., 0]  # as if it stood there twice
        windowed.mul_(self.window)
        spectrum = self.power_spectrum(windowed)
        energies = self.filters(spectrum if options.use_power else spectrum.sqrt())
        if options.use_log_fbank:
            energies = energies.clamp_(min=_EPSILON).log_()
        if not options.use_energy:
            return energies
        energy = _log_energy(samples[..., : self.length] if options.raw_energy else windowed)
        if options.energy_floor > 0:
            energy = energy.clamp(min=math.log(options.energy_floor))
        return torch.cat((energies, energy) if options.htk_compat else (energy, energies), dim=-1)


def _log_energy(frames: torch.Tensor) -> torch.Tensor:
    return frames.square().sum(-1, keepdim=True).clamp(min=_EPSILON).log()


def _normal(like: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    device = like.device if generator is None else generator.device
    return torch.randn(like.shape, generator=generator, device=device).to(like.device)


def _window(kind: str, length: int) -> torch.Tensor:
    phase = 2 * math.pi * torch.arange(length, dtype=torch.float64) / (length - 1)
    windows = {
        "hanning": 0.5 - 0.5 * phase.cos(),
        "povey": (0.5 - 0.5 * phase.cos()) ** 0.85,  # a Hann-like window that reaches zero at its ends
        "hamming": 0.54 - 0.46 * phase.cos(),
        "rectangular": torch.ones_like(phase),
    }
    return windows[kind].float()
