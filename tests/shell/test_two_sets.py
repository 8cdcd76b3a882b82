"""run.sh with a second training set: who trains, who is held out, what is refused, and a training of two phases."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from sv_py.io.text import invert, read_table, write_table

YAML = """\
model: {name: ecapa_tdnn, args: {channels: 16, pooled_channels: 32, embedding_dim: 16}}
phases:
  - {name: first, epochs: 1, batch_size: 8, crop: 80}
  - {name: mix_ft, epochs: 1, batch_size: 8, micro_batch: 4, crop: 80, sets: [train, extra], mix: [1, 2]}
hold_out: {dev_speakers: 3, valid_share: 0.1}
scoring: {bootstrap: 0}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, root) -> Path:
    """Data dirs `one` and `two` of eight and five training speakers, and `mini_test` of others."""
    folder = tmp_path_factory.mktemp("corpus")
    sizes = ["--num-train-speakers", "13", "--num-test-speakers", "4", "--num-utts", "1"]
    subprocess.run([root / "local/prepare_mini.sh", *sizes, folder], check=True, capture_output=True)
    speakers = sorted(read_table(folder / "mini_train/spk2utt"))
    for name, chosen in (("one", speakers[:8]), ("two", speakers[8:])):
        (folder / f"{name}_speakers").write_text("\n".join(chosen) + "\n")
        subset = [root / "utils/subset_data_dir.sh", "--spk-list", folder / f"{name}_speakers"]
        subprocess.run([*subset, folder / "mini_train", folder / name], check=True, capture_output=True)
    return folder


@pytest.fixture
def recipe(tmp_path, root, corpus) -> Path:
    """A recipe's folder with data dirs that may be changed."""
    for name in ("steps", "utils", "local", "conf"):
        (tmp_path / name).symlink_to(root / name)
    for name in ("one", "two", "mini_test"):
        shutil.copytree(corpus / name, tmp_path / "theirs" / name)
    (tmp_path / "two.yaml").write_text(YAML)
    return tmp_path


@pytest.fixture
def start(recipe, root, run):
    """``start(*options, code=0)``: run.sh with both sets."""

    def call(*options, code=0):
        sets = ["--train-set", "theirs/one", "--extra-train-set", "theirs/two", "--test-sets", "theirs/mini_test"]
        choices = ["--config", "two.yaml", "--tag", "two", "--nj", 2, "--num-threads", 1]
        return run(root / "run.sh", *sets, *choices, *options, cwd=recipe, code=code)

    return call


def speakers(recipe, name):
    return set(read_table(recipe / "exp/two/data" / name / "utt2spk").values())


def rename(folder: Path, names: dict[str, str]) -> None:
    """Give speakers of a data dir other names, and all its utterances ids that no other data dir has."""
    places = read_table(folder / "wav.scp")
    speaker = {utt: names.get(spk, spk) for utt, spk in read_table(folder / "utt2spk").items()}
    utts = sorted((f"{spk}-again-{utt}", utt) for utt, spk in speaker.items())
    shutil.rmtree(folder)
    folder.mkdir()
    write_table(folder / "wav.scp", {new: places[utt] for new, utt in utts})
    utt2spk = {new: speaker[utt] for new, utt in utts}
    write_table(folder / "utt2spk", utt2spk)
    write_table(folder / "spk2utt", {spk: " ".join(own) for spk, own in invert(utt2spk).items()})


