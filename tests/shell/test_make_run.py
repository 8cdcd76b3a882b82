"""`make run`: the built-in corpus from nothing to a table, with an error rate that means something."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from sv_py.config import load, to_dict
from sv_py.models import BACKBONES
from sv_py.train import checkpoint


@pytest.fixture(scope="module")
def made(tmp_path_factory, root) -> tuple[Path, str]:
    """A copy of the tree, with the environment that there is, after `make run`; and what that printed."""
    folder = tmp_path_factory.mktemp("tree")
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    files = subprocess.run(listing, cwd=root, capture_output=True, check=True)
    archive = ["tar", "--null", "--ignore-failed-read", "-T", "-", "-c"]
    packed = subprocess.run(archive, cwd=root, input=files.stdout, capture_output=True, check=True)
    subprocess.run(["tar", "-x"], cwd=folder, input=packed.stdout, check=True)
    (folder / ".venv").symlink_to(root / ".venv")
    make = ["make", "run", "ARGS="]  # those of `make test` are not meant for it
    done = subprocess.run(make, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def eer(folder: Path, tag: str) -> float:
    return json.loads((folder / "exp" / tag / "results.json").read_text())["cosine/mini_test"]["eer"]


def test_make_run_ends_with_the_times_of_its_stages_and_a_table_of_results(made):
    _, printed = made
    table = printed[printed.index("stage ") :]
    for name in ("prepare_mini", "fbank_mini_train", "train", "extract_mini_test", "score_mini_test", "metrics"):
        assert name in table
    assert "mini_test, cosine: EER %" in table


def test_the_mini_corpus_is_neither_trivial_nor_hopeless(made):
    folder, _ = made
    assert 0.02 <= eer(folder, "ecapa_mini") <= 0.12


def test_training_halves_the_error_rate_of_an_untrained_network(made, run):
    folder, _ = made
    config = load(folder / "exp/ecapa_mini/config.yaml")
    torch.manual_seed(config.seed)
    network = BACKBONES.build(config.model.name, config.model.args, feature_dim=80)
    trained = checkpoint.load(folder / "exp/ecapa_mini/final.pt")
    checkpoint.save(folder / "untrained.pt", trained | {"config": to_dict(config), "model": network.state_dict()})
    run("./run.sh", "--model", "untrained.pt", "--cohort-set", "data/mini_train", "--tag", "untrained", cwd=folder)
    assert eer(folder, "ecapa_mini") <= eer(folder, "untrained") / 2
