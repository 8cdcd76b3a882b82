"""Training on audio shards, augmented on the fly: the same bits after any interruption, the same path in extraction."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted import run_with_deaths
from loader_data import make_audio, read_wavs

from sv_py.augmentation.arguments import roles_of
from sv_py.cli import InputError
from sv_py.config import load
from sv_py.data.dataset import FeatureSet
from sv_py.data.pool import open_pools
from sv_py.io.text import read_table, write_table
from sv_py.train.loop import Resources, Trainer
from sv_py.train.model import embed, load_model, open_set

ROOT = Path(__file__).resolve().parents[2]
PHASE = {"epochs": 2, "batch_size": 4, "crop": 30, "crops_per_utt": 2, "rate": {"peak": 0.01}}
CONFIG = {
    "model": {"name": "ecapa_tdnn", "args": {"channels": 16, "pooled_channels": 32, "embedding_dim": 8}},
    "features": {"frontend": {"name": "kaldi_fbank", "args": {"num_mel_bins": 20, "dither": 1.0}}},
    "data": {"source": "audio", "window": 2},
    "phases": [
        {"name": "first", **PHASE, "augment": "wespeaker"},
        {"name": "large_margin", **PHASE, "crop": [30, 40], "margin": 0.4},
    ],
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory, tiny_wavs) -> Path:
    return make_audio(tmp_path_factory.mktemp("data"), read_wavs(tiny_wavs))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    noise = {f"s{i}-1": rng.normal(0, 3000, 9000 + i).astype(np.int16) for i in range(3)}
    return make_audio(tmp_path_factory.mktemp("sounds"), noise)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(json.dumps(CONFIG))  # JSON is YAML
    return load(path)


def trainer(config, data_dir: Path, sounds: Path, folder: Path, workers: int = 0) -> Trainer:
    torch.set_num_threads(1)
    utterances = open_set(data_dir, config)
    roles = roles_of(part for phase in config.phases for part in phase.augment.waveform)
    pools = open_pools(dict.fromkeys(("noise", "music", "speech", "rir"), sounds), roles, 16000, utterances.store)
    resources = Resources(torch.device("cpu"), workers, checkpoint_minutes=0)
    return Trainer(config, {"train": utterances}, folder, resources, lambda *_: {"dev_eer": 0.5}, pools)


@pytest.fixture(scope="module")
def undisturbed(config, data_dir, sounds, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    trainer(config, data_dir, sounds, folder).run()
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_stopped_and_resumed_with_other_readers_the_weights_are_the_same_bits(
    config, data_dir, sounds, undisturbed, tmp_path, monkeypatch, workers
):
    run_with_deaths(monkeypatch, lambda: trainer(config, data_dir, sounds, tmp_path, workers), [3, 4, 2, 100])
    first, second = (torch.load(folder / "final.pt", weights_only=True) for folder in (undisturbed, tmp_path))
    assert all(torch.equal(first["model"][name], second["model"][name]) for name in first["model"])


def test_each_speed_makes_new_speakers_which_later_phases_keep(undisturbed):
    state = torch.load(undisturbed / "final.pt", weights_only=True)
    speakers = ["ann", "bea", "cal", "dan"]
    assert state["speakers"] == [*speakers, *(f"sp{s}-{spk}" for s in ("0.9", "1.1") for spk in speakers)]
    assert state["head"]["speakers"] == state["speakers"] and len(state["head"]["rows"]) == 12


@pytest.fixture(scope="module", params=["full", "sampled", "sharded"])
def own_speakers(request, tmp_path_factory):
    """Three phases with their own speakers, 12, 4 and 8 of them; the second one changes nothing."""
    phase = {**PHASE, "epochs": 1, "speakers": "own"}
    still = {"rate": {"peak": 1e-30, "final": 1e-30}}
    phases = [
        {"name": "first", **phase, "augment": {"speed": [0.9, 1.1]}},
        {"name": "still", **phase, **still},
        {"name": "third", **phase, "augment": {"speed": [0.9]}},
    ]
    head = {"name": request.param, "args": {"rate": 0.6} if request.param == "sampled" else {}}
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(json.dumps({**CONFIG, "phases": phases, "head": head, "optimizer": {"name": "adamw"}}))
    return load(path)


def test_a_head_shrinks_and_grows_by_name_with_the_phases(own_speakers, data_dir, sounds, tmp_path, monkeypatch):
    trainer(own_speakers, data_dir, sounds, tmp_path / "a").run()
    heads = {}
    for phase in ("first", "still", "third"):
        newest = max((tmp_path / "a/phases" / phase / "checkpoints").glob("*.pt"))
        state = torch.load(newest, weights_only=True)["head"]
        heads[phase] = dict(zip(state["speakers"], state["rows"], strict=True))
    speakers = ["ann", "bea", "cal", "dan"]
    slow = [f"sp0.9-{speaker}" for speaker in speakers]
    assert list(heads["first"]) == [*speakers, *slow, *(f"sp1.1-{speaker}" for speaker in speakers)]
    assert list(heads["still"]) == speakers and list(heads["third"]) == [*speakers, *slow]
    assert all(torch.equal(heads["still"][name], heads["first"][name]) for name in speakers)
    assert not any(torch.equal(heads["third"][name], heads["first"][name]) for name in slow), "gone, and drawn anew"
    assert not all(torch.equal(heads["third"][name], heads["first"][name]) for name in speakers)

    run_with_deaths(monkeypatch, lambda: trainer(own_speakers, data_dir, sounds, tmp_path / "b"), [1, 2, 3, 2, 1, 100])
    assert (tmp_path / "b/final.pt").read_bytes() == (tmp_path / "a/final.pt").read_bytes()


def test_a_speaker_of_another_speed_that_is_in_the_data_already_is_the_same_class(config, data_dir, sounds, tmp_path):
    shutil.copytree(data_dir, tmp_path / "data")
    utt2spk = read_table(tmp_path / "data/utt2spk")
    renamed = {"dan": "sp0.9-ann"}
    write_table(tmp_path / "data/utt2spk", {utt: renamed.get(spk, spk) for utt, spk in utt2spk.items()})
    ours = trainer(config, tmp_path / "data", sounds, tmp_path / "exp")
    assert len(ours.classes) == len(set(ours.classes)) == 11 and len(ours.head.rows) == 11
    ours.run()


def test_checkpoints_made_with_other_sounds_are_refused(config, data_dir, sounds, tmp_path, undisturbed):
    shutil.copytree(undisturbed, tmp_path / "exp")
    with pytest.raises(InputError, match="were made with another sounds: take another --tag"):
        trainer(
            config, data_dir, make_audio(tmp_path / "sounds", {"s-1": np.ones(9000, np.int16)}), tmp_path / "exp"
        ).run()


def test_the_waiting_for_data_is_reported(undisturbed):
    epochs = [json.loads(line) for line in (undisturbed / "phases/first/metrics.jsonl").read_text().splitlines()]
    assert all(0 < epoch["data_wait"] <= 1 for epoch in epochs)


def test_embeddings_of_audio_are_those_of_stored_features(undisturbed, data_dir, tiny_data_dir, run, tmp_path):
    (tmp_path / "fbank.conf").write_text("--num-mel-bins=20\n")
    run(ROOT / "steps/make_fbank.sh", "--nj", 1, "--fbank-config", "fbank.conf", tiny_data_dir)
    model = load_model(undisturbed / "final.pt", torch.device("cpu"))
    embeddings = []
    for utterances in (open_set(data_dir, model.config), FeatureSet(tiny_data_dir, model.config.features)):
        model.check(utterances)
        embeddings.append([embed(model.network, utterances, utt, torch.device("cpu")) for utt in utterances.utts])
    assert np.array_equal(*embeddings), "no dither outside training"


def test_audio_of_another_front_end_is_refused(undisturbed, data_dir, config, tmp_path):
    model = load_model(undisturbed / "final.pt", torch.device("cpu"))
    (tmp_path / "other.yaml").write_text(json.dumps(CONFIG).replace('"num_mel_bins": 20', '"num_mel_bins": 24'))
    with pytest.raises(InputError, match="--num-mel-bins=24 here, --num-mel-bins=20 in training"):
        model.check(open_set(data_dir, load(tmp_path / "other.yaml")))


def test_a_role_that_is_not_bound_is_named_before_anything_is_trained(config, data_dir, tmp_path):
    utterances = open_set(data_dir, config)
    resources = Resources(torch.device("cpu"))
    with pytest.raises(InputError, match=r"--augment-set \w+=<data-dir>"):
        Trainer(config, {"train": utterances}, tmp_path, resources, lambda *_: {}, {})
