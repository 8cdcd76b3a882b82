"""Whole recipes of conf/ and egs/: the layouts that they train, how they differ, and all their phases in small."""

import dataclasses
import subprocess
from pathlib import Path

import pytest
import torch

from sv_py.augmentation.arguments import ROLES
from sv_py.config import load
from sv_py.data.pool import open_pools
from sv_py.train import checkpoint
from sv_py.train.loop import Resources, Trainer
from sv_py.train.model import load_model, open_set
from sv_py.train.schedule import learning_rate, margin_share

ROOT = Path(__file__).resolve().parents[2]
CONF, VOXBLINK, VOXBLINK2 = ROOT / "conf", ROOT / "egs/voxblink/v1/conf", ROOT / "egs/voxblink2/v1/conf"
LAYOUTS = {"ecapa": "ecapa_tdnn_1024"} | {
    f"{x}_resnet{n}": f"{x}_resnet{n}_asp" for x in ("simam", "fwse") for n in (100, 293)
}
BACKBONES = ("resnet34_tsp", "ecapa", "simam_resnet100", "fwse_resnet100")  # of VoxBlink's Table 2
COLUMNS = ("voxceleb2", "voxblink_clean", "joint", "mix_ft")
WHOLE, WESPEAKER = sorted(CONF.glob("*_voxblink.yaml")), sorted(CONF.glob("*_wespeaker.yaml"))
RECIPES = [*WHOLE, *WESPEAKER, *sorted(VOXBLINK.glob("*.yaml")), *sorted(VOXBLINK2.glob("*.yaml"))]
ALIKE = ("resnet221_wespeaker", "resnet293_wespeaker", "ecapa_tdnn_512_wespeaker")  # others, but for the network
TRAINED = [path for path in RECIPES if path.parent != VOXBLINK and path.stem not in ALIKE]
TRAINED += [VOXBLINK / "resnet34_tsp_joint.yaml"]  # the phases of the others are those of conf/*_voxblink.yaml
SMALL = {
    "resnet": {"width": 4, "blocks": [1, 1, 1, 1]},
    "ecapa_tdnn": {"channels": 16, "pooled_channels": 24},
    "campplus": {"layers": [2, 2, 2], "growth": 8},
    "redimnet2": {"blocks": [1, 1, 1, 1, 1, 1]},
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def layout_of(path: Path) -> str:
    stem = path.stem
    for ending in ("_voxblink", "_wespeaker", *(f"_{column}" for column in COLUMNS)):
        stem = stem.removesuffix(ending)
    return LAYOUTS.get(stem, stem)


@pytest.mark.parametrize("path", RECIPES, ids=relative)
def test_a_recipe_trains_the_published_layout_of_its_name(path):
    ours, layout = load(path), load(CONF / f"{layout_of(path)}.yaml")
    assert (ours.model, ours.loss) == (layout.model, layout.loss)
    assert ours.data.source == "audio" and len(path.read_text().splitlines()) < 80


@pytest.mark.parametrize("backbone", BACKBONES)
def test_experiments_of_voxblinks_table_differ_in_their_phases_only(backbone):
    columns = {name: load(VOXBLINK / f"{backbone}_{name}.yaml") for name in COLUMNS}
    alike = {repr(dataclasses.replace(config, phases=())) for config in columns.values()}
    assert len(alike) == 1
    sets = {name: [phase.sets for phase in config.phases] for name, config in columns.items()}
    both = ("train", "extra")
    assert sets == {
        "voxceleb2": [("train",)],
        "voxblink_clean": [("extra",)],
        "joint": [both],
        "mix_ft": [("train",), both],
    }
    first = {repr(dataclasses.replace(config.phases[0], sets=("train",))) for config in columns.values()}
    assert len(first) == 1, "from scratch all are trained alike"
    whole = load(CONF / f"{backbone}_voxblink.yaml")
    assert dataclasses.replace(whole, phases=whole.phases[:2]) == columns["mix_ft"]


@pytest.mark.parametrize("path", WHOLE, ids=relative)
def test_the_phases_of_voxblink_are_as_published(path):
    plateau, mix, fine = load(path).phases
    rates = [learning_rate(plateau.rate, epoch, plateau.epochs) for epoch in (2.5, 5, 9.9, 10, 20, 29.9, 30)]
    assert rates == pytest.approx([0.05, 0.1, 0.1, 0.01, 0.001, 0.001, 1e-4])
    other = load(path, ["phases.0.epochs=35", "phases.0.rate.hold=5"]).phases[0]
    rates = [learning_rate(other.rate, epoch, other.epochs) for epoch in (2.5, 5, 14.9, 15, 25, 34.9, 35)]
    assert rates == pytest.approx([0.05, 0.1, 0.1, 0.01, 0.001, 0.001, 1e-4])
    assert learning_rate(mix.rate, 0, mix.epochs) == pytest.approx(1e-3) and mix.rate.final < 1e-4
    assert plateau.augment == mix.augment and plateau.augment.speed_expand and fine.augment.speed == ()
    assert (fine.margin, fine.crop, fine.epochs, fine.rate.peak, fine.rate.final) == (0.5, 600, 5, 1e-4, 2.5e-5)
    assert {phase.speakers for phase in (plateau, mix, fine)} == {"known"}, "rows are kept, those of speeds, too"


@pytest.mark.parametrize("path", WESPEAKER, ids=relative)
def test_the_phases_of_wespeaker_have_its_rates_and_margins(path):
    """Both are those of its defaults, for two GPUs; its factor of ReDimNet2's rates is 12, of all others batch / 64."""
    plateau, fine = load(path).phases
    theirs = 6e-5 if "redimnet2" in path.stem else 5e-5
    factor = 12 if "redimnet2" in path.stem else plateau.batch_size / 64
    for epoch, warm in ((3, 0.5), (6, 1), (plateau.epochs, 1)):
        expected = factor * warm * 0.1 * (theirs / 0.1) ** (epoch / plateau.epochs)
        assert learning_rate(plateau.rate, epoch, plateau.epochs) == pytest.approx(expected)
    assert [margin_share(plateau, epoch) for epoch in (19, 29, 39)] == pytest.approx([0, 1 - 10**-1.5, 1])
    assert plateau.result.average == 10 and plateau.augment.speed == (0.9, 1.1) and not plateau.augment.speed_expand
    factor = 12 if "redimnet2" in path.stem else fine.batch_size / 64
    assert fine.rate.peak == pytest.approx(factor * 1e-4) and fine.augment.speed == () and fine.crop == 600


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, root) -> Path:
    """Audio shards of two sets of four speakers."""
    folder = tmp_path_factory.mktemp("mini")
    sizes = ["--num-train-speakers", "4", "--num-test-speakers", "4", "--num-sessions", "2", "--num-utts", "2"]
    subprocess.run([root / "local/prepare_mini.sh", *sizes, folder], cwd=folder, check=True, capture_output=True)
    for name in ("mini_train", "mini_test"):
        command = [root / "steps/make_shards.sh", "--nj", "1", folder / name]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def in_small(path: Path) -> list[str]:
    """Overrides: a small network, phases of a few steps of two micro-batches of two crops."""
    config = load(path)
    overrides = [f"model.args.{key}={value}" for key, value in SMALL[config.model.name].items()]
    sizes = {"epochs": 1, "batch_size": 4, "micro_batch": 2, "crop": 100, "crops_per_utt": 0.5}
    overrides += [f"phases.{i}.{key}={value}" for i in range(len(config.phases)) for key, value in sizes.items()]
    return overrides


