"""The training loop: the same bits after any interruption, refusal of what does not fit, checkpoints that survive."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted import run_with_deaths

from sv_py.cli import InputError
from sv_py.config import load
from sv_py.data.dataset import FeatureSet
from sv_py.io.ark import write_ark
from sv_py.io.text import write_lines, write_table
from sv_py.train import checkpoint
from sv_py.train.loop import Resources, Trainer
from sv_py.train.model import embed, load_model, open_set

SPEAKERS, UTTS, DIM = 6, 5, 20


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    """Features of six speakers that a network can tell apart, with dev trials among them."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    voices = rng.normal(size=(SPEAKERS, DIM))
    feats, utt2spk = {}, {}
    for spk in range(SPEAKERS):
        for utt in range(UTTS):
            name = f"spk{spk}-utt{utt}"
            envelope = rng.random((30 + 5 * utt, 1))
            feats[name] = envelope * voices[spk] + 0.3 * rng.normal(size=(30 + 5 * utt, DIM))
            utt2spk[name] = f"spk{spk}"
    write_ark(folder / "feats.ark", folder / "feats.scp", feats.items())
    write_table(folder / "utt2spk", utt2spk)
    write_table(folder / "utt2num_frames", {utt: len(x) for utt, x in feats.items()})
    (folder / "feats.id").write_text("frontend=test\n")
    write_lines(folder / "trials", ["spk0-utt0 spk0-utt1 target", "spk0-utt0 spk1-utt1 nontarget"])
    return folder


@pytest.fixture(scope="module")
def config_file(tmp_path_factory) -> Path:
    phase = {
        "batch_size": 4,
        "crop": 20,
        "crops_per_utt": 2,
        "rate": {"peak": 0.01, "warmup": 0.5},
        "mask": {"time": 3},
    }
    values = {
        "model": {"name": "ecapa_tdnn", "args": {"channels": 16, "pooled_channels": 32, "embedding_dim": 8}},
        "optimizer": {"name": "sgd"},
        "phases": [
            {"name": "first", "epochs": 2, **phase},
            {"name": "second", "epochs": 2, **phase, "margin": 0.4, "crop": 25},
        ],
    }
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(json.dumps(values))  # JSON is YAML
    return path


def trainer(config, data_dir: Path, folder: Path, workers: int = 0, minutes: float = 10) -> Trainer:
    torch.set_num_threads(1)
    resources = Resources(torch.device("cpu"), workers, minutes)
    return Trainer(config, {"train": open_set(data_dir, config)}, folder, resources, lambda *_: {"dev_eer": 0.5}, {})


