"""Corpora: manifests, synthetic voices, audio and features for training. The samplers' table stands here.

A sampler is a function of `sv_py.data.samplers`, which says what it is called with and returns.
"""

from sv_py.data.arguments import SpeakerBalancedArguments, SpeakersTimesUttsArguments, UniformArguments
from sv_py.registry import Table

SAMPLERS = Table(
    "sampler",
    {
        "uniform": (UniformArguments, "sv_py.data.samplers:uniform"),
        "speaker_balanced": (SpeakerBalancedArguments, "sv_py.data.samplers:speaker_balanced"),
        "speakers_times_utts": (SpeakersTimesUttsArguments, "sv_py.data.samplers:speakers_times_utts"),
    },
)
