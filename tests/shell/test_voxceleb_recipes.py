"""The recipes of VoxCeleb, VoxBlink and VoxBlink2 on small corpora of real speech in their own layouts."""

import json
import os
import shutil
from itertools import islice
from pathlib import Path

import pytest
from corpus_trees import copy, text

from sv_py.io.text import read_table
from sv_py.train import checkpoint

VARIABLES = (
    "VOXCELEB1_DIR", "VOXCELEB2_DIR", "VOXCELEB_LISTS_DIR", "VOXBLINK_DIR", "VOXBLINK2_DIR", "MUSAN_DIR",
    "RIRS_NOISES_DIR",
)  # fmt: skip
NETWORK = {"model.args.width": 4, "model.args.blocks": "[1, 1, 1, 1]", "hold_out.dev_speakers": 2}
PHASE = {"epochs": 2, "batch_size": 8, "micro_batch": 4, "crop": 100, "crops_per_utt": 1}
SIZES = [NETWORK | {f"phases.{i}.{key}": value for i in range(2) for key, value in PHASE.items()}]
OPTIONS = ["--allow-incomplete", "true", "--nj", "2", "--num-threads", "1", "--gpu", "0"]
OPTIONS += [word for sizes in SIZES for key, value in sizes.items() for word in ("--set", f"{key}={value}")]
OPTIONS += ["--set", "scoring.bootstrap=0"]


@pytest.fixture(scope="module")
def corpora(shared, tmp_path_factory) -> Path:
    """Of each corpus a few speakers, which are those of AN4; noises and responses in the layouts of theirs."""
    folder = tmp_path_factory.mktemp("corpora")
    speakers = iter(sorted((shared / "corpora/an4/wav").glob("*/*")))

    def voices(place: str, names: list[str], utts: int) -> None:
        for name in names:
            files = sorted(next(speakers).glob("*.flac"), key=lambda file: file.stat().st_size)[-utts:]
            for k, file in enumerate(files):
                copy(file, folder / place / name / f"video{k % 2}" / f"{k:05d}.wav")

    voices("voxceleb2/dev/wav", [f"id0001{k}" for k in range(8)], 4)
    voices("voxceleb1/dev/wav", ["id10001", "id10002"], 3)
    voices("voxceleb1/test/wav", ["id10270", "id10271"], 3)
    voices("voxblink/audio", [f"id0000{k}" for k in range(5)], 4)
    voices("voxblink2/audio", [f"id00000{k}" for k in range(5)], 4)
    clean = sorted((folder / "voxblink/audio").rglob("*.wav"))
    clean = ["-".join(file.with_suffix("").parts[-3:]) for file in clean if "id00004" not in file.parts]
    text(folder / "voxblink/resource/data/utt_clean", "".join(f"{utt}\n" for utt in clean))
    for part, source in (("music", "music"), ("noise", "noise"), ("speech", "babble")):
        for n, file in enumerate(islice(sorted((shared / "corpora/noise" / source).rglob("*.flac")), 2)):
            copy(file, folder / f"musan/{part}/own/{part}-own-000{n}.wav")
    text(folder / "musan/music/own/ANNOTATIONS", "music-own-0000 game N somebody\nmusic-own-0001 game N somebody\n")
    response = next(iter(sorted((shared / "corpora/rir").rglob("*.flac"))))
    rooms = [f"simulated_rirs/{size}room/Room001/Room001-00001" for size in ("small", "medium", "large")]
    for name in (*rooms, "real_rirs_isotropic_noises/RWCP_type4_rir_p10l", "pointsource_noises/noise-free-sound-0000"):
        copy(response, folder / f"RIRS_NOISES/{name}.wav")
    copy(response, folder / "RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav")
    (folder / "voxceleb_lists").mkdir()
    return folder


@pytest.fixture
def recipe(root, tmp_path):
    """``recipe(name)``: a copy of egs/<name> below links to everything else, but for the site's own paths."""

    def make(name: str) -> Path:
        for path in root.iterdir():
            if path.name not in ("egs", "conf", "data", "exp", ".git"):
                (tmp_path / path.name).symlink_to(path)
        (tmp_path / "conf").mkdir()
        for path in (root / "conf").iterdir():
            if path.name != "corpora.site.sh":
                (tmp_path / "conf" / path.name).symlink_to(path)
        folder = tmp_path / "egs" / name
        shutil.copytree(root / "egs" / name, folder, symlinks=True, ignore=shutil.ignore_patterns("data", "exp"))
        return folder

    return make


@pytest.fixture
def places(corpora):
    """Where the corpora are, in variables of the environment."""
    return {name: corpora / name.removesuffix("_DIR").lower() for name in VARIABLES} | {
        "RIRS_NOISES_DIR": corpora / "RIRS_NOISES"
    }