@pytest.mark.parametrize("path", TRAINED, ids=relative)
def test_all_phases_of_a_recipe_train_in_small(path, corpus, tmp_path):
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    config = load(path, in_small(path))
    sets = {"train": open_set(corpus / "mini_train", config), "extra": open_set(corpus / "mini_test", config)}
    roles = [role for role in ROLES if role != "train"]
    pools = open_pools(dict.fromkeys(roles, corpus / "mini_test"), roles, 16000, sets["train"].store)
    trainer = Trainer(config, sets, tmp_path, Resources(cpu), lambda *_: {"dev_eer": 0.5}, pools)
    assert min(trainer.steps) >= 2
    untrained = {name: value.detach().clone() for name, value in trainer.network.named_parameters()}
    assert trainer.run()
    trained = dict(load_model(tmp_path / "final.pt", cpu).network.named_parameters())
    still = [name for name, value in untrained.items() if torch.equal(value, trained[name])]
    assert len(still) < 0.1 * len(untrained), still
    rows = [checkpoint.load(tmp_path / f"phases/{phase.name}/final.pt")["head"]["speakers"] for phase in config.phases]
    speakers = [
        sum(len(sets[role].speakers) for role in phase.sets) * (1 + len(phase.augment.speed)) for phase in config.phases
    ]
    for i, phase in enumerate(config.phases):
        known = [] if i == 0 or phase.speakers == "own" else rows[i - 1]
        assert rows[i][: len(known)] == known, "rows of known speakers come first, and stay"
        assert len(rows[i]) == max(speakers[i], len(known))
