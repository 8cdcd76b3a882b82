"""Others' checkpoints become ours: names and shapes of each layout with random weights, and what must be refused."""

import random
import sys
import tarfile
import zipfile

import pytest
import torch
import torchaudio
from theirs import (
    ERes2NetV2,
    VoxBlink2ECAPA,
    VoxBlink2ResNet,
    WeSpeakerECAPA,
    WeSpeakerResNet,
    settle,
)
from torch import nn

from sv_py import import_checkpoint
from sv_py.cli import InputError
from sv_py.pretrained.files import read_weights
from sv_py.pretrained.folded import read_onnx
from sv_py.train.model import load_model

CPU = torch.device("cpu")
VB2_CONSTANTS = {
    f"featCal.fbankCal.{name}": tensor
    for name, tensor in torchaudio.transforms.MelSpectrogram(16000, 512, 400, 160, n_mels=80).state_dict().items()
}


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """``call(kind, file, *options)`` runs the command; the model and what was printed."""

    def run(kind, file, *options):
        argv = ["import_checkpoint", "--kind", kind, *options, file, tmp_path / "ours.pt"]
        monkeypatch.setattr(sys, "argv", [str(word) for word in argv])
        import_checkpoint.main()
        return load_model(tmp_path / "ours.pt", CPU), capsys.readouterr().out

    return run


@pytest.fixture
def put(tmp_path):
    """``put(state)`` writes a file as they do."""

    def write(state):
        torch.save(state, tmp_path / "theirs.pt")
        return tmp_path / "theirs.pt"

    return write