def write_trials(folder: Path) -> None:
    """The recipe's own trials of the four speakers of VoxCeleb1, as the published lists want all of its utterances."""
    utts = [f"{spk}-video{k % 2}-{k:05d}" for spk in ("id10001", "id10002", "id10270", "id10271") for k in range(3)]
    pairs = [(a, b) for i, a in enumerate(utts) for b in utts[i + 1 :]]
    lines = (f"{a} {b} {'target' if a[:7] == b[:7] else 'nontarget'}\n" for a, b in pairs)
    text(folder / "trials/voxceleb1", "".join(lines))


def rows(folder: Path, phase: str) -> list[str]:
    return checkpoint.load(folder / f"phases/{phase}/final.pt")["head"]["speakers"]


@pytest.mark.parametrize(
    ("name", "options", "phases"),
    [
        ("voxceleb/v2", [], ("plateau", "fine_tuning")),
        ("voxblink/v1", [], ("warmup_plateau", "mix_ft")),
        ("voxblink2/v1", ["--config", "conf/resnet34_gsp.yaml"], ("pretraining", "lmft")),
    ],
)
def test_a_recipe_runs_through_all_stages_on_small_corpora(recipe, places, run, name, options, phases):
    folder = recipe(name)
    write_trials(folder)
    run(folder / "run.sh", *options, *OPTIONS, "--tag", "small", cwd="/", timeout=600, **places)
    exp = folder / "exp/small"
    result = json.loads((exp / "results.json").read_text())["cosine/voxceleb1"]
    assert result["counts"] == {"target": 12, "nontarget": 54} and 0 <= result["eer"] <= 1
    for phase in phases:
        epochs = [json.loads(line) for line in (exp / f"phases/{phase}/metrics.jsonl").read_text().splitlines()]
        assert [epoch["epoch"] for epoch in epochs] == [1, 2] and all("dev_eer" in epoch for epoch in epochs)
    train, dev = (set(read_table(exp / f"data/{part}/utt2spk").values()) for part in ("train", "dev"))
    assert len(train) == 6 and len(dev) == 2 and not train & dev
    first, last = (set(rows(exp, phase)) for phase in phases)
    if name == "voxceleb/v2":
        assert first == last == train | {f"sp{speed}-{spk}" for speed in (0.9, 1.1) for spk in train}
    elif name == "voxblink/v1":
        extra = {f"vb1-id0000{k}" for k in range(4)}
        assert len(first) == 3 * len(train) and first < last and len(last) == 3 * len(train | extra)
    else:
        assert first == {f"vb2-id00000{k}" for k in range(5)} and last == train


def test_all_corpora_that_are_not_there_are_named_with_the_way_to_get_them(recipe, corpora, run):
    folder = recipe("voxblink/v1")
    places = dict.fromkeys(VARIABLES, "") | {"MUSAN_DIR": corpora / "musan"}
    done = run(folder / "run.sh", cwd="/", code=1, **places)
    lacking = [name for name in VARIABLES if name not in ("MUSAN_DIR", "VOXBLINK2_DIR")]
    last = done.stderr.strip().splitlines()[-1]
    assert set(lacking) == {word for word in last.split() if word.endswith("_DIR")}
    for command in (
        "steps/convert_audio.sh --nj 16 /corpora/voxceleb2/dev/aac /corpora/voxceleb2/dev/wav",
        "local/fetch_voxceleb_lists.sh /corpora/voxceleb_lists",
        "python downloader.py",
        "wget https://www.openslr.org/resources/28/rirs_noises.zip",
        "unzip -q vox1_test_wav.zip",
    ):
        assert command in done.stderr
    assert "musan" not in done.stderr and sorted(os.listdir(folder)) == [
        "README.md",
        "conf",
        "local",
        "run.sh",
        "steps",
        "utils",
    ]


def test_a_folder_that_is_not_there_and_lists_that_are_not_are_told_before_hours_of_work(recipe, places, run):
    folder = recipe("voxceleb/v2")
    wrong = run(folder / "run.sh", *OPTIONS, code=1, **(places | {"MUSAN_DIR": "/nowhere/musan"}))
    assert "no folder /nowhere/musan (corpus musan: --corpus-dir or MUSAN_DIR)" in wrong.stderr
    assert not (folder / "data").exists()
    done = run(folder / "run.sh", *OPTIONS, code=1, **places)
    assert "test set data/voxceleb1 has neither trials nor trials_<name>" in done.stderr
    assert (folder / "data/voxceleb2_dev/wav.scp").exists() and not (folder / "data/voxceleb2_dev/audio.scp").exists()
