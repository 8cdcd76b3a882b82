"""Whose checkpoints can be read: kind -> the function that says what its weights are."""

from collections.abc import Callable

from torch import Tensor

from sv_py.pretrained import speechbrain_ecapa, three_d_speaker, voxblink2, wespeaker
from sv_py.pretrained.layout import Layout

KINDS: dict[str, Callable[[dict[str, Tensor]], Layout]] = {
    "speechbrain-ecapa": speechbrain_ecapa.layout,
    "wespeaker": wespeaker.layout,
    "voxblink2": voxblink2.layout,
    "3dspeaker": three_d_speaker.layout,
}
