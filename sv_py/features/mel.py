"""Filters on mel scales, each as its authors define it, and the product with them."""

import math

import torch
from torch import nn

from sv_py.cli import InputError
from sv_py.features.arguments import MelArguments

_GROUP = 16  # filters multiplied together: few enough to span a narrow band, enough to fill a vector register


class FilterBank(nn.Module):
    """Spectra (..., 1 + n_fft / 2) -> the filters' outputs (..., num_mel_bins).

    ``filters`` is (num_mel_bins, frequencies). Filters are narrow, so groups of neighbours are multiplied with their
    own band only, at a third of the cost of the whole matrix. Raises InputError if a filter has no frequency.
    """

    def __init__(self, filters: torch.Tensor):
        super().__init__()
        bins, frequencies = filters.shape
        if not filters.any(dim=1).all():
            raise InputError(f"num-mel-bins {bins} are too many for {frequencies} frequencies: a filter has none")
        self.groups: list[tuple[int, int, str]] = []  # band, and the buffer that holds the matrix
        for number, group in enumerate(filters.float().split(_GROUP)):
            used = group.any(dim=0).nonzero()
            first, stop, name = int(used[0]), int(used[-1]) + 1, f"group{number}"
            self.groups.append((first, stop, name))
            self.register_buffer(name, group[:, first:stop].T.contiguous(), persistent=False)

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        """The filters' outputs."""
        outputs = [spectra[..., first:stop] @ getattr(self, name) for first, stop, name in self.groups]
        return torch.cat(outputs, dim=-1)


def kaldi_filters(arguments: MelArguments, n_fft: int) -> torch.Tensor:
    """Triangles over mel = 1127 ln(1 + f / 700), without the Nyquist frequency (Kaldi's mel-computations.cc)."""
    mel = _kaldi_mel(_frequencies(arguments, n_fft)[: n_fft // 2])
    low, high = (_kaldi_mel(_hertz(f)).item() for f in (arguments.low_freq, arguments.highest))
    return _triangles(mel, _linspace(low, high, arguments))


def htk_filters(arguments: MelArguments, n_fft: int) -> torch.Tensor:
    """Triangles over Hz, their corners equally far apart in mel = 2595 log10(1 + f / 700) (torchaudio's default)."""
    return _triangles(_frequencies(arguments, n_fft), _htk_corners(arguments))


def slaney_filters(arguments: MelArguments, n_fft: int) -> torch.Tensor:
    """Triangles over Hz of equal area, their corners by Slaney's Auditory Toolbox (librosa's default)."""
    low, high = (_slaney_mel(f) for f in (arguments.low_freq, arguments.highest))
    mel = _linspace(low, high, arguments)
    corners = torch.where(mel < 15, mel * 200 / 3, 1000 * (math.log(6.4) / 27 * (mel - 15)).exp())
    return _triangles(_frequencies(arguments, n_fft), corners) * (2 / (corners[2:] - corners[:-2]))[:, None]


def speechbrain_filters(arguments: MelArguments, n_fft: int) -> torch.Tensor:
    """Symmetric triangles over Hz, as wide on both sides as the filter before is far (SpeechBrain's Filterbank)."""
    corners = _htk_corners(arguments)
    centre, width = corners[1:-1, None], (corners[1:-1] - corners[:-2])[:, None]
    return (1 - (_frequencies(arguments, n_fft) - centre).abs() / width).clamp(min=0)


def _triangles(x: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
    """Heights at ``x`` of triangles that span three consecutive corners each: (len(corners) - 2, len(x))."""
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    return torch.minimum((x - left) / (centre - left), (right - x) / (right - centre)).clamp(min=0)


def _hertz(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def _frequencies(arguments: MelArguments, n_fft: int) -> torch.Tensor:
    return torch.arange(n_fft // 2 + 1, dtype=torch.float64) * arguments.sample_frequency / n_fft


def _linspace(low: float, high: float, arguments: MelArguments) -> torch.Tensor:
    return torch.linspace(low, high, arguments.num_mel_bins + 2, dtype=torch.float64)


def _kaldi_mel(hertz: torch.Tensor) -> torch.Tensor:
    return 1127 * (1 + hertz / 700).log()


def _htk_corners(arguments: MelArguments) -> torch.Tensor:
    low, high = (2595 * math.log10(1 + f / 700) for f in (arguments.low_freq, arguments.highest))
    return 700 * (10 ** (_linspace(low, high, arguments) / 2595) - 1)


def _slaney_mel(hertz: float) -> float:
    """Linear up to 1000 Hz, logarithmic above."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)
