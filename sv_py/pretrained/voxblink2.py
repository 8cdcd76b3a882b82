"""VoxBlink2's checkpoints (Lin et al. 2024; ScriptsForVoxBlink2/asv): waveform in, so the front end is inside."""

from typing import Any

import torch
from torch import Tensor

from sv_py.cli import InputError, first_few
from sv_py.features.arguments import MelSpectrogramArguments
from sv_py.features.mel import htk_filters
from sv_py.pretrained.ecapa import VOXBLINK2, ecapa
from sv_py.pretrained.layout import Layout
from sv_py.pretrained.resnet import resnet

_WINDOW, _FILTERS = "featCal.fbankCal.spectrogram.window", "featCal.fbankCal.mel_scale.fb"


def layout(weights: dict[str, Tensor]) -> Layout:
    """What the weights are. Raises InputError for another network, or if the front end inside is not ours."""
    features: dict[str, Any] = {"frontend": {"name": "mel_spectrogram", "args": {}}}
    if "front.conv1.weight" in weights:
        found = resnet(weights, features, front="front.", embedding="bottleneck")
        small = found.model["args"]["blocks"] == [3, 4, 6, 3]
    elif "layer1.convs.0.weight" in weights:
        found = ecapa(weights, features, VOXBLINK2, {}, {"bottleneck": "relu_bn_tanh", "floor": 1e-4})
        small = True
    else:
        raise InputError(f"none of VoxBlink2's networks; it begins with {first_few(weights)}")
    arguments = features["frontend"]["args"]
    arguments["normalise"] = "std" if small else "max"
    found.assumed.append(
        f"features.frontend.args.normalise={arguments['normalise']}: std for ResNet34 and ECAPA-TDNN, max for others"
    )
    _check_front_end(weights, MelSpectrogramArguments(**arguments))
    found.ignored.append(("featCal.", "constants of the front end, equal to ours"))
    return found


def _check_front_end(weights: dict[str, Tensor], arguments: MelSpectrogramArguments) -> None:
    expected = {
        _WINDOW: torch.hann_window(arguments.length),
        _FILTERS: htk_filters(arguments, arguments.n_fft).float().T,
    }
    inside = {name: tensor for name, tensor in weights.items() if name.startswith("featCal.")}
    for name, tensor in inside.items():
        ours = expected.get(name)
        if ours is None or ours.shape != tensor.shape or not torch.allclose(ours, tensor, atol=1e-4):
            raise InputError(f"{name} is not what our front end mel_spectrogram has")
