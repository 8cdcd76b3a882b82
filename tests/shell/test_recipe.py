"""run.sh from recordings to a table, on a tiny corpus of synthetic voices; killed in every stage and run again."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

CHOICES = [
    "--train-set", "corpus/mini_train", "--test-sets", "corpus/mini_test",
    "--nj", "2", "--num-threads", "1", "--tag", "tiny",
]  # fmt: skip
SIZES = {
    "phases.0.epochs": 3, "phases.0.batch_size": 8, "phases.0.crop": 100, "hold_out.dev_speakers": 3,
    "model.args.channels": 16, "model.args.pooled_channels": 32, "scoring.bootstrap": 20,
    "features.vad": "true",
}  # fmt: skip
for key, value in SIZES.items():
    CHOICES += ["--set", f"{key}={value}"]
STAGES = [
    "copy_mini_train", "copy_mini_test", "fbank_mini_train", "vad_mini_train", "fbank_mini_test", "vad_mini_test",
    "filter", "hold_out", "check_trials", "train", "extract_mini_test", "extract_train", "speakers", "score_mini_test",
    "make_cohort", "normalise_mini_test", "calibration_trials", "score_calibration", "normalise_calibration",
    "quality_calibration", "fit_calibration", "quality_mini_test", "calibrate_mini_test", "metrics", "report",
]  # fmt: skip
ALIKE = {"fbank_mini_test", "vad_mini_test", "extract_train", "score_calibration", "quality_calibration"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, root) -> Path:
    """Data dirs of ten training and four test speakers."""
    folder = tmp_path_factory.mktemp("corpus")
    sizes = ["--num-train-speakers", "10", "--num-test-speakers", "4", "--num-utts", "2"]
    subprocess.run([root / "local/prepare_mini.sh", *sizes, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def new_recipe(tmp_path_factory, root, corpus):
    """A function that makes a recipe's folder."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("recipe")
        for name in ("steps", "utils", "local", "conf"):
            (folder / name).symlink_to(root / name)
        (folder / "corpus").symlink_to(corpus)
        return folder

    return make


