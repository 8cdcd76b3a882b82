"""Exported models: ONNX Runtime turns waveforms into the embeddings that extraction gives."""

import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch
from backbones import ASP, REDIM, SMALL
from loader_data import make_audio, read_wavs

from sv_py import config as configuration
from sv_py import export_onnx
from sv_py.cli import InputError
from sv_py.data.dataset import Frames
from sv_py.export_onnx import check, convert, front_end, need
from sv_py.features import FRONTENDS
from sv_py.features.arguments import describe
from sv_py.models import BACKBONES, POOLINGS
from sv_py.models.arguments import CAMPPlusArguments, ERes2NetV2Arguments, ReDimNet2Arguments
from sv_py.models.backbone import Backbone
from sv_py.schema import Features
from sv_py.train import checkpoint
from sv_py.train.embedder import Embedder, LSTMOperator
from sv_py.train.model import TrainedModel, embed, load_model, open_set

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
FBANK = {"frontend": {"name": "kaldi_fbank", "args": {"num_mel_bins": 20, "dither": 1.0}}}
FEATURES = [
    {"frontend": {"name": "speechbrain_fbank", "args": {"num_mel_bins": 20}}},
    {"frontend": {"name": "mel_spectrogram", "args": {"num_mel_bins": 20, "normalise": "max"}}},
    {"frontend": {"name": "log_mel", "args": {"num_mel_bins": 20}}, "cmn": "none"},
    {"frontend": {"name": "spectrogram"}, "cmn": "none"},
    FBANK,
    {
        "frontend": {"name": "kaldi_fbank", "args": {"num_mel_bins": 19, "use_energy": True, "snip_edges": False}},
        "cmn": "sliding",
    },
]
# Every operation of the networks, but few times: torch takes long to trace one.
STAGES = {name: values[:1] + values[-1:] if isinstance(values, tuple) else values for name, values in REDIM.items()}
TINY = dict(SMALL) | {
    "campplus": CAMPPlusArguments(4, 12, 4, 8, layers=(2,), dilations=(2,), segment=10, embedding_dim=12),
    "eres2netv2": ERes2NetV2Arguments(width=4, blocks=(1, 1, 1, 1), base_width=32, embedding_dim=12),
    "redimnet2": ReDimNet2Arguments(**STAGES, group_norm=True, output_channels=5, pooling=ASP, embedding_dim=12),
}
PAIRS = list(zip(TINY, itertools.cycle(FEATURES)))  # the front ends begin again


@pytest.fixture(scope="module")
def voices(tiny_wavs) -> torch.Tensor:
    """Waveforms (8, 160000) on the scale of 16-bit integers: each recording over and over, for 10 s."""
    return torch.from_numpy(np.stack([np.resize(x, 160000) for x in read_wavs(tiny_wavs).values()])).float()


@pytest.fixture(scope="module")
def make_model(voices, tmp_path_factory):
    """``make_model(backbone, features)``: the model of a checkpoint whose batch norm has seen the voices."""

    def make(backbone, features) -> TrainedModel:
        folder = tmp_path_factory.mktemp("model")
        values = {"model": {"name": backbone}, "features": features, "data": {"source": "audio"}}
        (folder / "config.yaml").write_text(json.dumps(values))  # JSON is YAML
        config = configuration.load(folder / "config.yaml")
        config = replace(config, model=replace(config.model, args=TINY[backbone]))
        frontend = FRONTENDS.build(config.features.frontend.name, config.features.frontend.args).eval()
        torch.manual_seed(0)
        network = BACKBONES.build(backbone, config.model.args, feature_dim=frontend.feature_dim)
        with torch.no_grad():
            for _ in range(20):
                network(Frames(config.features, frontend).eval()(voices[:, :16000]))
        state = {
            "config": configuration.to_dict(config),
            "model": network.state_dict(),
            "feats_id": describe(config.features.frontend.name, config.features.frontend.args),
            "feature_dim": frontend.feature_dim,
        }
        checkpoint.save(folder / "final.pt", state)
        return load_model(folder / "final.pt", CPU)

    return make


