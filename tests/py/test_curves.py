"""Curves of trainings, as drawn by plot_training.sh."""

import json
import re

import pytest


@pytest.fixture
def exp(tmp_path):
    """Makes the folder of an experiment of two phases; the second begins after the first's ``epochs``."""

    def make(name: str, epochs: int = 3, config: bool = True):
        folder = tmp_path / name
        for phase in ("warm", "tune"):
            (folder / "phases" / phase).mkdir(parents=True)
            numbers = [
                {"phase": phase, "epoch": i + 1, "loss": 3.0 - i, "accuracy": 0.1 * i, "rate": 0.1, "margin": [0.2, 0]}
                | {"dev_eer": 0.1, "valid_loss": 2.0}
                for i in range(epochs)
            ]
            (folder / "phases" / phase / "metrics.jsonl").write_text("".join(json.dumps(n) + "\n" for n in numbers))
        if config:
            phases = [{"name": "warm", "epochs": epochs}, {"name": "tune", "epochs": epochs}]
            (folder / "config.yaml").write_text(json.dumps({"phases": phases}))
        return folder

    return make


@pytest.fixture
def plot(root, run):
    return lambda *arguments, code=0: run(root / "utils/plot_training.sh", *arguments, code=code)


def test_a_figure_shows_experiments_and_phases_and_is_the_same_bytes_each_time(exp, plot, tmp_path):
    one, two = exp("one"), exp("two", 5)
    for name in ("a.svg", "b.svg"):
        plot("--out", tmp_path / name, one, two)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    comments = re.findall(r"<!-- (.*?) -->", text)  # what matplotlib notes of each text that it draws
    assert {"one", "two", "warm", "tune", "learning rate", "EER of held-out speakers in %"} <= set(comments)
    assert comments.count("tune") == 12  # in each of six panels, for either experiment


@pytest.mark.parametrize(("suffix", "begin"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_other_formats_are_known_by_their_ending(exp, plot, tmp_path, suffix, begin):
    plot("--out", tmp_path / f"x.{suffix}", exp("one", 1))
    assert (tmp_path / f"x.{suffix}").read_bytes().startswith(begin)


def test_what_cannot_be_drawn_is_told_and_nothing_written(exp, plot, tmp_path):
    one, bare, torn, empty = exp("one"), exp("bare", config=False), exp("torn"), exp("empty", 0)
    (tmp_path / "other").mkdir()
    twin = exp("other/one")
    (torn / "phases/tune/metrics.jsonl").write_text('{"phase": "tune"}\n{"pha\n')
    for folder in ("warm", "tune"):
        (empty / f"phases/{folder}/metrics.jsonl").unlink()
    for arguments, code, message in (
        (("--out", "x.jpg", one), 2, "--out ends in .svg, .pdf, .png, not '.jpg'"),
        (("--out", "x.svg", bare), 1, "bare/config.yaml: no such file"),
        (("--out", "x.svg", torn), 1, "torn/phases/tune/metrics.jsonl:2: not JSON"),
        (("--out", "x.svg", empty), 1, "empty: no epoch has been finished there"),
        (("--out", "x.svg", one, twin), 1, "two experiments are called one"),
        (("--out", "x.svg"), 2, "arguments are required: exp"),
        (("--out", tmp_path / "no/x.svg", one), 1, "no/"),
    ):
        assert message in plot(*arguments, code=code).stderr
    assert not list(tmp_path.glob("x.*"))