@pytest.fixture(scope="module")
def undisturbed(config_file, data_dir, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    trainer(load(config_file), data_dir, folder).run()
    return folder


def test_a_training_leaves_a_model_its_history_and_the_last_checkpoints(undisturbed):
    assert (undisturbed / "final.pt").exists()
    for phase in ("first", "second"):
        epochs = [json.loads(x) for x in (undisturbed / f"phases/{phase}/metrics.jsonl").read_text().splitlines()]
        assert [epoch["epoch"] for epoch in epochs] == [1, 2]
        assert len(list((undisturbed / f"phases/{phase}/checkpoints").glob("*.pt"))) == 2
    assert epochs[-1]["margin"] == 0.4
    assert epochs[-1]["accuracy"] > 0.4


@pytest.mark.parametrize("workers", [0, 2])
def test_stopped_at_any_step_and_resumed_the_weights_are_the_same_bits(
    config_file, data_dir, undisturbed, tmp_path, monkeypatch, workers
):
    config = load(config_file)
    steps = [1, 3, 17, 2, 20, 5, 100]
    run_with_deaths(monkeypatch, lambda: trainer(config, data_dir, tmp_path, workers, minutes=0), steps)
    assert (tmp_path / "final.pt").read_bytes() == (undisturbed / "final.pt").read_bytes()


def test_stopped_and_resumed_a_network_with_dropout_has_the_same_bits(config_file, data_dir, tmp_path, monkeypatch):
    recurrent = ["model={name: bilstm, args: {width: 6, hidden_dim: 8, head_dim: 8}}", "phases.0.epochs=1"]
    config = load(config_file, recurrent)
    trainer(config, data_dir, tmp_path / "undisturbed").run()
    run_with_deaths(monkeypatch, lambda: trainer(config, data_dir, tmp_path / "exp", minutes=0), [1, 3, 20, 100])
    assert (tmp_path / "exp/final.pt").read_bytes() == (tmp_path / "undisturbed/final.pt").read_bytes()


def test_killed_with_minus_nine_at_random_moments_the_weights_are_the_same_bits(
    config_file, data_dir, undisturbed, tmp_path, root, run
):
    rng = np.random.default_rng(1)
    command = [
        sys.executable, "-m", "sv_py.train", "--num-threads", "1", "--checkpoint-minutes", "0", "--device", "cpu",
        config_file, data_dir, data_dir, tmp_path / "exp",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(root)}
    for _ in range(3):
        process = subprocess.Popen([str(c) for c in command], env=environment, stderr=subprocess.PIPE)
        while not process.stderr.readline().startswith(b"first") and process.poll() is None:
            pass  # the first progress line: training has begun
        time.sleep(rng.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    run(*command, PYTHONPATH=root)
    ours = checkpoint.load(tmp_path / "exp/final.pt")["model"]
    theirs = checkpoint.load(undisturbed / "final.pt")["model"]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_truncated_checkpoint_is_passed_over_for_the_one_before(config_file, data_dir, undisturbed, tmp_path, caplog):
    trainer(load(config_file), data_dir, tmp_path).run()
    (tmp_path / "final.pt").unlink()
    newest = max((tmp_path / "phases/second/checkpoints").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    trainer(load(config_file), data_dir, tmp_path).run()
    assert "truncated or not a checkpoint" in caplog.text
    assert (tmp_path / "final.pt").read_bytes() == (undisturbed / "final.pt").read_bytes()


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("seed=5", "seed"),
        ("phases.1.crop=26", "phases"),
        ("features.cmn=none", "features"),
        ("data.window=2", "data.window"),
    ],
)
def test_checkpoints_of_another_configuration_are_refused(config_file, data_dir, undisturbed, override, named):
    with pytest.raises(InputError, match=f"another {named}.*--restart true"):
        trainer(load(config_file, [override]), data_dir, undisturbed).run()


def test_a_key_that_does_not_concern_training_may_change(config_file, data_dir, undisturbed):
    before = (undisturbed / "final.pt").read_bytes()
    trainer(load(config_file, ["scoring.bootstrap=7", "data.max_bad=5"]), data_dir, undisturbed).run()
    assert checkpoint.load(undisturbed / "final.pt")["config"]["scoring"]["bootstrap"] == 7
    (undisturbed / "final.pt").write_bytes(before)


@pytest.mark.parametrize("loss", ["softmax", "margin_softmax", "sphereface2"])
def test_every_loss_trains_and_is_resumed_with_all_its_parameters(config_file, data_dir, tmp_path, monkeypatch, loss):
    overrides = [
        f"loss.name={loss}",
        "phases.0.epochs=1",
        "head={name: sampled, args: {rate: 0.7}}",
        "optimizer.name=adamw",
    ]
    replaced, told = {"softmax": ("null", None), "margin_softmax": ("null", [1, 0, 0])}.get(loss, (0.4, 0.4))
    config = load(config_file, [*overrides, f"phases.1.margin={replaced}"])
    trainer(config, data_dir, tmp_path / "a").run()
    run_with_deaths(monkeypatch, lambda: trainer(config, data_dir, tmp_path / "b", minutes=0), [17, 30, 100])
    assert (tmp_path / "b/final.pt").read_bytes() == (tmp_path / "a/final.pt").read_bytes()
    epochs = [json.loads(line) for line in (tmp_path / "a/phases/second/metrics.jsonl").read_text().splitlines()]
    assert [epoch["margin"] for epoch in epochs] == [told, told]
    assert epochs[-1]["accuracy"] > 0.4


@pytest.mark.parametrize("change", ["an utterance fewer", "another length"])
def test_checkpoints_made_with_other_utterances_of_the_same_speakers_are_refused(
    config_file, data_dir, undisturbed, tmp_path, change
):
    shutil.copytree(data_dir, tmp_path / "data", ignore=shutil.ignore_patterns(".table"))
    for name in ("feats.scp", "utt2spk", "utt2num_frames"):
        lines = (tmp_path / "data" / name).read_text().splitlines()
        if change == "an utterance fewer":
            del lines[0]
        elif name == "utt2num_frames":
            lines[0] = "spk0-utt0 29"
        write_lines(tmp_path / "data" / name, lines)
    exp = Path(shutil.copytree(undisturbed, tmp_path / "exp"))
    with pytest.raises(InputError, match="were made with another utterances: take another --tag"):
        trainer(load(config_file), tmp_path / "data", exp).run()


def test_checkpoints_of_phases_that_had_other_names_are_refused(config_file, data_dir, undisturbed, tmp_path):
    exp = Path(shutil.copytree(undisturbed, tmp_path / "exp"))
    before = {path: path.stat().st_mtime_ns for path in exp.rglob("*.pt")}
    config = load(config_file, ["phases.0.name=one", "phases.1.name=two"])
    with pytest.raises(InputError, match="were made with another phases"):
        trainer(config, data_dir, exp).run()
    assert {path: path.stat().st_mtime_ns for path in exp.rglob("*.pt")} == before


class AfterSteps:
    """A request to stop after so many steps."""

    def __init__(self, steps: int):
        self.left = steps

    @property
    def reason(self) -> str | None:
        self.left -= 1
        return None if self.left > 0 else "the test"


def test_stopped_at_the_end_of_a_phase_it_says_so_and_goes_on_to_the_same_bits(
    config_file, data_dir, undisturbed, tmp_path
):
    assert not trainer(load(config_file), data_dir, tmp_path).run(AfterSteps(2 * 15))
    assert (tmp_path / "unfinished").read_text() == "first, epoch 2 of 2, done: stopped by the test\n"
    assert trainer(load(config_file), data_dir, tmp_path).run(AfterSteps(1000))
    assert (tmp_path / "final.pt").read_bytes() == (undisturbed / "final.pt").read_bytes()


def test_the_checkpoints_of_an_earlier_version_are_refused(config_file, data_dir, undisturbed, tmp_path):
    exp = Path(shutil.copytree(undisturbed, tmp_path / "exp"))
    checkpoints = list(exp.glob("phases/*/checkpoints/*.pt"))
    state = checkpoint.load(checkpoints[0])
    for part in ({"head": {"weight": state["head"]["rows"][:, 0]}}, {"model": {}}, {"optimizer": {"param_groups": []}}):
        for path in checkpoints:
            checkpoint.save(path, state | part)
        with pytest.raises(InputError, match=f"^{exp}: .* of another version of this software .*--restart true$"):
            trainer(load(config_file), data_dir, exp).run()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_batch(config_file, data_dir, tmp_path):
    ours = trainer(load(config_file), data_dir, tmp_path)
    with torch.no_grad():
        ours.head.rows.fill_(float("nan"))
    with pytest.raises(InputError, match="loss is nan in epoch 1, step 1"):
        ours.run()
    assert set(torch.load(tmp_path / "non_finite_batch.pt", weights_only=True)) == {"feats", "labels"}


@pytest.mark.parametrize("phase", ["first", "second"])
def test_less_than_a_batch_is_an_error_before_anything_is_trained(config_file, data_dir, tmp_path, phase):
    config = load(config_file, [f"phases.{int(phase == 'second')}.batch_size=1000"])
    with pytest.raises(InputError, match=f"phase {phase}: an epoch of 60 crops, less than one batch of 1000"):
        trainer(config, data_dir, tmp_path)


def test_crops_of_fewer_frames_than_the_network_takes_are_an_error_before_training(config_file, data_dir, tmp_path):
    config = load(config_file, ["model={name: xvector}", "phases.1.crop=[14, 20]"])
    with pytest.raises(InputError, match=r"phases\.1\.crop: xvector takes 15 frames or more, not 14"):
        trainer(config, data_dir, tmp_path)
    trainer(load(config_file, ["model={name: xvector}", "phases.1.crop=[15, 20]"]), data_dir, tmp_path)


def test_a_warm_up_or_ramp_that_the_phase_does_not_see_the_end_of_is_warned_of(config_file, data_dir, tmp_path, caplog):
    trainer(load(config_file), data_dir, tmp_path)
    assert "lasts until" not in caplog.text
    overrides = ["phases.0.rate.warmup=3", "phases.1.margin_ramp=[1, 9]"]
    trainer(load(config_file, overrides), data_dir, tmp_path)
    assert "phases.0.rate.warmup: lasts until epoch 3, and the phase has 2" in caplog.text
    assert "phases.1.margin_ramp: lasts until epoch 9, and the phase has 2" in caplog.text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("phases=[]", "phases: at least one is needed to train"),
        ("phases.1.batch_size=1", r"phases\.1\.batch_size: batch norms need two utterances or more"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is(config_file, data_dir, tmp_path, override, message):
    with pytest.raises(InputError, match=message):
        trainer(load(config_file, [override]), data_dir, tmp_path / "exp")
    assert not (tmp_path / "exp").exists()


def test_a_first_utterance_that_cannot_be_read_counts_like_any_other(config_file, data_dir, tmp_path):
    scp = (data_dir / "feats.scp").read_text().split("\n", 1)
    for name in ("utt2spk", "utt2num_frames"):
        (tmp_path / name).write_text((data_dir / name).read_text())
    (tmp_path / "feats.scp").write_text(f"{scp[0].split()[0]} {tmp_path}/gone.ark:5\n{scp[1]}")
    with pytest.raises(InputError, match=r"gone\.ark: spk0-utt0: no such ark"):
        trainer(load(config_file), tmp_path, tmp_path / "exp")
    ours = trainer(load(config_file, ["data.max_bad=1"]), tmp_path, tmp_path / "exp")
    ours.run()
    assert ours.feature_dim == DIM and len(ours.unreadable) == 1 and ours.history[-1]["unreadable"] == 1


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--num-workers", "-1"), 2, "--checkpoint-minutes and --max-hours are not negative"),
        (("--device", "cuda:99"), 1, "--device cuda:99: "),
        (("--device", "gpu"), 1, "--device gpu: Expected one of cpu, cuda"),
        (("--restart", "true", "--augment-set", "noize=x"), 1, "did you mean 'noise'?"),
        (("--restart", "true"), 1, "first: an epoch of 60 crops, less than one batch"),
    ],
)
def test_a_mistaken_option_discards_and_writes_nothing(
    config_file, data_dir, undisturbed, tmp_path, run, root, options, code, message
):
    exp = Path(shutil.copytree(undisturbed, tmp_path / "exp"))
    before = {path: path.stat().st_mtime_ns for path in exp.rglob("*")}
    (tmp_path / "x.yaml").write_text(config_file.read_text().replace('"batch_size": 4', '"batch_size": 100'))
    command = [sys.executable, "-m", "sv_py.train", *options, tmp_path / "x.yaml", data_dir, data_dir, exp]
    done = run(*command, PYTHONPATH=root, code=code)
    assert message in done.stderr and "Traceback" not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in exp.rglob("*")} == before


