"""The shape of the repository: which way dependencies point, what stays small, what every script has."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sv_py.describe import describe_file

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "sv_py").rglob("*.py"))
SHELL_FILES = sorted(
    path
    for pattern in ("*.sh", "conf/*.sh", "utils/*.sh", "steps/*.sh", "local/*.sh", "egs/*/*/run.sh")
    for path in ROOT.glob(pattern)
)
SOURCED = [path for path in SHELL_FILES if not os.access(path, os.X_OK)]
SCRIPTS = [path for path in SHELL_FILES if path not in SOURCED]
YAMLS = sorted({path.resolve() for place in ("conf", "egs/*/*/conf") for path in ROOT.glob(f"{place}/*.yaml")})

# What each part of sv_py may import besides itself. `tables` are the packages' tables and argument dataclasses.
COMMON = {"base", "io", "tables", "config"}
ARROWS = {
    "base": set(),
    "io": {"base"},
    "tables": {"base", "io"},
    "config": {"base", "io", "tables"},
    "features": COMMON,
    "models": COMMON,
    "losses": COMMON,
    "augmentation": COMMON,
    "data": COMMON | {"features", "augmentation"},
    "corpora": COMMON | {"data"},
    "scoring": COMMON,
    "report": COMMON,
    "train": COMMON | {"features", "augmentation", "data", "models", "losses", "scoring", "report"},
    "pretrained": COMMON | {"features"},
    "commands": COMMON
    | {"features", "augmentation", "models", "losses", "data", "corpora", "scoring", "report", "train", "pretrained"},
}
BASE = {"cli", "log", "registry"}
TORCH_PARTS = {"features", "augmentation", "data", "models", "losses", "train", "pretrained", "commands"}
TORCH_FREE_COMMANDS = [
    "calibrate_scores", "check_trials", "compare_exps", "compute_quality", "config", "convert_audio", "data_dir",
    "decide", "fetch_models", "fit_backend", "fit_calibration", "hold_out", "make_calibration_trials", "make_cohort",
    "make_mini", "make_report", "make_shards", "measure_audio", "metrics", "normalise_scores", "plot_training",
    "prepare", "prepare_wav_list", "provenance", "score", "select_utts", "shards", "speaker_means", "voxceleb_lists",
]  # fmt: skip


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part_of(module: str) -> str:
    """The part that ``module``, such as sv_py.io.text, belongs to."""
    package, *rest = module.split(".")[1:] or [""]
    if not (ROOT / "sv_py" / package).is_dir():
        return "base" if package in BASE else "config" if package in ("config", "schema") else "commands"
    if rest == ["__main__"]:
        return "commands"
    names_parts = rest in ([], ["arguments"]) and (ROOT / "sv_py" / package / "arguments.py").exists()
    return "tables" if names_parts else package


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere, those of sv_py in full."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folder = ROOT.joinpath(*node.module.split("."))
            for alias in node.names:
                is_module = (folder / f"{alias.name}.py").exists() or (folder / alias.name / "__init__.py").exists()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def importers(name: str) -> set[str]:
    """The files of sv_py that import the package ``name``."""
    return {relative(path) for path in MODULES if any(module.split(".")[0] == name for module in imports(path))}


def code_lines(path: Path) -> str:
    """A shell file without its comments."""
    return "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))


def test_dependencies_inside_the_package_point_one_way():
    wrong = [
        f"{module_of(path)} -> {module}"
        for path in MODULES
        for module in imports(path)
        if module.split(".")[0] == "sv_py"
        and part_of(module) not in ARROWS[part_of(module_of(path))] | {part_of(module_of(path))}
    ]
    assert not wrong, wrong


def test_only_the_parts_that_compute_with_networks_import_torch():
    files = importers("torch") | importers("torchaudio")
    files -= {"sv_py/scoring/highest_gpu.py"}  # only `normalise_scores --device cuda` imports it
    wrong = [name for name in files if part_of(module_of(ROOT / name)) not in TORCH_PARTS]
    assert not wrong, wrong


@pytest.mark.parametrize(
    ("package", "files"),
    [
        ("lhotse", {"sv_py/data/manifests.py"}),
        (
            "subprocess",
            {f"sv_py/{name}.py" for name in ("io/download", "data/audio", "data/ffmpeg", "launch", "provenance")},
        ),
        ("yaml", {"sv_py/config.py"}),
    ],
)
def test_some_packages_have_one_door(package, files):
    assert importers(package) <= files


def test_python_knows_neither_queue_nor_devices_nor_its_working_directory():
    words = re.compile(r"getcwd|Path\.cwd|chdir|CUDA_VISIBLE_DEVICES|SLURM|\bsbatch|\bqsub|nvidia-smi|\brun\.sh")
    found = {relative(path) for path in MODULES if words.search(path.read_text())}
    assert found <= {"sv_py/provenance.py", "sv_py/io/data_dir_checks.py"}  # a record and a message


def test_nothing_evaluates_text_or_unpickles():
    calls = {
        f"{relative(path)}: {ast.unparse(node.func)}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "os.system")
    }
    assert not calls
    loads = [line for path in MODULES for line in path.read_text().splitlines() if "torch.load(" in line]
    assert all("weights_only=True" in line for line in loads), loads


def test_what_is_used_often_imports_neither_torch_nor_lhotse():
    code = f"""
