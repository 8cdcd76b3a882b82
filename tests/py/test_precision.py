"""Precision: autocast, the loss scale of float16, compilation, clipping, gradients that are not finite."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted import run_with_deaths
from torch import nn

from sv_py.cli import InputError
from sv_py.config import load
from sv_py.io.ark import write_ark
from sv_py.io.text import write_table
from sv_py.schema import Compute
from sv_py.train import checkpoint
from sv_py.train.loop import Resources, Trainer
from sv_py.train.model import open_set
from sv_py.train.precision import Precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("name, kind", [("none", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_products_are_computed_in_the_type_that_autocast_names(name, kind):
    layer = nn.Linear(4, 4)
    with Precision(Compute(autocast=name), CPU).autocast():
        assert layer(torch.ones(2, 4)).dtype == kind


def test_the_loss_scale_halves_on_overflow_and_doubles_after_two_thousand_good_steps_in_a_row():
    precision = Precision(Compute(autocast="fp16"), CPU)
    assert precision.loss_scale == 2**16
    assert precision.step_was(finite=False)
    assert precision.loss_scale == 2**15
    for _ in range(1999):
        assert not precision.step_was(finite=True)
    precision.step_was(finite=False)
    for _ in range(1999):
        precision.step_was(finite=True)
    assert precision.loss_scale == 2**14
    precision.step_was(finite=True)
    assert precision.loss_scale == 2**15


def test_a_gradient_that_overflows_without_a_loss_scale_is_not_forgiven():
    precision = Precision(Compute(autocast="fp16"), CPU)
    assert [precision.step_was(finite=False) for _ in range(17)] == [True] * 16 + [False]
    for autocast in ("none", "bf16"):
        precision = Precision(Compute(autocast=autocast), CPU)
        assert precision.loss_scale == 1
        assert not precision.step_was(finite=False)


def test_a_checkpoint_keeps_the_loss_scale_and_the_count_of_good_steps():
    before, after = (Precision(Compute(autocast="fp16"), CPU) for _ in range(2))
    before.step_was(finite=False)
    before.step_was(finite=True)
    after.load_state_dict(before.state_dict())
    assert (after.loss_scale, after.good_steps) == (2**15, 1)


@pytest.fixture
def switches():
    """Puts back what `Precision` sets for the whole process."""
    kernels = torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    before = [each.fp32_precision for each in kernels], torch.backends.cudnn.benchmark
    yield kernels
    for each, rounding in zip(kernels, before[0], strict=True):
        each.fp32_precision = rounding
    torch.backends.cudnn.benchmark = before[1]
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("tf32, rounding", [(True, "tf32"), (False, "ieee")])
def test_products_of_float32_on_a_gpu_are_rounded_only_if_tf32_says_so(switches, tf32, rounding):
    Precision(Compute(tf32=tf32), torch.device("cuda"))  # needs no GPU: these are switches
    assert {each.fp32_precision for each in switches} == {rounding}


def test_deterministic_switches_off_what_has_other_bits_each_time_and_is_for_a_gpu_only(switches, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    for deterministic in (True, False):
        precision = Precision(Compute(deterministic=deterministic), torch.device("cuda"))
        precision.autocast()
        assert torch.are_deterministic_algorithms_enabled() == deterministic
        assert torch.backends.cudnn.benchmark != deterministic
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    Precision(Compute(deterministic=True), CPU)
    assert not torch.are_deterministic_algorithms_enabled()


def test_without_a_compiler_compilation_is_refused_before_anything_is_trained(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="no C\\+\\+ compiler 'no-such-compiler'"):
        Precision(Compute(compile=True), CPU)
    Precision(Compute(), CPU)


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    """Features of four speakers with six utterances each."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    voices = {spk: rng.normal(size=20) for spk in ("ann", "bob", "cy", "dan")}
    feats = {
        f"{spk}-{n}": voices[spk] * rng.random((40, 1)) + rng.normal(size=(40, 20)) for spk in voices for n in "123456"
    }
    write_ark(folder / "feats.ark", folder / "feats.scp", feats.items())
    write_table(folder / "utt2spk", {utt: utt.split("-")[0] for utt in feats})
    write_table(folder / "utt2num_frames", dict.fromkeys(feats, 40))
    (folder / "feats.id").write_text("frontend=test\n")
    return folder


