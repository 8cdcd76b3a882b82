"""The steps on a tiny data dir: what they make, what they refuse, and that a killed run ends in the same bytes."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sv_py.config import load, to_dict
from sv_py.data.dataset import FeatureSet
from sv_py.features.arguments import describe, read_frontend
from sv_py.features.kaldi_fbank import KaldiFbank
from sv_py.io.ark import ArkReader
from sv_py.io.text import read_table, write_table
from sv_py.models import BACKBONES
from sv_py.train import checkpoint
from sv_py.train.model import embed

ONE_AT_A_TIME = "utils/cmd_local.sh --max-jobs-run 1"


def make_recipe(folder: Path, root: Path) -> Path:
    """A recipe folder: it reaches the steps through symlinks and has conf files of its own."""
    for name in ("steps", "utils"):
        (folder / name).symlink_to(root / name)
    shutil.copytree(root / "conf", folder / "conf")
    return folder


@pytest.fixture(scope="module")
def made(root, make_tiny_data_dir, tmp_path_factory) -> Path:
    """A recipe whose data/tiny has features and voice activity, made by two jobs."""
    recipe = make_recipe(tmp_path_factory.mktemp("recipe"), root)
    make_tiny_data_dir(recipe / "data" / "tiny")
    for step in ("make_fbank", "compute_vad"):
        subprocess.run([f"steps/{step}.sh", "--nj", "2", "data/tiny"], cwd=recipe, check=True)
    return recipe


@pytest.fixture
def recipe(root, tmp_path, tiny_data_dir) -> Path:
    """A recipe with the audio of data/tiny, nothing computed yet."""
    return make_recipe(tmp_path, root)


@pytest.fixture
def copy(made, tmp_path) -> Path:
    """A copy of ``made`` that a test may change; its scps name the arks of ``made``."""
    return Path(shutil.copytree(made, tmp_path / "copy", symlinks=True))


def log(recipe: Path, step: str, job: int) -> str:
    return (recipe / f"data/tiny/log/{step}_tiny.{job}.log").read_text()


def arks(recipe: Path, kind: str = "raw_fbank") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((recipe / "data/tiny/data").glob(f"{kind}*.ark"))}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_features_are_those_of_the_front_end_with_counts_durations_and_identity(made, root, run):
    data = made / "data/tiny"
    run(root / "utils/validate_data_dir.sh", data)
    frontend, options = read_frontend(made / "conf/fbank.conf")
    feats, frames, seconds = (read_table(data / name) for name in ("feats.scp", "utt2num_frames", "utt2dur"))
    assert list(feats) == list(frames) == list(seconds) == list(read_table(data / "utt2spk"))
    for utt, source in read_table(data / "wav.scp").items():
        samples, rate = soundfile.read(source, dtype="int16")
        expected = KaldiFbank(options)(torch.from_numpy(samples.astype(np.float32))[None])[0].numpy()
        found = ArkReader().read(feats[utt])
        assert found.shape == (int(frames[utt]), 80) and np.allclose(found, expected, atol=1e-4)
        assert float(seconds[utt]) == pytest.approx(len(samples) / rate, abs=1e-3)
    assert (data / "feats.id").read_text() == describe(frontend, options)


def test_logs_begin_with_the_command_and_end_with_its_status(made):
    for step in ("make_fbank", "compute_vad"):
        for job in (1, 2):
            lines = log(made, step, job).splitlines()
            assert lines[0].startswith("# ") and f"split2utt/{job} " in lines[0]
            assert lines[-1].startswith("# Ended (code 0) at ")


def test_voice_activity_has_a_decision_for_each_frame_and_finds_speech(made):
    data = made / "data/tiny"
    frames, decisions = read_table(data / "utt2num_frames"), read_table(data / "vad.scp")
    assert list(decisions) == list(frames)
    for utt, place in decisions.items():
        voiced = ArkReader().read(place)
        assert len(voiced) == int(frames[utt]) and set(voiced) <= {0, 1} and voiced.mean() > 0.5


def test_a_second_run_computes_nothing_and_changes_nothing(made, run):
    before = {path: path.stat().st_mtime_ns for path in (made / "data/tiny/data").glob("*.ark")}
    tables = {name: (made / "data/tiny" / name).read_bytes() for name in ("feats.scp", "vad.scp", "utt2num_frames")}
    for step in ("make_fbank", "compute_vad"):
        run(f"steps/{step}.sh", "--nj", 2, "data/tiny", cwd=made)
        assert all("is there already" in log(made, step, job) for job in (1, 2))
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert tables == {name: (made / "data/tiny" / name).read_bytes() for name in tables}


def test_a_run_that_was_killed_goes_on_with_the_missing_ark_and_gives_the_same_bytes(made, recipe, run):
    command = ["steps/make_fbank.sh", "--nj", "2", "--cmd", ONE_AT_A_TIME, "data/tiny"]
    process = subprocess.Popen(command, cwd=recipe, start_new_session=True, stderr=subprocess.DEVNULL)
    first = recipe / "data/tiny/data/raw_fbank_tiny.1.ark"
    while not first.with_suffix(".done").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (recipe / "data/tiny/feats.scp").exists()
    modified = first.stat().st_mtime_ns

    run(*command, cwd=recipe)
    assert first.stat().st_mtime_ns == modified and "is there already" in log(recipe, "make_fbank", 1)
    assert "is there already" not in log(recipe, "make_fbank", 2)
    assert arks(recipe) == arks(made)
    for name in ("utt2num_frames", "utt2dur", "feats.id"):
        assert (recipe / "data/tiny" / name).read_bytes() == (made / "data/tiny" / name).read_bytes()
    scp = (recipe / "data/tiny/feats.scp").read_text()
    assert scp.replace(str(recipe), str(made)) == (made / "data/tiny/feats.scp").read_text()


def test_kaldis_run_pl_in_place_of_ours_gives_the_same_arks(made, recipe, run, run_pl):
    run("steps/make_fbank.sh", "--nj", 2, "--cmd", run_pl, "data/tiny", cwd=recipe)
    run("steps/compute_vad.sh", "--nj", 2, "--cmd", run_pl, "data/tiny", cwd=recipe)
    assert arks(recipe) == arks(made) and arks(recipe, "vad") == arks(made, "vad")


def test_bad_utterances_are_all_named_and_only_left_out_on_request(recipe, run, root, tmp_path):
    data = recipe / "data/tiny"
    sources = read_table(data / "wav.scp")
    bad = {"ann-1": np.zeros(100, np.int16), "bea-2": np.zeros((9000, 2), np.int16)}
    for utt, samples in bad.items():
        soundfile.write(tmp_path / f"{utt}.wav", samples, 16000)
    (tmp_path / "dan-2.wav").write_bytes(Path(sources["dan-2"]).read_bytes()[:4000])
    write_table(data / "wav.scp", sources | {utt: tmp_path / f"{utt}.wav" for utt in (*bad, "dan-2")})

    done = run("steps/make_fbank.sh", "--nj", 1, "data/tiny", cwd=recipe, code=1)
    text = log(recipe, "make_fbank", 1)
    assert "'ann-1': 100 samples are too short for a frame" in text
    assert "'bea-2': 2 channels instead of one" in text and "'dan-2': truncated" in text
    assert "3 of 8 utterances cannot be used" in done.stderr
    assert not (data / "feats.scp").exists() and not arks(recipe)

    run("steps/make_fbank.sh", "--nj", 1, "--skip-bad", "true", "data/tiny", cwd=recipe)
    run(root / "utils/validate_data_dir.sh", data)
    assert list(read_table(data / "utt2spk")) == ["ann-2", "bea-1", "cal-1", "cal-2", "dan-1"]
    assert "left out" in log(recipe, "make_fbank", 1)


def test_another_configuration_makes_other_features_and_its_mistakes_stop_before_anything_is_touched(copy, run):
    data = copy / "data/tiny"
    before = tree(data)
    (copy / "conf/fbank.conf").write_text("--num-mel-bin=40\n")
    done = run("steps/make_fbank.sh", "--nj", 2, "data/tiny", cwd=copy, code=1)
    assert "conf/fbank.conf:1: unknown option '--num-mel-bin' (did you mean 'num-mel-bins'?)" in done.stderr
    assert tree(data) == before

    (copy / "conf/fbank.conf").write_text("--num-mel-bins=40\n--frame-shift=20\n")
    run("steps/make_fbank.sh", "--nj", 2, "data/tiny", cwd=copy)
    assert ArkReader().read(read_table(data / "feats.scp")["ann-1"]).shape[1] == 40
    assert "--num-mel-bins=40" in (data / "feats.id").read_text()

    done = run("steps/compute_vad.sh", "--nj", 1, "data/tiny", cwd=copy, code=1)
    assert "--frame-shift is 20 for the features and 10 for the detector" in done.stderr
    (copy / "conf/vad.conf").write_text("--frame-shift=20\n")
    run("steps/compute_vad.sh", "--nj", 1, "data/tiny", cwd=copy)
    frames = read_table(data / "utt2num_frames")
    assert {u: str(len(ArkReader().read(p))) for u, p in read_table(data / "vad.scp").items()} == frames


@pytest.mark.parametrize(("step", "table"), [("make_fbank", "feats.scp"), ("compute_vad", "vad.scp")])
def test_a_run_that_fails_leaves_no_list_of_old_and_new_arks(copy, run, step, table):
    data = copy / "data/tiny"
    before = (data / table).read_bytes()
    run(f"steps/{step}.sh", "--cmd", "false", "data/tiny", cwd=copy, code=1)
    assert not (data / table).exists()
    run(f"steps/{step}.sh", "--nj", 1, "data/tiny", cwd=copy)
    assert [line.split()[0] for line in before.decode().splitlines()] == [*read_table(data / table)]


def test_segments_become_utterances_by_no_more_jobs_than_there_are(recipe, tiny_wavs, run, root):
    data = recipe / "data/call"
    data.mkdir()
    write_table(data / "wav.scp", {"call": tiny_wavs / "ann-2.wav"})
    write_table(data / "segments", {"ann-a": "call 0 0.2", "bea-b": "call 0.15 0.45"})
    write_table(data / "utt2spk", {"ann-a": "ann", "bea-b": "bea"})
    write_table(data / "spk2utt", {"ann": "ann-a", "bea": "bea-b"})
    for step in ("make_fbank", "compute_vad"):
        run(f"steps/{step}.sh", "--nj", 50, "data/call", recipe / "log", "feats", cwd=recipe)
    run(root / "utils/validate_data_dir.sh", data)
    assert read_table(data / "utt2num_frames") == {"ann-a": "18", "bea-b": "28"}
    assert read_table(data / "utt2dur") == {"ann-a": "0.200", "bea-b": "0.300"}
    assert sorted(path.name for path in (recipe / "log").iterdir())[-2:] == [
        "make_fbank_call.1.log",
        "make_fbank_call.2.log",
    ]
    assert all(str(recipe / "feats") in place for place in read_table(data / "feats.scp").values())


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("steps/make_fbank.sh --nj 0 data/tiny", "--nj must be at least 1, not 0"),
        ("steps/make_fbank.sh --nj -2 data/tiny", "--nj must be at least 1, not -2"),
        ("steps/make_fbank.sh --nj x data/tiny", "--nj wants an integer, not 'x'"),
        ("steps/make_fbank.sh --fbank-conf x data/tiny", "did you mean '--fbank-config'?"),
        ("steps/make_fbank.sh --fbank-config nix.conf data/tiny", "nix.conf: no such file"),
        ("steps/make_fbank.sh data/nix", "data/nix"),
        ("steps/make_fbank.sh", "0 arguments instead of 1 to 3"),
        ("steps/compute_vad.sh data/tiny", "no data/tiny/utt2num_frames: run steps/make_fbank.sh first"),
        ("steps/filter_data_dir.sh data/tiny data/out", "data/tiny/utt2num_frames: no such file"),
        ("steps/hold_out_dev.sh --speakers 3 data/tiny data/a data/b", "cannot hold out 3 dev speakers of 4"),
        ("steps/extract_embeddings.sh nix.pt data/tiny exp", "no such file: nix.pt"),
    ],
)
def test_wrong_input_is_named_and_nothing_is_written(recipe, run, command, expected):
    before = tree(recipe / "data")
    done = run(*command.split(), cwd=recipe, code=1)
    assert expected in done.stderr
    assert tree(recipe / "data") == before and not (recipe / "exp").exists()


def test_a_missing_recording_is_named_before_any_job_starts(recipe, run):
    scp = recipe / "data/tiny/wav.scp"
    scp.write_text(scp.read_text().replace("bea-2.wav", "nix.wav"))
    done = run("steps/make_fbank.sh", "data/tiny", cwd=recipe, code=1)
    assert re.search(r"wav\.scp:4: .*nix\.wav", done.stderr + done.stdout)
    assert not (recipe / "data/tiny/log").exists()


def test_commands_in_wav_scp_run_only_with_allow_pipes(recipe, run):
    scp = recipe / "data/tiny/wav.scp"
    write_table(scp, {utt: f"touch mark; cat {path} |" for utt, path in read_table(scp).items()})
    run("steps/make_fbank.sh", "--nj", 1, "data/tiny", cwd=recipe, code=1)
    assert not (recipe / "mark").exists()
    run("steps/make_fbank.sh", "--nj", 1, "--allow-pipes", "true", "data/tiny", cwd=recipe)
    assert (recipe / "mark").exists() and len(read_table(recipe / "data/tiny/feats.scp")) == 8


def test_filtering_leaves_long_utterances_of_speakers_with_enough_of_them(copy, run, root):
    frames = {utt: int(n) for utt, n in read_table(copy / "data/tiny/utt2num_frames").items()}
    limit = sorted(frames.values())[3]
    run("steps/filter_data_dir.sh", "--min-frames", limit, "--min-utts", 2, "data/tiny", "data/long", cwd=copy)
    run(root / "utils/validate_data_dir.sh", copy / "data/long")
    kept = {utt for utt, n in frames.items() if n >= limit}
    expected = [utt for utt in sorted(kept) if {f"{utt[:3]}-1", f"{utt[:3]}-2"} <= kept]
    assert list(read_table(copy / "data/long/feats.scp")) == expected and 0 < len(expected) < len(kept)
    done = run("steps/filter_data_dir.sh", "--min-frames", 9999, "data/tiny", "data/none", cwd=copy, code=1)
    assert "none of 8 utterances is long enough" in done.stderr and not (copy / "data/none").exists()


def test_holding_out_gives_two_valid_disjoint_dirs_and_trials_and_repeats_to_the_byte(copy, run, root):
    command = ("steps/hold_out_dev.sh", "--speakers", 2, "data/tiny", "data/fit", "data/dev")
    run(*command, cwd=copy)
    fit, dev = copy / "data/fit", copy / "data/dev"
    for folder in (fit, dev):
        run(root / "utils/validate_data_dir.sh", folder)
        assert len(read_table(folder / "spk2utt")) == 2
        assert (folder / "feats.id").read_bytes() == (copy / "data/tiny/feats.id").read_bytes()
    assert not set(read_table(fit / "utt2spk")) & set(read_table(dev / "utt2spk"))
    assert {line.split()[2] for line in (dev / "trials").read_text().splitlines()} == {"target", "nontarget"}
    assert not (fit / "trials").exists()
    before = tree(fit), tree(dev)
    run(*command, cwd=copy)
    assert (tree(fit), tree(dev)) == before
    run(*command[:1], "--valid-share", 0.4, *command[1:], "data/valid", cwd=copy)
    valid = copy / "data/valid"
    run(root / "utils/validate_data_dir.sh", valid)
    assert tree(dev) == before[1] and read_table(valid / "utt2spk").keys() | read_table(fit / "utt2spk").keys() == {
        line.split()[0].decode() for line in before[0]["utt2spk"].splitlines()
    }
    assert read_table(valid / "spk2utt").keys() == read_table(fit / "spk2utt").keys()
    done = run(*command[:1], "--valid-share", 0.4, *command[1:], cwd=copy, code=1)
    assert "--valid-share needs a <valid-data-dir>" in done.stderr
    done = run(*command, "data/valid", cwd=copy, code=1)
    assert "--valid-share says how much goes to data/valid" in done.stderr


@pytest.fixture(scope="module")
def model(made, tmp_path_factory) -> Path:
    """An untrained small network for the features of ``made``."""
    folder = tmp_path_factory.mktemp("model")
    yaml = "model: {name: ecapa_tdnn, args: {channels: 16, pooled_channels: 32, embedding_dim: 8}}\n"
    (folder / "x.yaml").write_text(yaml + "phases: [{name: a, epochs: 1}]\n")
    config = load(folder / "x.yaml")
    torch.manual_seed(0)
    network = BACKBONES.build("ecapa_tdnn", config.model.args, feature_dim=80)
    state = {"config": to_dict(config), "model": network.state_dict(), "feature_dim": 80}
    checkpoint.save(folder / "final.pt", state | {"feats_id": (made / "data/tiny/feats.id").read_text()})
    return folder / "final.pt"


def test_embeddings_are_those_of_the_network_and_are_computed_once(copy, model, run):
    command = ("steps/extract_embeddings.sh", "--nj", 2, model, "data/tiny", "exp/emb")
    run(*command, cwd=copy)
    out, features = copy / "exp/emb", FeatureSet(copy / "data/tiny", load(model.with_name("x.yaml")).features)
    state = checkpoint.load(model)
    network = BACKBONES.build("ecapa_tdnn", load(model.with_name("x.yaml")).model.args, feature_dim=80)
    network.load_state_dict(state["model"])
    found = {utt: ArkReader().read(place) for utt, place in read_table(out / "xvector.scp").items()}
    assert list(found) == features.utts
    for utt, embedding in found.items():
        expected = embed(network.eval(), features, utt, torch.device("cpu"))
        assert np.allclose(embedding, expected, atol=1e-5)
    assert read_table(out / "num_utts") == {spk: "2" for spk in ("ann", "bea", "cal", "dan")}
    mean = ArkReader().read(read_table(out / "spk_xvector.scp")["bea"])
    assert np.allclose(mean, (found["bea-1"] + found["bea-2"]) / 2, atol=1e-6)

    modified = (out / "xvector.1.ark").stat().st_mtime_ns
    (out / "xvector.2.done").unlink()
    run(*command, cwd=copy)
    assert (out / "xvector.1.ark").stat().st_mtime_ns == modified
    assert "is there already" in (out / "log/extract.1.log").read_text()
    assert "is there already" not in (out / "log/extract.2.log").read_text()

    out.rename(copy / "exp/moved")
    run(*command[:-1], "exp/moved", cwd=copy)
    assert (copy / "exp/moved/xvector.1.ark").stat().st_mtime_ns == modified
    assert np.array_equal(ArkReader().read(read_table(copy / "exp/moved/xvector.scp")["ann-1"]), found["ann-1"])


def test_somebody_elses_data_dir_is_only_read_for_extraction(copy, model, run):
    as_root = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []  # whom no mode bits stop
    data = copy / "data/tiny"
    before = tree(data)
    data.chmod(0o555)
    try:
        run(*as_root, "steps/extract_embeddings.sh", "--nj", 3, model, data, "exp/emb", cwd=copy)
    finally:
        data.chmod(0o755)
    assert tree(data) == before
    assert list(read_table(copy / "exp/emb/xvector.scp")) == list(read_table(data / "utt2spk"))
    assert [len(read_table(copy / f"exp/emb/xvector.{job}.scp")) for job in (1, 2, 3)] == [2, 3, 3]


def test_features_of_another_front_end_are_refused_at_extraction(copy, model, run):
    identity = copy / "data/tiny/feats.id"
    identity.write_text(identity.read_text().replace("hamming", "povey"))
    done = run("steps/extract_embeddings.sh", "--nj", 1, model, "data/tiny", "exp/emb", cwd=copy, code=1)
    assert "was trained on other features: --window-type=povey here, --window-type=hamming in training" in done.stderr
    assert not list((copy / "exp/emb").glob("*.scp"))
