"""A trained network as a file: built from its own configuration, with the identity of its features."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sv_py.cli import InputError
from sv_py.config import from_dict
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.features.arguments import FrameArguments, difference, same_features
from sv_py.models import BACKBONES
from sv_py.models.backbone import Backbone, repeated
from sv_py.schema import Config
from sv_py.train import checkpoint


@dataclass(frozen=True)
class TrainedModel:
    """A backbone in evaluation mode with what extraction must know of its training."""

    network: Backbone
    config: Config
    feats_id: str  # text of the training data's feats.id
    path: Path

    def check(self, utterances: FeatureSet | AudioSet, silence: bool = True) -> None:
        """Raise InputError if the features of ``utterances`` are not made as those of the training were.

        ``silence``: whether it counts that silence was dropped in another way.
        """
        texts = [text if silence else text.partition("detector=")[0] for text in (self.feats_id, utterances.id)]
        if same_features(*texts):
            return
        there, here = difference(*texts)
        raise InputError(f"{self.path} was trained on other features: {here} here, {there} in training")


def open_device(name: str) -> torch.device:
    """The device of this name, ready for use. Raises InputError if it is not there."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name}: {str(error).splitlines()[0]}") from None


def open_set(
    data_dir: str | Path, config: Config, detector: tuple[str, FrameArguments] | None = None
) -> FeatureSet | AudioSet:
    """The utterances of a data dir as an experiment reads them; ``detector``: as of `AudioSet`."""
    if config.data.source == "audio":
        return AudioSet(data_dir, config.features, detector)
    return FeatureSet(data_dir, config.features)


def load_model(path: str | Path, device: torch.device) -> TrainedModel:
    """The network of ``final.pt`` or of any checkpoint."""
    state = checkpoint.load(path)
    config = from_dict(state["config"], str(path))
    network = BACKBONES.build(config.model.name, config.model.args, feature_dim=state["feature_dim"])
    try:
        network.load_state_dict(state["model"])
    except RuntimeError as error:
        raise InputError(f"its weights do not fit its configuration: {error}", path) from None
    return TrainedModel(network.to(device).eval(), config, state["feats_id"], Path(path))


@torch.inference_mode()
def embed(network: Backbone, utterances: FeatureSet | AudioSet, utt: str, device: torch.device) -> np.ndarray:
    """The embedding (E,) float32 of a whole utterance; the network must be in evaluation mode.

    One utterance at a time: the result does not depend on which others are extracted with it, to the bit.
    """
    frames = torch.from_numpy(utterances.read(utt)).to(device)
    embedding = network(repeated(frames[None], network.min_frames))[0].float().cpu().numpy()
    if not np.isfinite(embedding).all():
        raise InputError(f"'{utt}': its embedding is not finite")
    return embedding
