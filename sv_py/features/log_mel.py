"""The compressed, standardised mel spectrogram of ZHAW's recurrent networks."""

import torch

from sv_py.features.arguments import LogMelArguments
from sv_py.features.cmn import standardise
from sv_py.features.frames import CentredFrontEnd
from sv_py.features.mel import FilterBank, slaney_filters


class LogMel(CentredFrontEnd):
    """log10(1 + c x) of librosa's mel power spectrogram x of the waveform between -1 and 1 (ZHAW_deep_voice).

    The logarithm follows Dieleman and Schrauwen (ICASSP 2014). Each bin is then standardised over the waveform given:
    the whole utterance when features are stored and in extraction, the crop when training on audio.
    """

    def __init__(self, arguments: LogMelArguments):
        super().__init__(arguments, arguments.num_mel_bins, torch.hann_window(arguments.length), arguments.n_fft)
        self.filters = FilterBank(slaney_filters(arguments, arguments.n_fft))

    def _features(self, power: torch.Tensor) -> torch.Tensor:
        return (1 + self.arguments.compression * self.filters(power)).log10()

    def _finish(self, feats: torch.Tensor) -> torch.Tensor:
        return standardise(feats, dim=1) if self.arguments.standardise else feats
