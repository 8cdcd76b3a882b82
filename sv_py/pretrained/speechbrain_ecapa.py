"""SpeechBrain's ECAPA-TDNN (Ravanelli et al. 2021), as in spkrec-ecapa-voxceleb."""

from torch import Tensor

from sv_py.pretrained.ecapa import SPEECHBRAIN, ecapa
from sv_py.pretrained.layout import Layout


def layout(weights: dict[str, Tensor]) -> Layout:
    """What the weights are. Raises InputError for another network."""
    features = {"frontend": {"name": "speechbrain_fbank", "args": {}}}
    args = {"kept": "first", "padding": "reflect", "summed": False}
    return ecapa(weights, features, SPEECHBRAIN, args, {"bottleneck": "relu_bn_tanh", "floor": 1e-12})
