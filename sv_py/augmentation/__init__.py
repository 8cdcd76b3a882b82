"""Augmentation of waveforms (B, samples), float32 on the scale of 16-bit integers, docs/augmentation.md.

An entry is built as ``AUGMENTATIONS.build(name, arguments, pools=..., rate=...)`` and is an ``Augmentation``
(sv_py/augmentation/base.py): it draws its random numbers and sounds per utterance on the CPU, and applies them to
batches wherever these lie. `sv_py.augmentation.chain.build_chain` builds what a phase lists.
"""

from sv_py.augmentation import arguments
from sv_py.registry import Table

AUGMENTATIONS = Table(
    "augmentation",
    {
        "noise": (arguments.NoiseArguments, "sv_py.augmentation.additive:Additive"),
        "music": (arguments.MusicArguments, "sv_py.augmentation.additive:Additive"),
        "speech": (arguments.SpeechArguments, "sv_py.augmentation.additive:Additive"),
        "babble": (arguments.BabbleArguments, "sv_py.augmentation.additive:Additive"),
        "reverb": (arguments.ReverbArguments, "sv_py.augmentation.reverb:Reverb"),
        "rooms": (arguments.RoomsArguments, "sv_py.augmentation.rooms:Rooms"),
        "gain": (arguments.GainArguments, "sv_py.augmentation.channel:Gain"),
        "telephone": (arguments.TelephoneArguments, "sv_py.augmentation.channel:Telephone"),
        "clipping": (arguments.ClippingArguments, "sv_py.augmentation.channel:Clipping"),
        "tempo": (arguments.TempoArguments, "sv_py.augmentation.tempo:Tempo"),
        "one_of": (arguments.OneOfArguments, "sv_py.augmentation.chain:OneOf"),
        "all_of": (arguments.AllOfArguments, "sv_py.augmentation.chain:AllOf"),
    },
)
