"""Change of speed by resampling, which moves tempo, pitch and formants alike: a speaker becomes another."""

import functools
import math

import numpy as np
import torch

from sv_py.augmentation.arguments import speed_ratio

_CROSSINGS = 24  # zero crossings of the filter on each side
_ROLLOFF = 0.945  # cut-off, relative to the lower of the two Nyquist frequencies
_BETA = 9.0  # of the Kaiser window, -90 dB
_BLOCK = 1 << 13  # windows filtered at once: the memory of long recordings stays small


def speed_input_samples(num_samples: int, factor: float) -> int:
    """How many samples, played ``factor`` times as fast, give ``num_samples``."""
    return math.ceil(num_samples * speed_ratio(factor))


def speed_output_samples(num_samples: int, factor: float) -> int:
    """How many samples are left of ``num_samples``, played ``factor`` times as fast: the quotient, rounded."""
    return max(1, round(num_samples / speed_ratio(factor)))


def speed(waveforms: torch.Tensor, factor: float, num_samples: int) -> torch.Tensor:
    """Waveforms (B, N) played ``factor`` times as fast: the first ``num_samples`` of the result, (B, num_samples).

    A windowed-sinc interpolator: output n is the input at n * factor, and zeros are assumed around it. Raises
    InputError for a factor outside 0.5 to 2 or with more than three decimals.
    """
    ratio = speed_ratio(factor)
    step, phases = ratio.numerator, ratio.denominator  # so many outputs of so many inputs
    filters = torch.from_numpy(_filters(step, phases)).to(waveforms)
    half = (len(filters) - step) // 2
    windows = -(-num_samples // phases)
    behind = (windows - 1) * step + len(filters) - half - waveforms.shape[1]
    padded = torch.nn.functional.pad(waveforms, (half, max(0, behind)))
    frames = padded.unfold(1, len(filters), step)[:, :windows]
    outputs = torch.cat([block @ filters for block in frames.split(_BLOCK, dim=1)], dim=1)
    return outputs.reshape(len(waveforms), -1)[:, :num_samples]


@functools.lru_cache(maxsize=16)
def _filters(step: int, phases: int) -> np.ndarray:
    """Filters (taps, phases), float32: a window of inputs, ``step`` after the last one, gives ``phases`` outputs."""
    cutoff = _ROLLOFF * min(1.0, phases / step)
    half = math.ceil(_CROSSINGS / cutoff)
    inputs = np.arange(-half, step + half)[:, None]
    time = inputs - np.arange(phases) * step / phases
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (time * cutoff / _CROSSINGS) ** 2, 0, None))) / np.i0(_BETA)
    filters = cutoff * np.sinc(cutoff * time) * np.where(np.abs(time) * cutoff < _CROSSINGS, window, 0)
    return (filters / filters.sum(axis=0)).astype(np.float32)
