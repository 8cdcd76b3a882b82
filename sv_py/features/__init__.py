"""Front ends: waveform -> frames. One object serves feature making, training and extraction.

``FRONTENDS.build(name, arguments)`` gives a module that maps waveforms (B, N), float32 on the scale of 16-bit integers,
to features (B, T, F), with the attributes ``feature_dim`` (F) and ``sample_frequency`` (Hz) and the methods
``num_frames(num_samples)`` and ``num_samples(num_frames)``: `sv_py.features.frames.FrontEnd`.
"""

from sv_py.features.arguments import (
    KaldiFbankArguments,
    LogMelArguments,
    MelSpectrogramArguments,
    SpectrogramArguments,
    SpeechbrainFbankArguments,
)
from sv_py.registry import Table

FRONTENDS = Table(
    "front end",
    {
        "kaldi_fbank": (KaldiFbankArguments, "sv_py.features.kaldi_fbank:KaldiFbank"),
        "mel_spectrogram": (MelSpectrogramArguments, "sv_py.features.mel_spectrogram:MelSpectrogram"),
        "log_mel": (LogMelArguments, "sv_py.features.log_mel:LogMel"),
        "spectrogram": (SpectrogramArguments, "sv_py.features.spectrogram:Spectrogram"),
        "speechbrain_fbank": (SpeechbrainFbankArguments, "sv_py.features.speechbrain_fbank:SpeechbrainFbank"),
    },
)