import importlib, sys
for name in {TORCH_FREE_COMMANDS}:
    importlib.import_module("sv_py." + name)
heavy = {{"torch", "torchaudio", "lhotse", "scipy.stats", "matplotlib", "sklearn"}} & sys.modules.keys()
sys.exit(f"imported: {{heavy}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_scripts_call_only_what_lies_below_them():
    call = re.compile(r"(?<![\w.-])(?:(steps|local|egs)/[\w$]+|(run))\.sh")
    exempt = {
        "utils/recipe.sh": {"local", "steps"},  # functions of the driver, kept off its page
        "utils/training_sets.sh": {"steps"},  # likewise
        "utils/backend.sh": {"steps"},  # likewise
        "utils/new_recipe.sh": {"run", "local"},  # writes a recipe
    }
    for path in (path for folder in ("utils", "steps", "local") for path in (ROOT / folder).glob("*.sh")):
        lines = [line for line in code_lines(path).splitlines() if "echo" not in line]  # messages may name anything
        found = {match[1] or match[2] for match in call.finditer("\n".join(lines))}
        assert found <= exempt.get(relative(path), set()), f"{relative(path)} -> {found}"


def test_every_python_command_that_a_script_calls_exists():
    for path in SHELL_FILES:
        for name in re.findall(r"python -m sv_py\.([\w.]+)", code_lines(path)):
            module = ROOT / "sv_py" / name.replace(".", "/")
            assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), f"{relative(path)}: {name}"


def test_files_fit_in_one_sitting():
    limits = {ROOT / "run.sh": 150, ROOT / "sv_py/train/loop.py": 300}
    limits |= dict.fromkeys(ROOT.glob("egs/*/*/run.sh"), 20)
    for path in [*MODULES, *ROOT.glob("bench/*.py"), *limits]:
        lines = len(path.read_text().splitlines())
        assert lines <= limits.get(path, 400), f"{relative(path)} has {lines} lines"


def test_links_are_relative_and_lead_somewhere_inside():
    links = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ("data", "exp")] + (
            ["data"] if Path(folder).name == "sv_py" else []
        )
        links += [path for name in [*folders, *files] if (path := Path(folder, name)).is_symlink()]
    assert links
    for link in links:
        assert link.exists() and not link.readlink().is_absolute(), relative(link)
        assert link.resolve().is_relative_to(ROOT), relative(link)


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_a_script_says_what_it_is_and_shows_its_help(path):
    lines = path.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and lines[1].startswith("# ")
    assert any(line.startswith("set -euo pipefail") for line in lines)
    subprocess.run(["bash", "-n", path], check=True)
    done = subprocess.run([path, "--help"], cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert re.search("usage:", done.stdout, re.IGNORECASE)


@pytest.mark.parametrize("path", SOURCED, ids=relative)
def test_a_file_that_is_only_sourced_says_so(path):
    first, second = path.read_text().splitlines()[:2]
    assert first.startswith("# shellcheck shell=bash") and second.startswith("# ")
    subprocess.run(["bash", "-n", path], check=True)


@pytest.mark.parametrize("path", YAMLS, ids=relative)
def test_every_experiment_loads_and_builds(path):
    found, _ = describe_file(str(path), [], None, 100)
    assert found["parameters"] > 0 and found["parameters_with_head"] > found["parameters"]


def test_every_recipe_is_made_of_choices_over_the_shared_driver():
    recipes = sorted(ROOT.glob("egs/*/*"))
    assert recipes
    for recipe in recipes:
        assert {"steps", "utils", "local"} <= {path.name for path in recipe.iterdir() if path.is_symlink()}, recipe
        assert (recipe / "README.md").exists() and "../../../run.sh" in (recipe / "run.sh").read_text(), recipe


def test_the_recipes_trials_are_those_of_the_corpora(shared):
    copies = sorted(ROOT.glob("egs/*/*/trials/*"))
    assert copies
    for copy in copies:
        assert copy.read_bytes() == (shared / f"corpora/trials/{copy.name}.txt").read_bytes(), relative(copy)