@pytest.fixture(scope="module")
def make_proto(make_model):
    """``make_proto(backbone, features)``: the model and its ONNX file, made once."""
    made = {}

    def make(backbone, features) -> tuple[TrainedModel, bytes]:
        if backbone not in made:
            model = make_model(backbone, features)
            made[backbone] = model, to_onnx(model)
        return made[backbone]

    return make


@pytest.fixture(scope="module")
def model(make_proto) -> TrainedModel:
    """An x-vector, which takes 15 frames and more."""
    return make_proto("xvector", FBANK)[0]


@pytest.fixture(scope="module")
def proto(make_proto) -> bytes:
    return make_proto("xvector", FBANK)[1]


@pytest.fixture
def on_features(model) -> TrainedModel:
    """The same, trained on stored features."""
    features, data = replace(model.config.features, frontend=None), replace(model.config.data, source="feats")
    return replace(model, config=replace(model.config, features=features, data=data))


def to_onnx(model: TrainedModel) -> bytes:
    graph = Embedder(FRONTENDS.build(*front_end(model)).eval(), model.config.features, model.network).eval()
    return convert(graph).SerializeToString()


def embeddings(session, waveforms: torch.Tensor) -> np.ndarray:
    return session.run(["embedding"], {"waveform": waveforms.numpy() / 32768})[0]