class Experiment:
    """A tiny ECAPA-TDNN on the features of a data dir, trained for eight steps."""

    def __init__(self, data_dir: Path, folder: Path):
        phase = {"name": "only", "epochs": 2, "batch_size": 12, "crop": 20, "crops_per_utt": 2}
        values = {
            "model": {"name": "ecapa_tdnn", "args": {"channels": 16, "pooled_channels": 32, "embedding_dim": 8}},
            "phases": [phase | {"rate": {"peak": 0.01, "warmup": 0}}],
        }
        self.data_dir, self.folder, self.yaml = data_dir, folder, folder / "config.yaml"
        self.yaml.write_text(json.dumps(values))

    def trainer(self, name: str, *overrides: str, minutes: float = 10) -> Trainer:
        torch.set_num_threads(1)
        config = load(self.yaml, overrides)
        sets = {"train": open_set(self.data_dir, config)}
        return Trainer(config, sets, self.folder / name, Resources(CPU, 0, minutes), lambda *_: {"dev_eer": 0.5}, {})

    def newest(self, name: str) -> dict:
        return checkpoint.latest([self.folder / name / "phases/only/checkpoints"])


@pytest.fixture
def experiment(speech, tmp_path) -> Experiment:
    return Experiment(speech, tmp_path)


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # by torch.compile's own modules
@pytest.mark.parametrize(
    "overrides",
    [
        ["compute.autocast=bf16"],
        ["compute.autocast=fp16", "phases.0.epochs=4"],
        ["compute.compile=true", "model={name: xvector}"],
    ],
    ids=["bf16", "fp16", "compiled"],
)
def test_stopped_and_resumed_in_any_precision_the_weights_are_the_same_bits(experiment, monkeypatch, overrides):
    experiment.trainer("undisturbed", *overrides).run()
    run_with_deaths(monkeypatch, lambda: experiment.trainer("exp", *overrides, minutes=0), [3, 100])
    files = [experiment.folder / name / "final.pt" for name in ("exp", "undisturbed")]
    assert files[0].read_bytes() == files[1].read_bytes()
    experiment.trainer("plain", *overrides[1:]).run()
    plain = checkpoint.load(experiment.folder / "plain/final.pt")["model"]
    ours = checkpoint.load(files[0])["model"]
    distance = sum((ours[name] - plain[name]).double().norm() for name in plain)
    assert 0 < distance < 0.3 * sum(value.double().norm() for value in plain.values())


def test_a_float16_training_leaves_out_steps_that_overflow_and_goes_on_with_a_smaller_scale(experiment):
    trainer = experiment.trainer("exp", "compute.autocast=fp16", "phases.0.epochs=5")
    trainer.run()
    assert 1 < trainer.precision.loss_scale < 2**16
    kept = experiment.newest("exp")["precision"]
    assert kept == trainer.precision.state_dict()
    assert kept["good_steps"] > 0


def test_a_gradient_that_is_not_finite_ends_the_training_with_its_batch_saved(experiment):
    with pytest.raises(InputError, match=r"the gradient is (inf|nan).*non_finite_batch.pt"):
        experiment.trainer("exp", "loss.args.scale=1e30").run()
    batch = torch.load(experiment.folder / "exp/non_finite_batch.pt", weights_only=True)
    assert batch["feats"].shape == (12, 20, 20) and batch["feats"].isfinite().all()
    assert batch["labels"].shape == (12,)
    assert not (experiment.folder / "exp/final.pt").exists()


@pytest.mark.parametrize("clip", [0, 1e-3, 1e6])
def test_gradients_longer_than_grad_clip_are_shortened_to_it_and_others_stay(experiment, clip):
    still = ["optimizer.args.momentum=0", "optimizer.args.nesterov=false", "optimizer.args.weight_decay=0"]
    one = ["phases.0.epochs=1", "phases.0.batch_size=48", "phases.0.rate.decay=constant", "phases.0.rate.peak=1"]
    trainer = experiment.trainer("exp", f"grad_clip={clip}", *still, *one)
    parameters = [*trainer.network.parameters(), trainer.head.rows]
    before = [parameter.detach().clone() for parameter in parameters]
    trainer.run()
    moved = [(parameter.detach() - old).double() for parameter, old in zip(parameters, before, strict=True)]
    length = torch.cat([x.flatten() for x in moved]).norm().item()
    if clip == 1e-3:
        assert length == pytest.approx(clip, rel=1e-3)
    else:
        assert 0.1 < length < 1e6