LAYOUTS = {
    "wespeaker resnet34": ("wespeaker", lambda: WeSpeakerResNet(), {"block": "basic", "blocks": (3, 4, 6, 3)}),
    "wespeaker bottleneck": ("wespeaker", lambda: WeSpeakerResNet(deep=True), {"block": "bottleneck"}),
    "wespeaker astp": ("wespeaker", lambda: WeSpeakerResNet(pooling="ASTP"), {"attention": "none"}),
    "wespeaker tap": ("wespeaker", lambda: WeSpeakerResNet(pooling="TAP"), {}),
    "wespeaker simam": (
        "wespeaker", lambda: VoxBlink2ResNet("ASP", simam=True, blocks=(6, 16, 24, 3)), {"attention": "simam"},
    ),
    "wespeaker ecapa": ("wespeaker", lambda: WeSpeakerECAPA(False, False), {"summed": False, "embedding_norm": False}),
    "wespeaker ecapa glob": ("wespeaker", lambda: WeSpeakerECAPA(True, True), {"scale": 8, "embedding_norm": True}),
    "voxblink2 ecapa": ("voxblink2", VoxBlink2ECAPA, {"summed": True}),
    "voxblink2 resnet34": ("voxblink2", lambda: VoxBlink2ResNet("GSP"), {"attention": "none"}),
    "voxblink2 resnet100": (
        "voxblink2", lambda: VoxBlink2ResNet("TSP", deep=True, blocks=(6, 16, 24, 3)), {"block": "bottleneck"},
    ),
    "voxblink2 resnet293": (
        "voxblink2", lambda: VoxBlink2ResNet("ASP", simam=True, blocks=(10, 20, 64, 3)), {"attention": "simam"},
    ),
    "3dspeaker eres2netv2": ("3dspeaker", ERes2NetV2, {"base_width": 26, "scale": 2, "expansion": 2}),
    "3dspeaker w24s4ep4": (
        "3dspeaker", lambda: ERes2NetV2(base=24, scale=4, expansion=4), {"base_width": 24, "scale": 4, "expansion": 4},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_published_layout_is_recognised_and_computes_the_same(name, call, put):
    kind, build, expected = LAYOUTS[name]
    torch.manual_seed(0)
    theirs = settle(build())
    extra = VB2_CONSTANTS if kind == "voxblink2" else {"projection.weight": torch.rand(5, 12)}
    state = theirs.state_dict() | (extra if kind != "3dspeaker" else {})
    model, printed = call(kind, put({f"module.{key}": value for key, value in state.items()}))
    for key, value in expected.items():
        assert getattr(model.config.model.args, key) == value, key
    feats = torch.randn(2, 70, 80)
    with torch.inference_mode():
        difference = (model.network(feats) - theirs(feats)).abs().max()
    # Their GSP has no floor under the deviation, which channels without any value show.
    assert difference <= (1e-3 if name == "voxblink2 resnet34" else 1e-5) * theirs(feats).abs().max()
    unused = 0 if kind == "3dspeaker" else len(extra)
    assert printed.endswith(f"{len(theirs.state_dict())} tensors used, {unused} unused, none missing\n")


@pytest.mark.parametrize(("name", "normalise"), [("resnet34", "std"), ("ecapa", "std"), ("resnet293", "max")])
def test_the_front_end_of_voxblink2_goes_by_the_network(name, normalise, call, put):
    model, _ = call("voxblink2", put(LAYOUTS[f"voxblink2 {name}"][1]().state_dict()))
    assert model.config.features.frontend.name == "mel_spectrogram"
    assert model.config.features.frontend.args.normalise == normalise


def test_what_weights_do_not_tell_can_be_said(call, put):
    file = put(VoxBlink2ResNet("ASP").state_dict())
    options = ["--set", "model.args.attention=none", "--set", "features.frontend.args.normalise=max"]
    model, _ = call("voxblink2", file, *options)
    assert model.config.model.args.attention == "none"
    assert model.config.features.frontend.args.normalise == "max"
    with pytest.raises(InputError, match=r"--set model\.args\.atention=none: unknown key .*did you mean 'attention'"):
        call("voxblink2", file, "--set", "model.args.atention=none")
    with pytest.raises(InputError, match=r"tensors of other shapes: .*our pooling\.reduce\.weight"):
        call("voxblink2", file, "--set", "features.frontend.args.num_mel_bins=64")
    with pytest.raises(InputError, match=r"--set features\.vad: .*--apply-vad true"):
        call("voxblink2", file, "--set", "features.vad=true")
    options = ["--set", "model.args.pooling.name=tsp", "--set", "features.frontend.args.num_mel_bins=40"]
    model, _ = call("wespeaker", put(WeSpeakerResNet(pooling="TAP").state_dict()), *options)
    assert model.network(torch.randn(1, 50, 40)).shape == (1, 12)


def test_a_front_end_that_is_not_ours_is_refused(call, put, tmp_path):
    filters = {"featCal.fbankCal.mel_scale.fb": VB2_CONSTANTS["featCal.fbankCal.mel_scale.fb"] * 1.01}
    with pytest.raises(InputError, match=r"mel_scale\.fb is not what our front end mel_spectrogram has"):
        call("voxblink2", put(VoxBlink2ResNet("GSP").state_dict() | filters))
    assert not (tmp_path / "ours.pt").exists()


def test_every_tensor_must_find_its_place(call, put, tmp_path):
    state = WeSpeakerResNet().state_dict()
    for changed, message in (
        (
            {key: value for key, value in state.items() if key != "layer2.1.bn1.bias"},
            "1 tensors of ours missing there",
        ),
        (state | {"layer2.1.bn7.bias": torch.ones(3)}, r"1 tensors unknown here: layer2\.1\.bn7\.bias"),
        (
            state | {"layer2.1.bn1.bias": torch.ones(3)},
            r"fit: 1 tensors of other shapes: layer2\.1\.bn1\.bias \[3\]",
        ),
        (state | {"layer2.0.downsample.1.bias": torch.ones(8)}, "1 tensors unknown here: layer2.0.downsample"),
        (state | {"seg_1.weight": torch.ones(12, 999)}, "a pooling that is not known here, of 32 channels to 999"),
        (state | {"layer1.99999999999.conv1.weight": torch.ones(1)}, r"1 tensors unknown here: layer1\.99999999999"),
        (state | {"layer5.0.conv1.weight": torch.ones(1)}, r"fit: 1 tensors unknown here: layer5\.0\.conv1\.weight$"),
        (state | {"conv1.weight": torch.ones(4)}, r"conv1\.weight has the shape \[4\], wanted are 4 axes"),
        (state | {"seg_1.weight": torch.ones(12, 0)}, r"seg_1\.weight has the shape \[12, 0\], wanted are 2 axes"),
        (state | {"bn1.bias": torch.full((4,), torch.nan)}, "1 tensors with NaN, infinite or integer values: bn1.bias"),
        (state | {"bn1.bias": torch.ones(4, dtype=torch.int8)}, "1 tensors with NaN, infinite or integer values: bn1"),
        (state | {"seg_2.weight": torch.ones(12, 12)}, "two_emb_layer"),
        ({key.replace("seg_1", "seg_0"): value for key, value in state.items()}, "none of WeSpeaker's networks"),
        ({key: value for key, value in state.items() if key != "conv1.weight"}, r"theirs\.pt: has no conv1\.weight"),
    ):
        with pytest.raises(InputError, match=message):
            call("wespeaker", put(changed))
    assert not (tmp_path / "ours.pt").exists()


def test_all_tensors_that_do_not_fit_are_told(call, put, caplog):
    state = WeSpeakerResNet().state_dict() | {f"more.{number}": torch.ones(1) for number in range(9)}
    with pytest.raises(InputError, match=r"9 tensors unknown here: more\.0, more\.1, more\.2 and 6 more"):
        call("wespeaker", put(state))
    assert all(f"  more.{number}" in caplog.text for number in range(9))


def test_code_in_a_file_is_refused_and_not_run(call, put, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "run"), "w"))

    with pytest.raises(InputError, match=r"theirs\.pt: holds pickled objects .io\.open., and loading those could run"):
        call("wespeaker", put({"state_dict": WeSpeakerResNet().state_dict(), "config": Trap()}))
    with pytest.raises(InputError, match=r"holds pickled objects .torch\.nn\.modules\.linear\.Linear., and"):
        call("wespeaker", put(nn.Linear(2, 2)))
    with zipfile.ZipFile(tmp_path / "program.pt", "w") as archive:
        for name, text in (("constants.pkl", ""), ("version", "3")):  # as torch.jit.save has them
            archive.writestr(f"program/{name}", text)
    with pytest.raises(InputError, match=r"program\.pt: is a TorchScript program, which is code"):
        call("wespeaker", tmp_path / "program.pt")
    assert not (tmp_path / "run").exists() and not (tmp_path / "ours.pt").exists()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"epoch": 3, "conv1.weight": torch.ones(1)}, "holds more than tensors by name: epoch"),
        ({3: torch.ones(1)}, "holds more than tensors by name: 3"),
        ({"conv1.weight": torch.eye(2).to_sparse()}, r"holds more than tensors by name: conv1\.weight"),
        ({"conv1.weight": torch.ones(1, device="meta")}, r"holds more than tensors by name: conv1\.weight"),
        ([torch.ones(1)], "holds no tensors by name, but a list"),
        ({}, "holds no tensors by name"),
    ],
)
def test_a_file_of_something_else_is_told(state, message, call, put):
    with pytest.raises(InputError, match=message):
        call("wespeaker", put(state))


