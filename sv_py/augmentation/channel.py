"""What microphones, amplifiers and telephones do."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from sv_py.augmentation.arguments import TelephoneArguments
from sv_py.augmentation.base import Augmentation, column, fft_length, uniform
from sv_py.cli import InputError

_TELEPHONE = 8000  # samples per second
_SLOPE = 150.0  # Hz from an edge of the band to silence
_PADDING = 0.02  # s of zeros behind a waveform: room for the filter's response, which must not wrap to its start


class Gain(Augmentation):
    """The waveform times a factor."""

    def sample(self, rng: np.random.Generator, num_samples: int, row: int | None) -> float:
        """The factor in dB."""
        return uniform(rng, self.arguments.gain)

    def apply(self, waveforms: torch.Tensor, drawn: Sequence[float]) -> torch.Tensor:
        """The amplified waveforms."""
        return waveforms * 10 ** (column(drawn, waveforms) / 20)


class Clipping(Augmentation):
    """The loudest share of the samples is cut off at one level."""

    def sample(self, rng: np.random.Generator, num_samples: int, row: int | None) -> float:
        """The share."""
        return uniform(rng, self.arguments.share)

    def apply(self, waveforms: torch.Tensor, drawn: Sequence[float]) -> torch.Tensor:
        """The clipped waveforms."""
        num_samples = waveforms.shape[1]
        loudness = waveforms.abs()
        ranks = [num_samples - min(int(share * num_samples), num_samples - 1) for share in drawn]
        levels = torch.stack([torch.kthvalue(line, rank).values for line, rank in zip(loudness, ranks, strict=True)])
        return torch.maximum(torch.minimum(waveforms, levels[:, None]), -levels[:, None])


class Telephone(Augmentation):
    """The band of a telephone line and, at 8,000 samples per second, the 8 bits of mu-law."""

    def __init__(self, arguments: TelephoneArguments, pools: object, rate: int):
        super().__init__(arguments, pools, rate)
        if rate < _TELEPHONE:
            raise InputError(f"telephone: audio of {rate} Hz is below the 8000 Hz of a telephone")
        self.jumps = arguments.mu_law
        common = math.gcd(rate, _TELEPHONE)
        self._above, self._below = rate // common, _TELEPHONE // common

    def sample(self, rng: np.random.Generator, num_samples: int, row: int | None) -> bool:
        """Nothing to draw."""
        return True

    def apply(self, waveforms: torch.Tensor, drawn: Sequence[bool]) -> torch.Tensor:
        """The waveforms at the other end of the line.

        In double precision: a sample between two codes falls to the same side in any batch and on any device.
        """
        num_samples = waveforms.shape[1]
        length = fft_length(num_samples + round(_PADDING * self.rate), 2 * self._above)
        shorter = length // self._above * self._below
        spectra = torch.fft.rfft(waveforms.double(), n=length)[:, : shorter // 2 + 1]
        spectra = spectra * self._response(shorter, waveforms.device)
        if self.arguments.mu_law:
            line = torch.fft.irfft(spectra, n=shorter) * (shorter / length)
            spectra = torch.fft.rfft(mu_law(line)) * (length / shorter)
            spectra[:, -1] = 0  # 4,000 Hz, which a longer transform would take for half of a pair
        return torch.fft.irfft(spectra, n=length)[:, :num_samples].to(waveforms.dtype)

    def _response(self, length: int, device: torch.device) -> torch.Tensor:
        """The line's frequency response: 1 within the band, falling to 0 as a raised cosine."""
        frequency = torch.fft.rfftfreq(length, 1 / _TELEPHONE, dtype=torch.float64, device=device)
        low, high = self.arguments.band
        outside = torch.maximum(low - frequency, frequency - high).clamp(0, _SLOPE) / _SLOPE
        return torch.cos(math.pi / 2 * outside) ** 2


def mu_law(samples: torch.Tensor) -> torch.Tensor:
    """Samples on the scale of 16-bit integers, coded in the 8 bits of ITU-T G.711 mu-law and decoded; they clip."""
    biased = samples.abs().clamp_max(32635) + 132
    step = torch.exp2(torch.floor(torch.log2(biased)).clamp(7, 14) - 4)  # sixteen of them in each octave
    return torch.sign(samples) * ((torch.floor(biased / step) + 0.5) * step - 132)
