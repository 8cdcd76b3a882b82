"""Change of tempo: faster or slower speech of the same pitch."""

from collections.abc import Sequence

import numpy as np
import torch

from sv_py.augmentation.base import Augmentation, fft_length, uniform

_HOP = 0.016  # s from a piece to the next; pieces are twice as long
_SEARCH = 0.008  # s in both directions: half the period of a voice of 63 Hz


class Tempo(Augmentation):
    """Waveform similarity overlap-add (WSOLA; Verhelst and Roelands, ICASSP 1993).

    The output is put together from overlapping pieces of the input. Each is taken near the place that the tempo asks
    for, from where it is most like the natural continuation of the piece before. The waveform keeps its length: what
    is faster begins again when it is over, what is slower is cut off.
    """

    jumps = True  # from one of two places that are alike to the other

    def sample(self, rng: np.random.Generator, num_samples: int, row: int | None) -> float:
        """The factor."""
        return uniform(rng, self.arguments.factor)

    def apply(self, waveforms: torch.Tensor, drawn: Sequence[float]) -> torch.Tensor:
        """The waveforms at other tempos."""
        hop, search = round(_HOP * self.rate), round(_SEARCH * self.rate)
        factors = torch.tensor(drawn, dtype=torch.float64).to(waveforms.device)
        # in double precision: of two places that are alike, the same is taken in any batch and on any device
        return _wsola(waveforms.double(), factors, hop, search).to(waveforms.dtype)


def _wsola(waveforms: torch.Tensor, factors: torch.Tensor, hop: int, search: int) -> torch.Tensor:
    """Waveforms (B, samples) at the tempos ``factors`` (B,)."""
    num_samples, size = waveforms.shape[1], 2 * hop
    length = fft_length(size + 2 * search)
    window = torch.hann_window(size, dtype=waveforms.dtype, device=waveforms.device)

    def cut(first: torch.Tensor, count: int) -> torch.Tensor:
        """``count`` samples of each waveform from ``first`` (B,) on; behind the end it begins again."""
        places = first[:, None] + torch.arange(count, device=first.device)
        return waveforms.gather(1, places % num_samples)

    pieces = -(-num_samples // hop) + 1
    output = waveforms.new_zeros(len(waveforms), (pieces + 1) * hop)
    place = torch.full_like(factors, -hop, dtype=torch.int64)  # the first piece only fades out
    for n in range(pieces):
        output[:, n * hop : n * hop + size] += window * cut(place, size)
        continuation = cut(place + hop, size)
        around = cut(first := (n * hop * factors).round().long() - search, size + 2 * search)
        spectrum = torch.fft.rfft(around, length) * torch.fft.rfft(continuation, length).conj()
        likeness = torch.fft.irfft(spectrum, length)[:, : 2 * search + 1]
        energy = torch.nn.functional.pad(around.square().cumsum(dim=1), (1, 0))
        energy = energy[:, size:] - energy[:, : 2 * search + 1]
        place = first + (likeness / energy.clamp_min(1).sqrt()).argmax(dim=1)
    return output[:, hop : hop + num_samples]
