"""Sounds added to speech at a given signal-to-noise ratio."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from sv_py.augmentation.arguments import NoiseArguments
from sv_py.augmentation.base import Augmentation, Sounds, bound, column, stack, uniform

_SILENCE = 1e-4  # mean square, of samples on the scale of 16-bit integers: below it there is no level to speak of


class Sound(NamedTuple):
    """A sound to add: int16 (samples,), and by how many dB it lies below the speech."""

    samples: np.ndarray
    snr: float


class Additive(Augmentation):
    """Noise, music, another speaker, or babble.

    With P the mean squares in dB, each sound is multiplied by sqrt(10^((P_speech - P_sound - SNR) / 10)) and added
    (Snyder et al., X-vectors, ICASSP 2018). Every sound has its own SNR, as in Kaldi and voxceleb_trainer: the babble
    of n talkers as a whole is about 10 log10(n) dB louder than one. Nothing is added to silence, and no silence.
    """

    def __init__(self, arguments: NoiseArguments, pools: Mapping[str, Sounds], rate: int):
        super().__init__(arguments, pools, rate)
        self.sounds = bound(arguments.source, pools)

    def sample(self, rng: np.random.Generator, num_samples: int, row: int | None) -> list[Sound]:
        """As many sounds as drawn, each as long as the waveform; from the training set none of the same speaker."""
        least, most = self.arguments.count
        own = row if self.arguments.source == "train" else None
        return [
            Sound(self.sounds.segment(rng, num_samples, own), uniform(rng, self.arguments.snr))
            for _ in range(rng.integers(least, most + 1))
        ]

    def apply(self, waveforms: torch.Tensor, drawn: Sequence[list[Sound]]) -> torch.Tensor:
        """The waveforms with their sounds."""
        speech = _power(waveforms)
        result = waveforms.clone()
        for n in range(max(map(len, drawn))):  # the n-th sound of all that have one: a fixed order of the sums
            rows = [i for i, sounds in enumerate(drawn) if n < len(sounds)]
            added = stack([drawn[i][n].samples for i in rows], waveforms)
            snr = column([drawn[i][n].snr for i in rows], waveforms)
            loudness = _power(added)
            gain = torch.sqrt(speech[rows] / loudness.clamp_min(_SILENCE)) * 10 ** (-snr / 20)
            audible = (speech[rows] > _SILENCE) & (loudness > _SILENCE)
            result[rows] += torch.where(audible, gain, 0) * added
        return result


def _power(waveforms: torch.Tensor) -> torch.Tensor:
    """Mean squares (B, 1)."""
    return waveforms.square().mean(dim=1, keepdim=True)
