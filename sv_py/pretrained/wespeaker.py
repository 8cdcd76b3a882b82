"""WeSpeaker's checkpoints (Wang et al., ICASSP 2023): ResNets, SimAM-ResNets, ECAPA-TDNN, CAM++."""

from typing import Any

from torch import Tensor

from sv_py.cli import InputError, first_few
from sv_py.pretrained.campplus import campplus
from sv_py.pretrained.ecapa import WESPEAKER, ecapa
from sv_py.pretrained.layout import Layout
from sv_py.pretrained.resnet import resnet


def layout(weights: dict[str, Tensor]) -> Layout:
    """What the weights are. Raises InputError for another network."""
    features: dict[str, Any] = {"frontend": {"name": "kaldi_fbank", "args": {"window_type": "hamming"}}}
    if "seg_2.weight" in weights:
        raise InputError("two_emb_layer: a network with two embedding layers, which is not known here")
    if "front.conv1.weight" in weights:
        found = resnet(weights, features, front="front.", embedding="bottleneck", attention="simam")
    elif "seg_1.weight" in weights:
        found = resnet(weights, features, attention="none")
    elif "layer2.se_res2block.0.conv.weight" in weights:
        found = ecapa(weights, features, WESPEAKER, {"summed": False}, {"bottleneck": "tanh", "floor": 1e-7})
    elif "xvector.tdnn.linear.weight" in weights:
        found = campplus(weights, features)
        found.assumed.append("features.frontend.args.window_type=hamming: what came from 3D-Speaker has povey")
    else:
        raise InputError(f"none of WeSpeaker's networks that are known here; it begins with {first_few(weights)}")
    found.ignored.append(("projection.", "classifier of its training"))
    return found
