"""What all front ends share: waveforms cut into frames, of which blocks are computed that fit into a core's cache."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import nn

from sv_py.features.arguments import FrameArguments

FULL_SCALE = 32768.0  # what waveforms are divided by where a front end was defined for values between -1 and 1
_CPU_FRAMES = 800  # a block: more leave the cache of a core, fewer cost more calls
_GPU_FRAMES = 1 << 16


class PowerSpectrum(nn.Module):
    """Real frames (..., n) -> squared magnitudes (..., 1 + n / 2) of their Fourier transform."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """The power spectra."""
        squares = torch.view_as_real(torch.fft.rfft(frames)).flatten(-2).square_()
        return squares[..., ::2] + squares[..., 1::2]


class FrontEnd(nn.Module, ABC):
    """Waveforms (B, N) float32 on the scale of 16-bit integers -> features (B, T, F), on the CPU or a GPU.

    The waveforms of a batch have equal lengths. Those of which num_frames is 0 give (B, 0, F).
    """

    def __init__(self, arguments: FrameArguments, feature_dim: int):
        super().__init__()
        self.arguments = arguments
        self.feature_dim = feature_dim
        self.sample_frequency = int(arguments.sample_frequency)
        self.length, self.shift = arguments.length, arguments.shift
        self.power_spectrum: nn.Module = PowerSpectrum()

    @abstractmethod
    def num_frames(self, num_samples: int) -> int:
        """Frames of a signal."""

    @abstractmethod
    def num_samples(self, num_frames: int) -> int:
        """Least number of samples that have so many frames."""

    def forward(self, waveforms: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Features; ``generator`` draws what is random in train mode (else torch's default one), on its own device."""
        count = self.num_frames(waveforms.shape[-1])
        if count == 0:
            return waveforms.new_empty(waveforms.shape[0], 0, self.feature_dim)
        frames = self._cut(waveforms, count)
        feats = frames.new_empty(len(frames), count, self.feature_dim)
        size = _CPU_FRAMES if frames.device.type == "cpu" else _GPU_FRAMES
        few = max(1, size // count)  # waveforms at once
        with torch.autocast(frames.device.type, enabled=False):
            for b in range(0, len(frames), few):
                for t in range(0, count, size):
                    feats[b : b + few, t : t + size] = self._compute(frames[b : b + few, t : t + size], generator)
        return self._finish(feats)

    def at_once(self, waveforms: torch.Tensor) -> torch.Tensor:
        """The same in one block, without a loop: what can be exported. Takes waveforms of one frame or more."""
        return self._finish(self._compute(self._cut(waveforms, self.num_frames(waveforms.shape[-1])), None))

    @abstractmethod
    def _cut(self, waveforms: torch.Tensor, count: int) -> torch.Tensor:
        """(B, N) -> a view (B, count, width)."""

    @abstractmethod
    def _compute(self, frames: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """Frames (b, t, width) -> features (b, t, F), each frame by itself."""

    def _finish(self, feats: torch.Tensor) -> torch.Tensor:
        """What depends on all frames of an utterance."""
        return feats


class CentredFrontEnd(FrontEnd):
    """Frames around the multiples of the shift: T is 1 + N // shift, 0 of an empty signal.

    As in librosa and torch.stft, a window shorter than ``n_fft`` stands in the middle of the frame, and the signal goes
    on beyond its ends: mirrored (``edges`` "reflect", repeatedly if it is short) or silent ("zeros").
    """

    def __init__(
        self, arguments: FrameArguments, feature_dim: int, window: torch.Tensor, n_fft: int, edges: str = "reflect"
    ):
        super().__init__(arguments, feature_dim)
        before = (n_fft - len(window)) // 2
        window = F.pad(window, (before, n_fft - len(window) - before))
        self.register_buffer("window", window, persistent=False)
        self.edges = edges

    def num_frames(self, num_samples: int) -> int:
        """As in the parent class."""
        return 1 + num_samples // self.shift if num_samples else 0

    def num_samples(self, num_frames: int) -> int:
        """As in the parent class."""
        return max(1, (num_frames - 1) * self.shift) if num_frames else 0

    def _prepare(self, waveforms: torch.Tensor) -> torch.Tensor:
        """The signals of which frames are taken: with values between -1 and 1."""
        return waveforms / FULL_SCALE

    def _cut(self, waveforms: torch.Tensor, count: int) -> torch.Tensor:
        return cut(self._prepare(waveforms), len(self.window) // 2, count, len(self.window), self.shift, self.edges)

    def _compute(self, frames: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        return self._features(self.power_spectrum(frames * self.window))

    @abstractmethod
    def _features(self, power: torch.Tensor) -> torch.Tensor:
        """Power spectra (b, t, 1 + n_fft / 2) -> features."""


def cut(waveforms: torch.Tensor, before: int, count: int, width: int, shift: int, edges: str) -> torch.Tensor:
    """``count`` frames of ``width`` samples, a view (B, count, width); the first begins ``before`` the signal.

    Beyond its ends the signal is silent ("zeros"), or mirrored without ("reflect") or with its last sample ("mirror").
    """
    samples = waveforms.shape[-1]
    after = max(0, (count - 1) * shift + width - before - samples)
    if edges == "zeros":
        extended = F.pad(waveforms, (before, after))
    else:
        position = torch.cat((torch.arange(-before, 0), torch.arange(samples, samples + after)))
        twice = 1 if edges == "mirror" else 0  # whether the samples at the ends come twice
        period = max(1, 2 * samples - 2 + 2 * twice)
        position = position.remainder(torch.full((), period))  # a tensor: else an export would fix its value
        position = torch.minimum(position, period - twice - position).to(waveforms.device)
        ends = waveforms[:, position]
        extended = torch.cat((ends[:, :before], waveforms, ends[:, before:]), dim=1)
    return extended.unfold(-1, width, shift).narrow(1, 0, count)
