"""The magnitude spectrogram of Thin ResNet."""

import torch

from sv_py.features.arguments import SpectrogramArguments
from sv_py.features.cmn import standardise
from sv_py.features.frames import CentredFrontEnd


class Spectrogram(CentredFrontEnd):
    """|STFT| of the waveform between -1 and 1, each frame standardised over frequency (Xie et al., ICASSP 2019)."""

    def __init__(self, arguments: SpectrogramArguments):
        super().__init__(arguments, 1 + arguments.n_fft // 2, torch.hann_window(arguments.length), arguments.n_fft)

    def _features(self, power: torch.Tensor) -> torch.Tensor:
        magnitude = power.sqrt()
        return standardise(magnitude, dim=2) if self.arguments.standardise else magnitude
