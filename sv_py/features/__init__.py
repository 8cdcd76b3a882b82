"""Front ends: waveform -> frames. One object serves feature making, training and extraction."""

from sv_py.features.arguments import KaldiFbankArguments
from sv_py.registry import Table

FRONTENDS = Table("front end", {"kaldi_fbank": (KaldiFbankArguments, "sv_py.features.kaldi_fbank:KaldiFbank")})
