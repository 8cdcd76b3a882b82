"""Every experiment of conf/ trains on the mini corpus, from its own front end to a network that embeds."""

import subprocess
from pathlib import Path

import pytest
import torch
from backbones import FULL

from sv_py.config import load
from sv_py.data.batches import TrainingBatches
from sv_py.describe import compare, origin
from sv_py.train.loop import Resources, Trainer
from sv_py.train.model import embed, load_model, open_set
from sv_py.train.schedule import learning_rate

CONF = Path(__file__).resolve().parents[2] / "conf"
LARGE = 30e6  # parameters; larger networks are tested at a reduced width
WIDTHS = {"resnet": 16}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, root) -> Path:
    """mini_train of four speakers, with stored features and audio shards."""
    folder = tmp_path_factory.mktemp("mini")
    sizes = ["--num-train-speakers", "4", "--num-test-speakers", "4", "--num-sessions", "2", "--num-utts", "2"]
    for command in (
        [root / "local/prepare_mini.sh", *sizes, folder],
        [root / "steps/make_fbank.sh", "--nj", "1", folder / "mini_train"],
        [root / "steps/make_shards.sh", "--nj", "1", folder / "mini_train"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "mini_train"


def two_steps(stem: str) -> list[str]:
    """Overrides that make each phase of conf/<stem>.yaml two steps of two crops of 100 frames, of 16 utterances."""
    config = load(CONF / f"{stem}.yaml")
    overrides = []
    for i in range(len(config.phases)):
        sizes = {"epochs": 1, "batch_size": 2, "micro_batch": 0, "crop": 100, "crops_per_utt": 0.25}
        overrides += [f"phases.{i}.{key}={value}" for key, value in sizes.items()]
    if FULL[stem] > LARGE:
        overrides.append(f"model.args.width={WIDTHS[config.model.name]}")
    return overrides


@pytest.mark.parametrize("stem", FULL)
def test_two_steps_of_each_phase_move_the_weights_of_a_network_that_embeds(stem, corpus, tmp_path):
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    config = load(CONF / f"{stem}.yaml", two_steps(stem))
    utterances = open_set(corpus, config)
    numbers = {"dev_eer": 0.5, "valid_loss": 1.0}
    trainer = Trainer(config, {"train": utterances}, tmp_path, Resources(cpu), lambda *_: dict(numbers), {})
    untrained = {name: value.detach().clone() for name, value in trainer.network.named_parameters()}
    trainer.run()
    steps = [len(TrainingBatches(utterances, phase, config.data, 0, 0, {})) for phase in config.phases]
    assert steps == [2] * len(config.phases)
    network = load_model(tmp_path / "final.pt", cpu).network
    trained = dict(network.named_parameters())
    still = [name for name, value in untrained.items() if torch.equal(value, trained[name])]
    assert len(still) < 0.1 * len(untrained), still
    embedding = embed(network, utterances, utterances.table.utt(0), cpu)
    assert embedding.shape == (network.embedding_dim,)


@pytest.mark.parametrize(
    ("stem", "epochs", "last"),
    [(f"resnet{layers}", 150, 5e-5) for layers in (18, 34, 50, 101, 152, 221, 293)]
    + [("ecapa_tdnn_512", 150, 5e-5), ("ecapa_tdnn_1024", 150, 5e-5)]
    + [(f"redimnet2_b{size}", 120, 6e-5) for size in range(4)],
)
def test_recipes_of_wespeaker_have_its_rates(stem, epochs, last):
    """From 0.1 to ``last`` for every 64 utterances of a step; the warm-up multiplies a decay that runs all the time."""
    plateau = load(CONF / f"{stem}.yaml").phases[0]
    assert plateau.epochs == epochs
    for epoch, warm in ((3, 0.5), (6, 1), (epochs, 1)):
        expected = plateau.batch_size / 64 * warm * 0.1 * (last / 0.1) ** (epoch / epochs)
        assert learning_rate(plateau.rate, epoch, epochs) == pytest.approx(expected)


@pytest.mark.parametrize("stem", FULL)
def test_the_comment_at_the_head_of_a_recipe_begins_with_the_name_of_its_layout(stem):
    layout = origin((CONF / f"{stem}.yaml").read_text())
    assert len(layout) < 80 and layout.endswith(")"), layout


def test_every_experiment_of_a_backbone_is_trained_here():
    others = ("ecapa_mini", "ecapa_mini_audio", "_voxblink", "_wespeaker")  # the last two: test_training_recipes.py
    assert {path.stem for path in CONF.glob("*.yaml") if not path.stem.endswith(others)} == set(FULL)


def test_the_table_of_models_is_what_the_command_beside_it_prints(root):
    def cells(lines):
        return {tuple(cell.strip() for cell in line.split("|")) for line in lines if line.startswith("|")}

    printed = compare([str(CONF / f"{stem}.yaml") for stem in FULL], [], None, 5994, markdown=True)
    rows = {row for row in cells(printed.splitlines()) if row[1] in FULL}
    assert rows == {row for row in cells((root / "docs/models.md").read_text().splitlines()) if row[1] in FULL}
    assert len(rows) == len(FULL)