@torch.inference_mode()
def expected(network: Backbone, frames: torch.Tensor) -> np.ndarray:
    """What PyTorch gives for frames (B, T, F), which are repeated if they are too few."""
    times = -(-network.min_frames // frames.shape[1])
    return network(frames.repeat(1, times, 1)[:, : network.min_frames] if times > 1 else frames).numpy()


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def assert_same_everywhere(network: Backbone, frames: Frames, voices: torch.Tensor, proto: bytes) -> None:
    """One frame, the least number that the network takes, a second, ten seconds; one and several at a time."""
    session = onnxruntime.InferenceSession(proto)
    spread = expected(network, frames(voices[:, :16000])).std(axis=0).mean()  # voices differ by so much
    for length in (1, network.min_frames, network.min_frames + 1, 98, 998):
        samples = frames.frontend.num_samples(length)
        for waveforms in (voices[:1, -samples:], voices[1:4, -samples:]):
            ours, theirs = expected(network, frames(waveforms)), embeddings(session, waveforms)
            assert theirs.shape == ours.shape and theirs.dtype == np.float32
            scale = spread if length >= 98 else abs(ours).max()  # few frames: deviations near 0 are rounding
            assert abs(theirs - ours).max() <= 0.005 * scale, (length, len(waveforms))
            assert length < 98 or cosine(ours, theirs).min() >= 0.9999, (length, len(waveforms))


@pytest.mark.parametrize(
    ("name", "features"), PAIRS, ids=[f"{name} on {features['frontend']['name']}" for name, features in PAIRS]
)
def test_a_backbone_runs_elsewhere_with_its_front_end_on_any_batch_and_length(make_proto, voices, name, features):
    model, proto = make_proto(name, features)
    frames = Frames(model.config.features, FRONTENDS.build(*front_end(model))).eval()
    assert_same_everywhere(model.network, frames, voices, proto)
    assert check(proto, model, frames.frontend) >= 0.9999
    assert_understood_by_old_runtimes(onnx.load_from_string(proto))


def assert_understood_by_old_runtimes(proto: onnx.ModelProto) -> None:
    """Also, that they compute the same: ONNX Runtime up to 1.20 has another mean of windows that are cut off."""
    onnx.checker.check_model(proto, full_check=True)
    assert proto.ir_version == 8 and [(opset.domain, opset.version) for opset in proto.opset_import] == [("", 18)]
    assert not any(a.name == "ceil_mode" and a.i for node in proto.graph.node for a in node.attribute)


def test_no_backbone_and_no_front_end_was_forgotten():
    assert {name for name, _ in PAIRS} == set(BACKBONES.entries)
    assert {features["frontend"]["name"] for _, features in PAIRS} == set(FRONTENDS.entries)
    assert len(PAIRS) >= len(FEATURES) and ("xvector", FBANK) in PAIRS


class AllPoolings(Backbone):
    """Every pooling of the same map (B, 8, 5, T)."""

    min_frames = 1

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(
            POOLINGS.build(name, kind(), channels=8, rows=5) for name, (kind, _) in POOLINGS.entries.items()
        )
        self.embedding_dim = sum(layer.output_dim for layer in self.layers)

    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        x = feats.transpose(1, 2).unflatten(1, (8, 5))
        return torch.cat([layer(x) for layer in self.layers], dim=1)


def test_every_pooling_runs_elsewhere(voices):
    torch.manual_seed(0)
    network, options = AllPoolings().eval(), Features(cmn="none")
    frontend = FRONTENDS.build("log_mel", FRONTENDS.arguments("log_mel")(num_mel_bins=40)).eval()
    proto = convert(Embedder(frontend, options, network).eval()).SerializeToString()
    assert_same_everywhere(network, Frames(options, frontend).eval(), voices, proto)


def test_another_layout_of_a_recurrent_layer_is_refused_rather_than_computed_wrongly():
    with pytest.raises(NotImplementedError, match="only single layers"):
        LSTMOperator(torch.nn.LSTM(4, 4, num_layers=2, batch_first=True))


def test_silence_and_a_click_have_embeddings_and_nothing_is_an_error(proto):
    session = onnxruntime.InferenceSession(proto)
    for samples in (1, 100, 399, 16000):
        assert np.isfinite(embeddings(session, torch.zeros(2, samples))).all()
    with pytest.raises(Exception, match="ONNXRuntimeError"):
        embeddings(session, torch.zeros(1, 0))


def test_the_file_gives_what_extraction_gives_of_recordings_as_soundfile_reads_them(
    model, proto, tiny_wavs, tmp_path, run
):
    run(ROOT / "steps/export_onnx.sh", model.path, "out/final.onnx")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["final.onnx", "log"]
    assert_the_same_but_for_what_main_adds(onnx.load(tmp_path / "out/final.onnx"), proto)
    session = onnxruntime.InferenceSession(tmp_path / "out/final.onnx")
    samples = read_wavs(tiny_wavs)
    samples["dan-3"] = samples["dan-2"][:1500]  # 7 frames
    utterances = open_set(make_audio(tmp_path / "data", samples), model.config)
    for utt in samples:
        waveform, _ = soundfile.read(tiny_wavs / f"{utt.replace('-3', '-2')}.wav", dtype="float32")
        theirs = embeddings(session, 32768 * torch.from_numpy(waveform[None, : len(samples[utt])]))
        assert cosine(theirs[0], embed(model.network, utterances, utt, CPU)) >= 0.9999, utt


def assert_the_same_but_for_what_main_adds(proto: onnx.ModelProto, other: bytes) -> None:
    """To the bit, in another process: no addresses in memory; and no paths of this machine."""
    del proto.metadata_props[:]
    proto.producer_name, proto.producer_version = "pytorch", onnx.load_from_string(other).producer_version
    assert proto.SerializeToString() == other
    assert str(ROOT).encode() not in other and b"embedder.py" not in other


def test_real_speech_has_the_same_embeddings(model, proto, shared):
    session = onnxruntime.InferenceSession(proto)
    frames = Frames(model.config.features, FRONTENDS.build(*front_end(model))).eval()
    paths = sorted((shared / "corpora/libri").rglob("*.opus"))[::100]
    assert paths
    for path in paths:
        waveform = torch.from_numpy(soundfile.read(path, dtype="int16")[0]).float()[None]
        assert cosine(embeddings(session, waveform), expected(model.network, frames(waveform))) >= 0.9999, path


def test_the_file_says_what_it_was_made_from_and_whether_silence_has_to_be_removed(
    on_features, monkeypatch, tmp_path, caplog
):
    config = replace(on_features.config, features=replace(on_features.config.features, vad=True))
    state = checkpoint.load(on_features.path) | {"config": configuration.to_dict(config)}
    checkpoint.save(tmp_path / "final.pt", state)
    argv = ["export_onnx", "--threshold", "0.31", str(tmp_path / "final.pt"), str(tmp_path / "x.onnx")]
    monkeypatch.setattr(sys, "argv", argv)
    export_onnx.main()
    assert "silence has to be removed before" in caplog.text
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    found = session.get_modelmeta().custom_metadata_map
    (tmp_path / "x.yaml").write_text(found.pop("config"))
    assert configuration.load(tmp_path / "x.yaml") == config
    assert found == {
        "format": "1", "sample_rate": "16000", "embedding_dim": "12", "speech_only": "true",
        "feats_id": state["feats_id"], "threshold": "0.31", "score": "cosine",
    }  # fmt: skip
    assert session.get_modelmeta().producer_name == "sv_py"
    shapes = [(value.name, value.shape, value.type) for value in (*session.get_inputs(), *session.get_outputs())]
    assert shapes == [
        ("waveform", ["batch", "samples"], "tensor(float)"),
        ("embedding", ["batch", 12], "tensor(float)"),
    ]


def test_a_file_that_differs_from_the_network_is_refused(model, proto):
    other = load_model(model.path, CPU)
    frontend = FRONTENDS.build(*front_end(model)).eval()
    assert check(proto, other, frontend) >= 0.9999
    with torch.no_grad():
        next(other.network.parameters()).neg_()
    with pytest.raises(InputError, match=r"final.pt: .* differ from PyTorch's: cosine"):
        check(proto, other, frontend)
    with torch.no_grad():
        next(other.network.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match="cosine nan"):
        check(proto, other, frontend)


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ("", "final.pt: was trained on features of unknown making"),
        ("frontend=kaldi_fbnk\n", "feats.id:1: unknown front end 'kaldi_fbnk' (did you mean 'kaldi_fbank'?)"),
        ("computed by somebody else\n", "feats.id:1: expected frontend=NAME"),
    ],
)
def test_a_model_of_features_that_are_not_ours_cannot_be_exported(on_features, identity, message):
    assert front_end(on_features) == ("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")(**FBANK["frontend"]["args"]))
    with pytest.raises(InputError) as error:
        front_end(replace(on_features, feats_id=identity))
    assert message in str(error.value)