def test_two_sets_train_a_model_that_tells_the_speakers_of_both_apart(start, recipe):
    start("--stop-stage", 4)
    exp = recipe / "exp/two"
    assert len(speakers(recipe, "train")) == 5 and len(speakers(recipe, "extra")) == 5
    assert speakers(recipe, "valid") == speakers(recipe, "train")
    assert len(read_table(exp / "data/valid/utt2spk")) == 5 and len(read_table(exp / "data/train/utt2spk")) == 10
    model = torch.load(exp / "final.pt", weights_only=True)
    assert set(model["head"]["speakers"]) == speakers(recipe, "train") | speakers(recipe, "extra")
    for phase in ("first", "mix_ft"):
        numbers = json.loads((exp / f"phases/{phase}/metrics.jsonl").read_text())
        assert numbers["valid_loss"] > 0 and {"dev_eer", "dev_min_dcf", "valid_accuracy"} <= numbers.keys()
    stamp = (exp / ".done/train").read_text()
    assert "exp/two/data/extra/utt2spk" in stamp and "exp/two/data/valid/utt2spk" in stamp


def test_who_is_in_both_sets_is_an_error_or_one_class_and_dev_and_test_speakers_do_not_train(start, recipe):
    one, two = (sorted(read_table(recipe / "theirs" / name / "spk2utt")) for name in ("one", "two"))
    rename(recipe / "theirs/two", dict(zip(two[:4], one[:4], strict=True)))
    further = ["--extra-train-set", "theirs/two theirs/mini_test", "--stop-stage", 3]
    done = start(*further, code=1)
    assert "4 of its speakers are in exp/two/data/all, too" in done.stderr
    assert "data.shared_speakers: merge makes one class of each" in done.stderr
    assert "stopped in stage 3 (filter_extra)" in done.stderr
    merge = ["--set", "data.shared_speakers=merge", "--set", "hold_out.dev_speakers=5"]
    done = start(*further, "--stage", 3, *merge, code=1)
    assert "are in the training data data/two+mini_test" in done.stderr and "(check_trials)" in done.stderr
    dev, extra = speakers(recipe, "dev"), speakers(recipe, "extra")
    assert dev & set(one[:4]), "with five of eight held out, one of four is among them"
    tested = set(read_table(recipe / "theirs/mini_test/utt2spk").values())
    assert not dev & extra and extra == ({*one[:4], two[4]} | tested) - dev


def test_restart_also_divides_the_data_anew(start, recipe):
    start("--stop-stage", 3)
    assert len(speakers(recipe, "dev")) == 3
    fewer = ["--stop-stage", 3, "--set", "hold_out.dev_speakers=2"]
    assert "exp/two was made with another configuration" in start(*fewer, code=1).stderr
    start(*fewer, "--restart", "true")
    assert len(speakers(recipe, "dev")) == 2


def test_several_further_sets_are_combined_and_a_change_of_one_is_noticed(start, recipe):
    rename(Path(shutil.copytree(recipe / "theirs/two", recipe / "theirs/three")), {})
    choices = ["--extra-train-set", "theirs/two theirs/three", "--stop-stage", 1]
    start(*choices)
    parts = [read_table(recipe / "theirs" / name / "utt2spk") for name in ("two", "three")]
    assert read_table(recipe / "data/two+three/utt2spk") == parts[0] | parts[1] and len(parts[0]) == len(parts[1])
    scp = recipe / "theirs/three/wav.scp"
    write_table(scp, dict(list(read_table(scp).items())[1:]))
    assert "stage 1 (copy_three) is done, but not with these inputs" in start(*choices, code=1).stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--extra-train-set", ""], "two.yaml: a phase trains on the set extra, and there is none"),
        (["--set", "phases.1.sets=[train]", "--set", "phases.1.mix=[]"], "two.yaml: no phase trains on the set extra"),
        (["--extra-train-set", "theirs/one"], "theirs/one is in --train-set and in --extra-train-set"),
        (["--extra-train-set", "theirs/one/"], "theirs/one/ is in --train-set and in --extra-train-set"),
        (["--extra-train-set", "theirs/tow"], "no data dir theirs/tow"),
    ],
)
def test_sets_that_do_not_fit_the_phases_are_refused_at_once(start, recipe, options, message):
    done = start(*options, code=1)
    assert message in done.stderr and not (recipe / "exp").exists() and not (recipe / "data").exists()