@pytest.fixture(scope="module")
def finished(new_recipe, root) -> tuple[Path, subprocess.CompletedProcess]:
    """A recipe that has run through undisturbed."""
    folder = new_recipe()
    done = subprocess.run([root / "run.sh", *CHOICES], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done


def test_a_run_ends_with_a_table_of_results_and_of_times(finished):
    _, done = finished
    for scores in ("mini_test", "mini_test_asnorm", "mini_test_qmf"):
        assert f"{scores}, cosine: EER %" in done.stdout
    assert "parameters" in done.stdout and "training hours" in done.stdout
    for stage in STAGES:
        assert stage in done.stdout


def test_the_experiment_says_what_was_run(finished):
    folder, _ = finished
    exp = folder / "exp/tiny"
    result = json.loads((exp / "results.json").read_text())["cosine/mini_test"]
    assert 0 <= result["eer"] <= 1 and result["counts"]["target"] > 0
    assert "phases" in (exp / "config.yaml").read_text()
    launch = json.loads(next((exp / "launches").glob("*.json")).read_text())
    assert launch["argv"][1:] == CHOICES and launch["versions"]["torch"] and launch["inputs"]
    epochs = [json.loads(line) for line in (exp / "phases/plateau/metrics.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert {p.name for p in (exp / "embeddings/mini_test").glob("*")} >= {
        "xvector.1.ark", "xvector.2.ark", "xvector.scp", "spk_xvector.scp", "num_utts",
    }  # fmt: skip


def test_data_dirs_outside_the_recipe_are_copied_and_never_written(finished, corpus):
    folder, _ = finished
    assert (folder / "data/mini_train/feats.scp").exists()
    assert not {"feats.scp", "vad.scp", "feats.id", ".done"} & set(os.listdir(corpus / "mini_train"))


def test_a_second_run_skips_everything_that_is_done(finished, root, run):
    folder, _ = finished
    before = (folder / "exp/tiny/final.pt").stat().st_mtime_ns
    done = run(root / "run.sh", *CHOICES, cwd=folder)
    assert done.stdout.count("done before") == len(STAGES)
    assert (folder / "exp/tiny/final.pt").stat().st_mtime_ns == before


def test_another_configuration_stops_and_overwrites_nothing(finished, root, run):
    folder, _ = finished
    before = (folder / "exp/tiny/config.yaml").read_text()
    done = run(root / "run.sh", *CHOICES, "--set", "loss.args.margin=0.3", cwd=folder, code=1)
    assert "margin: 0.3" in done.stderr and "--tag" in done.stderr
    assert (folder / "exp/tiny/config.yaml").read_text() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stge", "3"], "did you mean '--stage'"),
        (["--stage", "O"], "wants an integer"),
        (["--config", "conf/none.yaml"], "no such file"),
        (["--set", "model.args.chanels=3"], "did you mean 'channels'"),
        (["3"], "arguments"),
        (["--test-sets", "corpus/mini_test data/mini_test"], "rename"),
        (["--test-sets", "corpus/mini_test elsewhere/mini_test"], "no data dir elsewhere/mini_test"),
        (["--test-sets", ""], "--test-sets names at least one"),
        (["--train-set", ""], "--train-set names a data dir"),
        (["--model", "none.pt"], "no such model: none.pt"),
        (["--init", "none.pt"], "no such model: none.pt"),
        (["--init", "conf/fbank.conf"], "conf/fbank.conf: truncated or not a checkpoint"),
        (["--max-hours", "-0.5"], "--max-hours is 0 or more, not -0.5"),
        (["--init", "x", "--model", "conf/ecapa_mini.yaml"], "--init is where a training starts, and --model is"),
        (["--tag", "../x"], "--tag names a folder"),
        (["--corpora", "mni", "--test-sets", "data/x"], "known corpora: an4 cn_celeb dir esd "),
        (
            ["--corpora", "an4 mini", "--corpus-dir", "c", "--test-sets", "data/x"],
            "--corpus-dir is the folder of one corpus",
        ),
        (["--stage", "42"], "--stage is 0 to 9"),
        (["--nj", "0"], "--nj is 1 to"),
        (["--gpu", "-1"], "--gpu is 0 or more"),
        (["--gpu", "99"], "--gpu 99, but the devices here are: "),
        (["--num-processes", "0"], "--num-processes is 1 to"),
        (["--gpu", "1", "--num-processes", "2"], "--num-processes is for CPUs"),
        (["--gpu", "0", "--num-processes", "2"], "make 1 micro-batches of a step, too few for 2 processes"),
        (["--num-threads", "-2"], "--num-threads is 0 to"),
    ],
)
def test_a_mistaken_option_fails_at_once_and_writes_nothing(new_recipe, root, run, options, message):
    folder = new_recipe()
    before = sorted(os.listdir(folder))
    done = run(root / "run.sh", *CHOICES, *options, cwd=folder, code=1)
    assert message in done.stderr
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize("name", ["train", "calibration"])
def test_a_test_set_may_not_be_called_as_what_the_experiment_makes_itself(new_recipe, root, run, name):
    done = run(root / "run.sh", "--test-sets", f"data/{name}", cwd=new_recipe(), code=1)
    assert f"are called {name}" in done.stderr and "rename" in done.stderr


