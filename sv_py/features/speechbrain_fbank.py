"""The filter banks of SpeechBrain's published models."""

import torch

from sv_py.features.arguments import SpeechbrainFbankArguments
from sv_py.features.frames import CentredFrontEnd
from sv_py.features.mel import FilterBank, speechbrain_filters

_LEAST = 1e-10  # power of -100 dB


class SpeechbrainFbank(CentredFrontEnd):
    """10 log10 of the filters' power, of the waveform between -1 and 1 (SpeechBrain's Fbank, Ravanelli et al. 2021).

    The models also want the mean of the utterance subtracted (its sentence normalisation): that is `cmn: utterance`.
    """

    def __init__(self, arguments: SpeechbrainFbankArguments):
        window = torch.hamming_window(arguments.length)
        super().__init__(arguments, arguments.num_mel_bins, window, arguments.n_fft, edges="zeros")
        self.filters = FilterBank(speechbrain_filters(arguments, arguments.n_fft))

    def _features(self, power: torch.Tensor) -> torch.Tensor:
        return 10 * self.filters(power).clamp(min=_LEAST).log10()

    def _finish(self, feats: torch.Tensor) -> torch.Tensor:
        return feats.maximum(feats.amax((1, 2), keepdim=True) - self.arguments.top_db)
