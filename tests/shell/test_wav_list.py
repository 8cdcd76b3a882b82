"""egs/voxblink2/eval: a list of real recordings, trials and a checkpoint of VoxBlink2's layout give error rates."""

import json
import shutil
import sys
from itertools import combinations
from pathlib import Path

import pytest
import torch
from theirs import VoxBlink2ResNet


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A small ResNet34-GSP with random weights, as data-parallel training of VoxBlink2's writes it."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vb2") / "model_ft.pt"
    torch.save({f"module.{name}": tensor for name, tensor in VoxBlink2ResNet("GSP").state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def listed(shared, tmp_path_factory) -> Path:
    """Folder of VoxBlink2's form with twelve recordings of four speakers of AN4."""
    folder = tmp_path_factory.mktemp("listed") / "test_vox"
    (folder / "wav").mkdir(parents=True)
    speakers = {}
    for path in sorted((shared / "corpora/an4/wav/an4test_clstk").glob("*/*.flac")):
        speakers.setdefault(path.parent.name, []).append(path)
    files = [path for name in list(speakers)[:4] for path in speakers[name][:3]]
    for path in files:
        shutil.copy(path, folder / "wav")
    (folder / "wav.scp").write_text("".join(f"{path.stem}\twav/{path.name}\n" for path in files))
    lines = (f"{int(a.parent == b.parent)} {a.stem} {b.stem}\n" for a, b in combinations(files, 2))
    (folder / "trials").write_text("".join(lines))
    return folder


@pytest.fixture
def recipe(root, tmp_path) -> Path:
    """The recipe in a tree of its own."""
    for name in ("run.sh", "path.sh", "cmd.sh", "conf", "steps", "utils", "local", "sv_py", ".venv"):
        if (root / name).exists():
            (tmp_path / name).symlink_to(root / name)
    folder = tmp_path / "egs/voxblink2/eval"
    shutil.copytree(root / "egs/voxblink2/eval", folder, symlinks=True, ignore=shutil.ignore_patterns("data", "exp"))
    return folder


def test_a_checkpoint_of_theirs_is_imported_and_evaluated(recipe, root, run, checkpoint, listed, tmp_path):
    choices = [recipe / "run.sh", "--corpus-dir", listed, "--nj", 1, "--gpu", 0]
    done = run(*choices, "--model", checkpoint, code=1)
    assert "model_ft.pt: not a checkpoint of this project" in done.stderr and "sv_py.import_checkpoint" in done.stderr
    model = tmp_path / "vb2_small.pt"
    imported = [sys.executable, "-m", "sv_py.import_checkpoint", "--kind", "voxblink2", checkpoint, model]
    done = run(*imported, PYTHONPATH=root)
    assert "normalise=std" in done.stderr and ", none missing" in done.stdout
    done = run(*choices, "--model", model)
    results = json.loads((recipe / "exp/vb2_small/results.json").read_text())
    result = results["cosine/wav_list"]
    assert result["counts"] == {"target": 12, "nontarget": 54} and 0 <= result["eer"] <= 1
    assert set(result["min_dcf"]) >= {"0.01"} and result["intervals"] is None
    assert "name: mel_spectrogram" in (recipe / "exp/vb2_small/config.yaml").read_text()
    assert len((recipe / "exp/vb2_small/scores/cosine/wav_list").read_text().splitlines()) == 66
    done = run(*choices, "--model", model, "--config", root / "conf/ecapa_mini.yaml", code=1)
    assert "was trained with another data.source or features.vad: --config '' takes its own" in done.stderr
    assert not (recipe / "exp/ecapa_mini").exists()


def test_nothing_of_a_model_is_set_and_lists_that_changed_are_told(recipe, root, run, checkpoint, listed, tmp_path):
    copy, model = shutil.copytree(listed, tmp_path / "copy"), tmp_path / "vb2.pt"
    imported = [sys.executable, "-m", "sv_py.import_checkpoint", "--kind", "voxblink2", checkpoint, model]
    run(*imported, PYTHONPATH=root)
    choices = [recipe / "run.sh", "--corpus-dir", copy, "--nj", 1, "--gpu", 0, "--model", model, "--stop-stage", 1]
    for changed in ("features.frontend.args.normalise=max", "features.vad=true", "features.cmn=none"):
        done = run(*choices, "--set", changed, code=1)
        assert "trained with another model, features or data.source, which --set cannot change" in done.stderr
    assert not (recipe / "exp").exists()
    run(*choices)
    with open(copy / "trials", "a") as file:
        file.write("1 nobody somebody\n")
    done = run(*choices, code=1)
    assert "stage 1 (prepare_wav_list) is done, but not with these inputs" in done.stderr
    assert f"  {copy}/trials\n" in done.stderr
    run(root / "local/prepare_wav_list.sh", "--corpus-dir", copy, "--drop-unknown", "true", recipe / "data")
    run(recipe / "run.sh", "--corpora", "", *choices[3:], "--stop-stage", 2)  # as the README says
    assert (recipe / "data/wav_list/audio.scp").exists()


def test_utterances_that_are_called_like_files_get_ids(root, run, listed, tmp_path):
    copy = shutil.copytree(listed, tmp_path / "copy")
    rows = [line.split() for line in (listed / "wav.scp").read_text().splitlines()]
    (copy / "wav.scp").write_text("".join(f"speaker/{utt}.wav {place}\n" for utt, place in reversed(rows)))
    trials = [line.split() for line in (listed / "trials").read_text().splitlines()]
    lines = [f"{label} speaker/{one}.wav speaker/{other}.wav\n" for label, one, other in trials]
    (copy / "trials").write_text("".join([*lines, "0 speaker/none.wav speaker/nobody.wav\n"]))
    prepare = [root / "local/prepare_wav_list.sh", "--corpus-dir", copy, "data"]
    assert "trials:67: 1 of 67 trials name utterances" in run(*prepare, code=1).stderr
    run(*prepare[:-1], "--drop-unknown", "true", "data")
    written = (tmp_path / "data/wav_list/trials").read_text().splitlines()
    assert len(written) == 66 and written[0].startswith(f"speaker-{trials[0][1]} speaker-{trials[0][2]} ")
    run(root / "utils/validate_data_dir.sh", "--no-feats", "data/wav_list")


def test_the_recipe_without_a_model_says_what_it_wants(recipe, run, listed):
    done = run(recipe / "run.sh", "--corpus-dir", listed, code=1)
    assert "--model a trained model" in done.stderr


def test_trials_of_unknown_utterances_are_counted_and_refused_or_left_out(root, run, listed, tmp_path):
    copy = shutil.copytree(listed, tmp_path / "copy")
    with open(copy / "trials", "a") as file:
        file.write("1 nobody somebody\n0 nobody an391-fcaw-b\n")
    prepare = [root / "local/prepare_wav_list.sh", "--corpus-dir", copy]
    done = run(*prepare, "data", code=1)
    assert "trials:67: 2 of 68 trials name utterances that are not in wav.scp: nobody, somebody" in done.stderr
    assert "--drop-unknown true" in done.stderr and not (tmp_path / "data").exists()
    done = run(*prepare, "--drop-unknown", "true", "--name", "mine", "data")
    assert "left out: 2 of 68 trials" in done.stderr
    assert len((tmp_path / "data/mine/trials").read_text().splitlines()) == 66
    run(root / "utils/validate_data_dir.sh", "--no-feats", "data/mine")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "wav.scp",
            "a wav/none.flac\nb /none.wav\n",
            r"wav.scp: 2 of 2 audio files are not there: wav/none.flac, /none.wav",
        ),
        ("wav.scp", "../b wav.scp\n", "wav.scp:1: utterance id '..-b' holds '/' or '..'"),
        ("wav.scp", "a/b.wav wav.scp\na-b wav.scp\n", "wav.scp:2: 'a-b', as 'a-b' is called here, a second time"),
        ("wav.scp", "a wav.scp\r\n", "wav.scp:1: carriage return"),
        ("wav.scp", "a wav.scp\na trials\n", "wav.scp:2:"),
        ("trials", "1 an a\n2 an b\n", "trials:2: expected"),
        ("trials", "", "trials: is empty"),
    ],
)
def test_a_bad_list_is_told_with_file_and_line_and_writes_nothing(file, text, message, root, run, listed, tmp_path):
    copy = shutil.copytree(listed, tmp_path / "copy")
    (copy / file).write_text(text)
    done = run(root / "local/prepare_wav_list.sh", "--corpus-dir", copy, "data", code=1)
    assert message in done.stderr and not (tmp_path / "data").exists()


def test_a_list_with_one_kind_of_trials_is_refused(root, run, listed, tmp_path):
    copy = shutil.copytree(listed, tmp_path / "copy")
    targets = [line for line in (copy / "trials").read_text().splitlines(keepends=True) if line.startswith("1")]
    (copy / "trials").write_text("".join(targets))
    done = run(root / "local/prepare_wav_list.sh", "--corpus-dir", copy, "data", code=1)
    assert "12 target trials of 12: both kinds are needed" in done.stderr
    done = run(root / "local/prepare_wav_list.sh", "data", code=1, WAV_LIST_DIR="")
    assert "give --corpus-dir, or set WAV_LIST_DIR" in done.stderr