def test_two_trial_lists_of_one_name_are_an_error(root, run, tmp_path):
    for name in ("x/trials", "x/trials_hard", "x_hard/trials"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    done = run("bash", "-c", f". {root}/utils/recipe.sh; trial_lists x x_hard", cwd=tmp_path, code=1)
    assert "two trial lists would both be called x_hard" in done.stderr


def test_a_table_of_the_breakdown_that_changed_is_noticed(finished, root, run):
    table = finished[0] / "data/mini_test/utt2dur"
    before = table.read_text()
    table.write_text(before.replace("\n", "1\n", 1))
    try:
        done = run(root / "run.sh", *CHOICES, "--stop-stage", "9", cwd=finished[0], code=1)
    finally:
        table.write_text(before)
    assert "data/mini_test/utt2dur" in done.stderr


def test_what_was_trained_is_not_relabelled_with_another_configuration(finished, root, run):
    folder, _ = finished
    before = (folder / "exp/tiny/config.yaml").read_text()
    done = run(root / "run.sh", *CHOICES, "--stage", "4", "--set", "loss.args.margin=0.3", cwd=folder, code=1)
    assert "trained with another configuration" in done.stderr and "--restart true" in done.stderr
    assert (folder / "exp/tiny/config.yaml").read_text() == before


def test_a_key_of_a_later_stage_may_change_with_stage(finished, root, run):
    folder, _ = finished
    run(root / "run.sh", *CHOICES, "--stage", "9", "--set", "scoring.bootstrap=0", cwd=folder)
    assert json.loads((folder / "exp/tiny/results.json").read_text())["cosine/mini_test"]["intervals"] is None
    run(root / "run.sh", *CHOICES, "--stage", "6", cwd=folder)


def test_a_run_that_is_refused_changes_nothing_of_the_one_that_works(finished, root, run):
    folder, _ = finished
    lock = folder / "exp/tiny/.lock"
    lock.mkdir()
    (lock / "owner").write_text(f"{os.uname().nodename} {os.getpid()}\n")
    before = (folder / "exp/tiny/config.yaml").read_text(), sorted(os.listdir(folder / "exp/tiny/.done"))
    try:
        done = run(root / "run.sh", *CHOICES, "--restart", "true", "--set", "seed=7", cwd=folder, code=1)
    finally:
        shutil.rmtree(lock)
    assert "in use by process" in done.stderr
    assert before == ((folder / "exp/tiny/config.yaml").read_text(), sorted(os.listdir(folder / "exp/tiny/.done")))


def test_trials_that_changed_at_their_source_are_noticed(new_recipe, root, run, corpus, tmp_path):
    folder = new_recipe()
    source = tmp_path / "mini_test"
    shutil.copytree(corpus / "mini_test", source)
    choices = [*CHOICES, "--test-sets", source, "--stop-stage", "1"]
    run(root / "run.sh", *choices, cwd=folder)
    (source / "trials").write_text("".join((source / "trials").read_text().splitlines(keepends=True)[:-1]))
    done = run(root / "run.sh", *choices, cwd=folder, code=1)
    assert "mini_test/trials" in done.stderr and "for every experiment that uses data/mini_test" in done.stderr


def test_an_ark_that_was_deleted_is_made_again(finished, root, run):
    folder, _ = finished
    ark = folder / "exp/tiny/embeddings/mini_test/xvector.1.ark"
    before = ark.read_bytes(), (folder / "exp/tiny/results.json").read_bytes()
    ark.unlink()
    run(root / "run.sh", *CHOICES, "--stage", "5", cwd=folder)
    assert before == (ark.read_bytes(), (folder / "exp/tiny/results.json").read_bytes())


def test_a_recipes_path_may_hold_a_space(finished, root, run, tmp_path):
    folder, _ = finished
    spaced = tmp_path / "my recipe"
    spaced.mkdir()
    for name in ("steps", "utils", "local", "conf", "corpus"):
        (spaced / name).symlink_to(os.path.realpath(folder / name))
    model = ["--model", folder / "exp/tiny/final.pt", "--cohort-set", folder / "exp/tiny/data/train"]
    run(root / "run.sh", *CHOICES, *model, cwd=spaced)
    ours, theirs = (json.loads((x / "exp/tiny/results.json").read_text()) for x in (spaced, folder))
    assert ours == theirs


def test_a_trial_of_an_unknown_utterance_is_an_error_before_training(finished, root, run, tmp_path):
    folder, _ = finished
    trials = folder / "data/mini_test/trials_bad"
    trials.write_text("nobody-1 nobody-2 target\nnobody-1 nobody-3 nontarget\n")
    try:
        done = run(root / "run.sh", *CHOICES, "--stage", "3", cwd=folder, code=1)
    finally:
        trials.unlink()
    assert "nobody-1" in done.stderr and "trials_bad" in done.stderr
    assert "stopped in stage 3 (check_trials)" in done.stderr


def test_test_speakers_in_the_training_data_are_an_error(new_recipe, root, run):
    folder = new_recipe()
    choices = [*CHOICES, "--train-set", "corpus/mini_train corpus/mini_test"]
    done = run(root / "run.sh", *choices, "--stop-stage", "3", cwd=folder, code=1)
    assert "are in the training data" in done.stderr and "--allow-train-speakers" in done.stderr


def test_killed_in_every_stage_and_run_again_the_results_are_the_same(finished, new_recipe, root):
    folder = new_recipe()
    for stage in STAGES:
        if stage not in ALIKE:
            _run_until(folder, root, stage)
    done = subprocess.run([root / "run.sh", *CHOICES], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    undisturbed, _ = finished
    scores = [f"scores/cosine/mini_test{suffix}" for suffix in ("", "_asnorm", "_qmf")]
    for name in ("results.json", "final.pt", "config.yaml", "calibration/cosine/calibration.json", *scores):
        assert (folder / "exp/tiny" / name).read_bytes() == (undisturbed / "exp/tiny" / name).read_bytes(), name


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_during_training_ends_all_of_it(new_recipe, root, sent, code):
    folder = new_recipe()
    process, log = _start(folder, root, "--set", "phases.0.epochs=500")
    _wait_for("epoch 2/500", log, process)
    process.send_signal(sent)
    assert process.wait(timeout=60) == code
    assert "stopped in stage 4 (train)" in log.read_text()
    assert not _members(process)
    assert not (folder / "exp/tiny/.lock").exists()
    assert "# Ended (code 143)" in (folder / "exp/tiny/log/train.log").read_text()


def test_a_run_that_was_stopped_politely_goes_on_to_the_same_results(finished, root, run, tmp_path):
    folder = Path(shutil.copytree(finished[0], tmp_path / "recipe", symlinks=True))
    exp, anew = folder / "exp/tiny", ["--stage", "4", "--restart", "true"]
    longer = ["--set", "phases.0.epochs=40"]
    run(root / "run.sh", *CHOICES, *longer, *anew, cwd=folder)
    undisturbed = [(exp / name).read_bytes() for name in ("final.pt", "results.json")]
    done = run(root / "run.sh", *CHOICES, *longer, *anew, "--max-hours", "1e-9", cwd=folder)
    told = "plateau, epoch 1 of 40, step 1: stopped by --max-hours 1e-09"
    assert f"stage 4 (train) is unfinished: {told}; run it again to go on" in done.stderr
    assert not (exp / ".done/train").exists() and not (exp / "final.pt").exists() and not (exp / ".lock").exists()
    for sent, code, epoch in ((signal.SIGUSR1, 0, 5), (signal.SIGTERM, 143, 15)):
        process, log = _start(folder, root, *longer)
        _wait_for(f"plateau epoch {epoch}/40", exp / "log/train.log", process)
        process.send_signal(sent)
        assert process.wait(timeout=60) == code
        assert f": stopped by {sent.name}; run it again to go on" in log.read_text()
        assert not _members(process)
    run(root / "run.sh", *CHOICES, *longer, cwd=folder)
    assert [(exp / name).read_bytes() for name in ("final.pt", "results.json")] == undisturbed
    assert not (exp / "unfinished").exists() and (exp / ".done/train").exists()


def test_no_second_run_begins_while_a_stage_outlives_a_killed_one(new_recipe, root, run):
    folder = new_recipe()
    choices = ["--set", "phases.0.epochs=500"]
    process, log = _start(folder, root, *choices)
    _wait_for("epoch 2/500", log, process)
    process.kill()
    process.wait()
    try:
        refused = run(root / "run.sh", *CHOICES, *choices, cwd=folder, code=1)
        assert "its stage by process group" in refused.stderr
    finally:
        _kill(process)


def _start(folder: Path, root: Path, *options: str) -> tuple[subprocess.Popen, Path]:
    """Start the recipe in a session of its own; its output goes to the file that is returned."""
    log = folder / "started.log"
    with open(log, "w") as file:
        command = [root / "run.sh", *CHOICES, *options]
        return subprocess.Popen(command, cwd=folder, stdout=file, stderr=file, start_new_session=True), log


def _wait_for(text: str, log: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while text not in log.read_text():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def _members(process: subprocess.Popen) -> list[int]:
    """The living processes of a session."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-s", str(process.pid)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if not line.split()[1].startswith("Z")]


def _kill(process: subprocess.Popen) -> None:
    """kill -9 for all of a session."""
    while members := _members(process):
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()


def _run_until(folder: Path, root: Path, stage: str) -> None:
    """Start the recipe and kill -9 all of it in the middle of ``stage``: a training once it has a checkpoint."""
    process, log = _start(folder, root)
    _wait_for(f": {stage}\n", log, process)
    deadline = time.monotonic() + 120
    while stage == "train" and not list(folder.glob("exp/tiny/phases/*/checkpoints/*.pt")):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    time.sleep(0.05)
    _kill(process)
    process.wait()


def test_kaldis_run_pl_can_take_the_dispatchers_place(finished, new_recipe, root, run, run_pl):
    folder = new_recipe()
    run(root / "run.sh", *CHOICES, cwd=folder, SV_CMD=run_pl)
    undisturbed, _ = finished
    for name in ("results.json", "final.pt"):
        assert (folder / "exp/tiny" / name).read_bytes() == (undisturbed / "exp/tiny" / name).read_bytes(), name


def test_a_given_model_is_evaluated_without_training_data(finished, root, run):
    folder, _ = finished
    choices = [*CHOICES, "--tag", "given", "--model", "exp/tiny/final.pt", "--train-set", "none/such"]
    assert "--cohort-set names some" in run(root / "run.sh", *choices, cwd=folder, code=1).stderr
    done = run(root / "run.sh", *choices, "--cohort-set", "exp/tiny/data/train", cwd=folder)
    assert "train" not in [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("3 ", "4 "))]
    results = [json.loads((folder / "exp" / tag / "results.json").read_text()) for tag in ("tiny", "given")]
    assert results[0] == results[1]


def test_a_training_starts_from_a_model_and_notices_another_one(finished, root, run):
    folder, _ = finished
    shutil.copy(folder / "exp/tiny/final.pt", folder / "start.pt")
    choices = [*CHOICES, "--tag", "started", "--set", "phases.0.epochs=1", "--init", "start.pt", "--stop-stage", "4"]
    run(root / "run.sh", *choices, cwd=folder)
    assert "head: 7 speakers, 7 of them known from there, 0 new" in (folder / "exp/started/log/train.log").read_text()
    assert "== stage" not in run(root / "run.sh", *choices, cwd=folder).stderr
    shutil.copy(folder / "exp/started/final.pt", folder / "start.pt")
    done = run(root / "run.sh", *choices, cwd=folder, code=1)
    assert "stage 4 (train) is done, but not with these inputs" in done.stderr and "  start.pt" in done.stderr


def test_restart_discards_the_training_and_gives_the_same_result(finished, root, run):
    folder, _ = finished
    before = (folder / "exp/tiny/final.pt").read_bytes()
    done = run(root / "run.sh", *CHOICES, "--restart", "true", cwd=folder)
    assert "== stage 4: train" in done.stderr
    assert (folder / "exp/tiny/final.pt").read_bytes() == before


def test_restart_does_not_discard_the_model_that_it_is_to_start_from(root, run, tmp_path):
    for name in ("data/utt2spk", "data/trials", "exp/phases/plateau/final.pt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    start = ["--restart", "true", "--init", "exp/phases/plateau/final.pt", root / "conf/ecapa_mini.yaml"]
    done = run(root / "steps/train.sh", *start, "data", "data", "exp", cwd=tmp_path, code=1, timeout=60)
    assert "exp/phases/plateau/final.pt: --restart true would discard it" in done.stderr
    assert (tmp_path / "exp/phases/plateau/final.pt").exists()


@pytest.fixture
def an4_recipe(root, tmp_path) -> Path:
    """The recipe in a tree of its own, without the site's paths."""
    for name in ("run.sh", "path.sh", "cmd.sh", "steps", "utils", "local", "sv_py", ".venv"):
        if (root / name).exists():
            (tmp_path / name).symlink_to(root / name)
    shutil.copytree(root / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("corpora.site.sh"))
    recipe = tmp_path / "egs/an4/v1"
    shutil.copytree(root / "egs/an4/v1", recipe, symlinks=True, ignore=shutil.ignore_patterns("data", "exp"))
    return recipe


def test_the_an4_recipe_finds_real_speech_and_prepares_it(an4_recipe, root, run, shared):
    run(an4_recipe / "run.sh", "--stop-stage", "3", "--tag", "x", AN4_DIR=shared / "corpora/an4")
    assert len((an4_recipe / "data/an4_train/spk2utt").read_text().splitlines()) == 42
    assert (an4_recipe / "data/an4_test/trials").read_bytes() == (root / "egs/an4/v1/trials/an4_test").read_bytes()
    frames = (an4_recipe / "data/an4_test/utt2num_frames").read_text().splitlines()
    assert len(frames) == 538 and all(int(line.split()[1]) > 20 for line in frames)


def test_a_recipe_whose_corpus_is_nowhere_says_how_to_name_it(an4_recipe, run):
    done = run(an4_recipe / "run.sh", code=1, AN4_DIR="")
    assert "AN4_DIR" in done.stderr and "--corpus-dir" in done.stderr


AUDIO = """\
model: {name: ecapa_tdnn, args: {channels: 16, pooled_channels: 32, embedding_dim: 16}}
features: {frontend: {name: kaldi_fbank, args: {num_mel_bins: 40}}, vad: true}
data: {source: audio, window: 2}
phases:
  - name: plateau
    epochs: 2
    batch_size: 8
    crop: [80, 100]
    augment:
      speed: [0.9, 1.1]
      waveform: [{name: speech, args: {probability: 0.5}}]
hold_out: {dev_speakers: 3}
scoring: {bootstrap: 20}
"""


def test_what_has_no_speech_does_not_train_where_only_speech_counts(new_recipe, root, run):
    folder = new_recipe()
    shutil.copytree(folder / "corpus/mini_train", folder / "theirs/mini_train")
    scp = folder / "theirs/mini_train/wav.scp"
    (utt, _), *lines = (line.split(" ", 1) for line in scp.read_text().splitlines())
    soundfile.write(folder / "silence.wav", np.zeros(32000, np.int16), 16000)
    scp.write_text("".join(f"{name} {path}\n" for name, path in [(utt, folder / "silence.wav"), *lines]))
    run(root / "run.sh", *CHOICES, "--train-set", "theirs/mini_train", "--stop-stage", 3, cwd=folder)
    left = [line.split()[0] for line in (folder / "exp/tiny/data/all/utt2spk").read_text().splitlines()]
    assert left == [name for name, _ in lines]


def test_a_run_on_audio_shards_augments_and_needs_no_stored_features(new_recipe, root, run):
    folder = new_recipe()
    (folder / "audio.yaml").write_text(AUDIO)
    choices = [root / "run.sh", *CHOICES[:6], "--config", "audio.yaml", "--tag", "audio", "--num-workers", 1]
    done = run(*choices, cwd=folder, code=1)
    assert "audio.yaml: needs sounds for 'speech': --augment-set speech=DIR" in done.stderr
    assert not (folder / "exp").exists()
    (folder / "sounds").mkdir()
    shutil.copytree(folder / "corpus/mini_test", folder / "sounds/talkers")
    choices += ["--augment-set", "speech=sounds/talkers"]
    run(*choices, cwd=folder)
    assert not list(folder.glob("data/*/feats.scp")) and (folder / "data/talkers/audio.scp").exists()
    assert "detector=webrtc" in (folder / "data/mini_train/audio.id").read_text()
    assert "detector" not in (folder / "data/talkers/audio.id").read_text()
    model = json.loads((folder / "exp/audio/model.json").read_text())
    assert model["classes"] == 3 * (10 - 3)
    assert json.loads((folder / "exp/audio/results.json").read_text())["cosine/mini_test"]["counts"]["target"] > 0
    done = run(*choices, cwd=folder)
    assert "== stage" not in done.stderr, "all is done"
    (folder / "theirs/shards").mkdir(parents=True)
    for name in ("utt2spk", "spk2utt", "audio.scp", "audio.id", "utt2num_samples", "trials"):
        shutil.copy(folder / "data/mini_test" / name, folder / "theirs/shards")
    model = ["--model", "exp/audio/final.pt", "--test-sets", "theirs/shards", "--tag", "shards"]
    done = run(root / "run.sh", "--config", "conf/ecapa_mini.yaml", *model, cwd=folder, code=1)
    assert "--config '' takes its own configuration" in done.stderr and not (folder / "exp/shards").exists()
    run(root / "run.sh", "--nj", 2, *model, cwd=folder)
    results = [json.loads((folder / f"exp/{tag}/results.json").read_text()) for tag in ("audio", "shards")]
    assert results[0]["cosine/mini_test"]["eer"] == results[1]["cosine/shards"]["eer"]
    own = [*choices[:-1], "speech=corpus/mini_train"]  # of which there are shards of speech already
    done = run(*own, "--stage", 1, "--stop-stage", 2, cwd=folder)
    assert done.stderr.count("copy_mini_train") == done.stderr.count("shards_mini_train") == 1
    assert "detector=webrtc" in (folder / "data/mini_train/audio.id").read_text()
