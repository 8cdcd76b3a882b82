"""Reverberation: convolution with the impulse responses of rooms."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from sv_py.augmentation.arguments import ReverbArguments
from sv_py.augmentation.base import Augmentation, Sounds, bound, fft_length


class Response(NamedTuple):
    """A room impulse response (samples,), and the place of its direct sound."""

    samples: np.ndarray
    direct: int


class Convolution(Augmentation):
    """Convolves with the responses that a subclass draws.

    A response is scaled to unit energy, as in WeSpeaker and voxceleb_trainer, and its direct sound is put at time 0, as
    in Kaldi: the result is as long as the waveform and aligned with it, and the tail behind its end is lost.
    """

    def apply(self, waveforms: torch.Tensor, drawn: Sequence[Response]) -> torch.Tensor:
        """The reverberated waveforms. Responses of about the same length are convolved together."""
        num_samples = waveforms.shape[1]
        result = torch.empty_like(waveforms)
        groups: dict[int, list[int]] = {}
        for i, (samples, direct) in enumerate(drawn):
            before, after = direct, len(samples) - direct  # what a cyclic convolution must not wrap into the result
            groups.setdefault(fft_length(num_samples + max(before, after)), []).append(i)
        for length, rows in groups.items():
            spectra = torch.fft.rfft(_placed([drawn[i] for i in rows], length, waveforms))
            spectra *= torch.fft.rfft(waveforms[rows], n=length)
            result[rows] = torch.fft.irfft(spectra, n=length)[:, :num_samples]
        return result


class Reverb(Convolution):
    """Responses measured, or simulated by others: those of a data dir."""

    def __init__(self, arguments: ReverbArguments, pools: Mapping[str, Sounds], rate: int):
        super().__init__(arguments, pools, rate)
        self.sounds = bound(arguments.source, pools)

    def sample(self, rng: np.random.Generator, num_samples: int, row: int | None) -> Response | None:
        """A response; the direct sound is its peak. None if it is silent."""
        samples = self.sounds.whole(rng)
        direct = int(np.abs(samples.astype(np.int32)).argmax())  # int16 has no +32768
        if samples[direct] == 0:
            return None
        return trimmed(samples, direct, num_samples)


def trimmed(samples: np.ndarray, direct: int, num_samples: int) -> Response:
    """The part of a response that reaches a waveform of ``num_samples``."""
    first = max(0, direct - num_samples)
    return Response(samples[first : direct + num_samples], direct - first)


def _placed(responses: Sequence[Response], length: int, like: torch.Tensor) -> torch.Tensor:
    """Responses of unit energy, direct sounds at 0, what comes before them at the end: (B, length)."""
    buffer = np.zeros((len(responses), length), np.float32)
    for line, (samples, direct) in zip(buffer, responses, strict=True):
        line[: len(samples) - direct] = samples[direct:]
        line[length - direct :] = samples[:direct]
    placed = torch.from_numpy(buffer).to(like.device, non_blocking=True).to(like.dtype)
    return placed / placed.square().sum(dim=1, keepdim=True).sqrt()