def test_a_checkpoint_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/pwned",)

    torch.save({"config": Evil(), "model": {}}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match="not a checkpoint"):
        checkpoint.load(tmp_path / "evil.pt")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 torn"])
def test_a_foreign_file_is_no_checkpoint(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(InputError, match="not a checkpoint"):
        checkpoint.load(tmp_path / "x.pt")


def test_damaged_bytes_of_a_checkpoint_are_an_input_error_or_do_no_harm(tmp_path):
    state = {"config": {"a": [1, 2.5, "x"]}, "model": {"weight": torch.arange(6.0).view(2, 3)}}
    checkpoint.save(tmp_path / "x.pt", state)
    whole = (tmp_path / "x.pt").read_bytes()
    begin = whole.index(b"data.pkl")  # whose bytes say how everything is put together
    refused = 0
    for place, value in itertools.product(range(begin, begin + 300), b".R\x85"):
        (tmp_path / "x.pt").write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        try:
            checkpoint.load(tmp_path / "x.pt")
        except InputError:
            refused += 1
    assert refused > 500


def test_a_foreign_state_dict_is_no_checkpoint(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "x.pt")
    with pytest.raises(InputError, match="no config and model"):
        checkpoint.load(tmp_path / "x.pt")


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path):
    checkpoint.save(tmp_path / "x.pt", {"config": {}, "model": {}, "n": 1})
    with pytest.raises((AttributeError, TypeError, RuntimeError, Exception)):
        checkpoint.save(tmp_path / "x.pt", {"config": {}, "model": {}, "n": lambda: 0})
    assert checkpoint.load(tmp_path / "x.pt")["n"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


def test_a_loaded_model_embeds_as_the_trained_one(config_file, data_dir, undisturbed):
    model = load_model(undisturbed / "final.pt", torch.device("cpu"))
    features = FeatureSet(data_dir, model.config.features)
    model.check(features)
    embedding = embed(model.network, features, "spk0-utt0", torch.device("cpu"))
    assert embedding.shape == (8,) and np.isfinite(embedding).all()
    same = embed(model.network, features, "spk0-utt0", torch.device("cpu"))
    np.testing.assert_array_equal(embedding, same)


def test_features_of_another_front_end_are_refused(data_dir, undisturbed, tmp_path):
    model = load_model(undisturbed / "final.pt", torch.device("cpu"))
    for name in ("feats.scp", "utt2spk", "utt2num_frames"):
        (tmp_path / name).write_text((data_dir / name).read_text())
    (tmp_path / "feats.id").write_text("frontend=other\n")
    with pytest.raises(InputError, match="frontend=other here, frontend=test in training"):
        model.check(FeatureSet(tmp_path, model.config.features))