def test_a_damaged_or_absent_file_is_told(call, put, tmp_path):
    file = put(WeSpeakerResNet().state_dict())
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"theirs\.pt: truncated or not a file of tensors"):
        call("wespeaker", file)
    with pytest.raises(InputError, match=r"gone\.pt: no such file"):
        call("wespeaker", tmp_path / "gone.pt")
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"theirs\.pt: truncated or not a file of tensors: empty"):
        call("wespeaker", file)
    file.write_text("<!DOCTYPE html>")  # what a browser without a login saves
    with pytest.raises(InputError, match=r"theirs\.pt: is not of torch\.save, or holds pickled objects"):
        call("wespeaker", file)


def test_damaged_bytes_are_never_a_crash(put):
    whole = put(WeSpeakerResNet(blocks=(1, 1, 1, 1)).state_dict()).read_bytes()
    chance = random.Random(0)
    for number in range(100):
        data = bytearray(whole)
        for _ in range(10):  # in the pickle at the beginning, or in the zip file's directory at the end
            data[chance.randrange(3000) - 3000 * (number % 2)] = chance.randrange(256)
        file = put({})
        file.write_bytes(data)
        try:
            read_weights(file)
        except InputError as error:
            assert str(error).startswith(str(file))


def test_the_format_before_pytorch_0_4_is_named(call, tmp_path):
    with tarfile.open(tmp_path / "old.pt", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(InputError, match=r"old\.pt: has a format from before PyTorch 0\.4"):
        call("wespeaker", tmp_path / "old.pt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_become_float32(dtype, call, put):
    state = WeSpeakerResNet().state_dict()
    halved = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
    model, _ = call("wespeaker", put(halved))
    assert model.network.conv.weight.dtype == torch.float32
    assert torch.equal(model.network.conv.weight, halved["conv1.weight"].float())


def test_neither_the_file_that_is_read_nor_a_folder_becomes_the_model(call, put, tmp_path):
    torch.save(WeSpeakerResNet().state_dict(), tmp_path / "ours.pt")
    before = (tmp_path / "ours.pt").read_bytes()
    with pytest.raises(InputError, match=r"ours\.pt: is the file that is read"):
        call("wespeaker", tmp_path / "ours.pt")
    assert (tmp_path / "ours.pt").read_bytes() == before
    (tmp_path / "ours.pt").unlink()
    (tmp_path / "ours.pt").mkdir()
    with pytest.raises(InputError, match=r"ours\.pt: is a folder"):
        call("wespeaker", put(WeSpeakerResNet().state_dict()))


@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module._orig_mod."])
def test_weights_beside_other_things_are_found(prefix, call, put):
    state = {f"{prefix}{key}": value for key, value in WeSpeakerResNet().state_dict().items()}
    model, _ = call("wespeaker", put({"model": {"state_dict": state}, "epoch": 3}))
    assert model.config.model.args.width == 4


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """``export(network)``: ONNX with folded batch norms, as WeSpeaker writes it; a mean of embeddings is subtracted."""

    class Centred(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network
            self.register_buffer("mean_vec", torch.arange(12.0))

        def forward(self, feats):
            return self.network(feats) - self.mean_vec

    def write(network):
        file = tmp_path_factory.mktemp("onnx") / "theirs.onnx"
        axes = {"feats": {0: "B", 1: "T"}, "embs": {0: "B"}}
        torch.onnx.export(
            Centred(network).eval(), (torch.ones(1, 50, 80),), file, opset_version=14, dynamo=False,
            input_names=["feats"], output_names=["embs"], dynamic_axes=axes,
        )  # fmt: skip
        return file

    return write


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's exporter that WeSpeaker calls is its older one
@pytest.mark.parametrize("deep", [False, True])
def test_onnx_with_folded_batch_norms_is_read(deep, export, call):
    torch.manual_seed(0)
    theirs = settle(WeSpeakerResNet(deep=deep, blocks=(2, 1, 2, 1)))
    model, _ = call("wespeaker", export(theirs))
    feats = torch.randn(2, 70, 80)
    with torch.inference_mode():
        expected = theirs(feats) - torch.arange(12.0)
        assert (model.network(feats) - expected).abs().max() <= 1e-4


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_of_another_network_is_refused(export, tmp_path):
    with pytest.raises(InputError, match="is no ResNet with folded batch norms and statistics pooling: has "):
        read_onnx(export(settle(WeSpeakerResNet(pooling="ASTP", blocks=(1, 1, 1, 1)))))
    (tmp_path / "x.onnx").write_bytes(b"no protobuf")
    with pytest.raises(InputError, match=r"x\.onnx: damaged or not an ONNX file"):
        read_onnx(tmp_path / "x.onnx")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_graph_that_computes_something_else_with_fitting_weights_is_refused(export, call, tmp_path):
    import onnx

    file = export(settle(WeSpeakerResNet(blocks=(1, 1, 1, 1))))
    onnx.save(onnx.load(file), tmp_path / "two.onnx", save_as_external_data=True, location="weights", size_threshold=10)
    with pytest.raises(InputError, match=r"two\.onnx: keeps weights in another file: "):
        call("wespeaker", tmp_path / "two.onnx")
    model = onnx.load(file)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    for node in model.graph.node:
        node.input[:] = [relu.input[0] if name == relu.output[0] else name for name in node.input]
    model.graph.node.remove(relu)
    onnx.save(model, file)
    with pytest.raises(InputError, match="computes something else than a ResNet of WeSpeaker"):
        call("wespeaker", file)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, file)
    with pytest.raises(InputError, match="ONNX Runtime cannot run it: "):
        call("wespeaker", file)
    assert not (tmp_path / "ours.pt").exists()


def test_without_the_package_onnx_it_is_said_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"needs the package onnx: pip install -r requirements-onnx\.txt"):
        read_onnx(tmp_path / "x.onnx")


def test_a_trunk_of_any_number_of_blocks_is_counted(call, put):
    model, _ = call("wespeaker", put(WeSpeakerResNet(blocks=(1, 2, 12, 1)).state_dict()))
    assert model.config.model.args.blocks == (1, 2, 12, 1)