def test_packages_that_lack_are_named_with_the_file_that_lists_them():
    need("onnx", "onnxruntime")
    with pytest.raises(InputError, match=r"needs onnx_of_old and onnx_of_new: pip install -r requirements-onnx.txt"):
        need("onnx_of_old", "onnx", "onnx_of_new")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.pt", "x.onnx"], "no such file: none.pt"),
        (["final.pt"], "1 arguments instead of 2"),
        (["--threshold", "1.5", "final.pt", "x.onnx"], "--threshold is a cosine, between -1 and 1, not 1.5"),
        (["--treshold", "0.5", "final.pt", "x.onnx"], "did you mean '--threshold'?"),
        (["text", "x.onnx"], "text: truncated or not a checkpoint"),
        (["final.pt", "folder"], "folder: is a folder, or the model itself"),
        (["final.pt", "./final.pt"], "final.pt: is a folder, or the model itself"),
    ],
)
def test_a_mistake_fails_and_the_file_of_before_stays(model, tmp_path, run, arguments, message):
    (tmp_path / "final.pt").write_bytes(model.path.read_bytes())
    for name in ("text", "x.onnx"):
        (tmp_path / name).write_text("of before")
    (tmp_path / "folder").mkdir()
    done = run(ROOT / "steps/export_onnx.sh", *arguments, code=1)
    assert message in done.stderr
    assert (tmp_path / "x.onnx").read_text() == "of before"
    assert (tmp_path / "final.pt").read_bytes() == model.path.read_bytes()
