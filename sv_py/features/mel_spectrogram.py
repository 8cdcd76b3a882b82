"""The log mel spectrogram of VoxBlink2's published models."""

import torch

from sv_py.features.arguments import MelSpectrogramArguments
from sv_py.features.frames import CentredFrontEnd
from sv_py.features.mel import FilterBank, htk_filters

_GUARD = 1e-4  # added to the largest value


class MelSpectrogram(CentredFrontEnd):
    """log(offset + mel power spectrogram) of the normalised, then pre-emphasised waveform (ScriptsForVoxBlink2, asv).

    Everything after the waveform's normalisation is torchaudio.transforms.MelSpectrogram. The models also want the mean
    of the utterance subtracted: that is `cmn: utterance`.
    """

    def __init__(self, arguments: MelSpectrogramArguments):
        super().__init__(arguments, arguments.num_mel_bins, torch.hann_window(arguments.length), arguments.n_fft)
        self.filters = FilterBank(htk_filters(arguments, arguments.n_fft))

    def _prepare(self, waveforms: torch.Tensor) -> torch.Tensor:
        normalised = self._normalised(waveforms)
        previous = normalised[:, :-1] * self.arguments.preemphasis_coefficient
        return torch.cat((normalised[:, :1], normalised[:, 1:] - previous), dim=1)

    def _normalised(self, waveforms: torch.Tensor) -> torch.Tensor:
        if self.arguments.normalise == "max":
            return waveforms / (waveforms.abs().amax(1, keepdim=True) + _GUARD)
        if self.arguments.normalise == "std":
            deviation, mean = torch.std_mean(waveforms, 1, correction=0, keepdim=True)
            return (waveforms - mean) / torch.where(deviation > 0, deviation, 1.0)  # silence stays silence
        return waveforms

    def _features(self, power: torch.Tensor) -> torch.Tensor:
        return (self.filters(power) + self.arguments.log_offset).log()
