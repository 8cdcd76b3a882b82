"""The environment: `make`, utils/make_venv.sh and the choice of path.sh."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

CLEAN = {"SV_PYTHON": "", "SV_DRIVER_WARNED": "", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}


def make_wheel(folder: Path, name: str, version: str) -> None:
    """A wheel of one empty module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(path, text)


class Project:
    """A project of two tiny requirements, one of them for development, with its wheels."""

    def __init__(self, root: Path, folder: Path):
        self.folder, self.wheels, self.venv = folder, folder / "wheels", folder / ".venv"
        for name in ("utils/make_venv.sh", "utils/parse_options.sh", "path.sh", "Makefile"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(root / name, folder / name)
        self.wheels.mkdir()
        for name in ("alpha", "beta"):
            for version in ("1.0", "2.0"):
                make_wheel(self.wheels, name, version)
        self.require("1.0")

    def require(self, version: str) -> None:
        (self.folder / "requirements.txt").write_text(f"# needed\nalpha=={version}\n")
        (self.folder / "requirements-dev.txt").write_text("beta==1.0\n")

    def argv(self, *options: str) -> list[str]:
        return [str(self.folder / "utils/make_venv.sh"), "--python", sys.executable, *options]

    def has(self, module: str) -> str:
        """The version of a module in the environment, or nothing."""
        code = f"import {module}; print({module}.version)"
        done = subprocess.run([self.venv / "bin/python", "-I", "-c", code], capture_output=True, text=True, check=False)
        return done.stdout.strip()


@pytest.fixture(scope="module")
def built(root, tmp_path_factory):
    """A project whose environment is complete. Making one takes seconds, so that the tests share it, in their order."""
    project = Project(root, tmp_path_factory.mktemp("project"))
    subprocess.run(
        project.argv("--wheels", str(project.wheels)), check=True, env={**os.environ, **CLEAN}, capture_output=True
    )
    return project


def test_help_is_the_default_target_and_lists_every_other(run, root):
    out = run("make", "-C", root).stdout
    for target in ("run", "test", "lint", "bench", "venv", "help"):
        assert f"make {target}\t" in out


def test_a_complete_environment_is_left_alone_by_a_second_make_venv(run, root, missing):
    if not (root / ".venv/.complete").exists():
        missing("this checkout has no .venv of its own")
    run("make", "-C", root, "venv", **CLEAN)
    modified = (root / ".venv/.complete").stat().st_mtime_ns
    out = run("make", "-s", "-C", root, "venv", **CLEAN)
    assert out.stdout == out.stderr == ""
    assert (root / ".venv/.complete").stat().st_mtime_ns == modified


def test_a_new_environment_holds_the_requirements_and_nothing_of_development(built):
    assert (built.has("alpha"), built.has("beta")) == ("1.0", "")
    assert (built.venv / ".complete").exists()


def test_a_second_call_does_not_even_start_pip(built, run):
    (built.venv / "bin/python").rename(built.venv / "bin/hidden")
    (built.venv / "bin/python").write_text("#!/bin/sh\nexit 9\n")
    (built.venv / "bin/python").chmod(0o755)
    try:
        out = run(built.folder / "utils/make_venv.sh", **CLEAN)
    finally:
        (built.venv / "bin/hidden").replace(built.venv / "bin/python")
    assert out.stdout == out.stderr == ""


def test_development_adds_its_requirements_to_the_same_environment(built, run):
    before = (built.venv / ".complete").stat().st_mtime_ns
    run(*built.argv("--dev", "true", "--wheels", built.wheels), **CLEAN)
    assert (built.has("alpha"), built.has("beta")) == ("1.0", "1.0")
    assert (built.venv / ".complete").stat().st_mtime_ns == before


def test_changed_requirements_are_installed(built, run):
    built.require("2.0")
    run(*built.argv("--wheels", built.wheels), **CLEAN)
    assert built.has("alpha") == "2.0"


def test_an_empty_marker_of_an_environment_that_holds_everything_is_rewritten_without_installing(built, run):
    (built.venv / ".complete").write_text("")
    out = run(*built.argv(), **CLEAN, PIP_NO_INDEX="1")
    assert "installing" not in out.stderr
    assert (built.venv / ".complete").read_text()


def test_a_package_whose_installation_was_interrupted_is_installed_again(built, run):
    site = next((built.venv / "lib").glob("python3*/site-packages"))
    (site / "alpha.py").unlink()
    next(site.glob("alpha-*.dist-info/INSTALLER")).unlink()  # pip writes it last
    (built.venv / ".complete").unlink()
    run(*built.argv("--wheels", built.wheels), **CLEAN)
    assert built.has("alpha") == "2.0"


def test_a_failed_installation_leaves_the_environment_marked_as_incomplete(built, run, tmp_path):
    built.require("3.0")
    out = run(*built.argv("--wheels", tmp_path), code=1, **CLEAN)
    assert "alpha==3.0" in out.stderr
    assert not (built.venv / ".complete").exists()
    out = run("bash", "-c", f". {built.folder}/path.sh", code=1, PATH="/usr/bin:/bin", SV_PYTHON="")
    assert f"make -C {built.folder} venv" in out.stderr
    built.require("2.0")
    run(*built.argv("--wheels", built.wheels), **CLEAN)


def test_torch_is_taken_from_the_index_that_is_named_and_its_name_is_kept(built, run):
    (built.folder / "requirements.txt").write_text("torch==2.11.0\nalpha==2.0\n")
    make_wheel(built.wheels, "torch", "2.11.0")
    nowhere = "http://127.0.0.1:9/whl/cu126"
    out = run(*built.argv("--torch-index", nowhere), code=1, **CLEAN, PIP_RETRIES="0")
    assert nowhere in out.stdout + out.stderr
    assert (built.venv / ".torch-index").read_text() == f"{nowhere}\n"
    index = built.folder / "index/torch"
    index.mkdir(parents=True)
    make_wheel(index, "torch", "2.11.0+cu126")
    (index / "index.html").write_text('<a href="torch-2.11.0+cu126-py3-none-any.whl">torch</a>')
    run(*built.argv("--torch-index", index.parent.as_uri(), "--wheels", built.wheels), **CLEAN)
    assert (built.has("torch"), built.has("alpha")) == ("2.11.0+cu126", "2.0")
    built.require("2.0")
    run(*built.argv(), **CLEAN)


def test_calls_at_the_same_time_and_one_that_is_killed_end_in_a_complete_environment(built, run, tmp_path):
    shutil.rmtree(built.venv)
    argv = built.argv("--wheels", str(built.wheels))
    killed = subprocess.Popen(argv, env={**os.environ, **CLEAN}, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (built.venv / "bin/python").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (built.venv / ".complete").exists()
    both = [
        subprocess.Popen(argv, env={**os.environ, **CLEAN}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("installing requirements.txt" in output for output in outputs) == 1
    assert built.has("alpha") == "2.0"


def test_make_hands_its_variables_over(built, run, tmp_path):
    out = run(
        "make", "-C", built.folder, "venv", f"VENV={tmp_path / 'x'}", f"WHEELS={tmp_path / 'none'}", code=2, **CLEAN
    )
    assert f"no folder of wheels: {tmp_path / 'none'}" in out.stderr
    assert not (tmp_path / "x").exists()


def old_python(folder: Path) -> Path:
    """A Python that says that it is 3.9."""
    path = folder / "python3"
    code = "import sys; sys.version_info = (3, 9, 0); exec(sys.argv[1])"
    path.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}' \"$2\"\n")
    path.chmod(0o755)
    return path


def test_a_python_that_is_too_old_is_an_error_that_says_what_is_needed(root, run, tmp_path):
    python = old_python(tmp_path)
    out = run("make", "-C", root, "venv", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}", code=2, **CLEAN)
    assert f"{python} is Python 3.9" in out.stderr and "3.11 or newer" in out.stderr
    assert not (tmp_path / "venv/bin").exists()


def test_a_python_without_ensurepip_is_an_error_that_names_the_package(root, run, tmp_path):
    python = tmp_path / "python3"
    code = "import sys, importlib.util as u; u.find_spec = lambda name: None; exec(sys.argv[1])"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}' \"$2\"\n")
    python.chmod(0o755)
    out = run(root / "utils/make_venv.sh", "--python", python, "--venv", tmp_path / "venv", code=1, **CLEAN)
    assert "ensurepip" in out.stderr and "python3-venv" in out.stderr


def test_the_first_python_that_is_new_enough_is_taken(root, run, tmp_path):
    (tmp_path / "python3.13").symlink_to("/bin/false")  # as a version manager's name of what is not installed
    good = tmp_path / "python3.12"
    good.write_text(f'#!/bin/sh\n[ "$1" != -m ] || {{ echo taken; exit 7; }}\nexec {sys.executable} "$@"\n')
    good.chmod(0o755)
    script = root / "utils/make_venv.sh"
    out = run(script, "--venv", tmp_path / "venv", code=7, **CLEAN, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert out.stdout == "taken\n"


def test_a_folder_that_is_something_else_is_not_made_an_environment(root, run, tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    out = run(root / "utils/make_venv.sh", "--venv", tmp_path, code=1, **CLEAN)
    assert "is not a virtual environment" in out.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


SHOW = 'echo "$SV_ROOT $SV_PYTHON $(command -v python) $LC_ALL $PYTHONPATH"'


@pytest.fixture
def fake_project(root, tmp_path):
    """A checkout with a complete environment whose python is this one's."""
    project = tmp_path / "project"
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to(sys.executable)
    (project / ".venv/.complete").touch()
    shutil.copy(root / "path.sh", project)
    return project


def test_path_finds_the_environment_from_any_folder_and_through_a_recipes_symlinks(fake_project, run, tmp_path):
    (fake_project / "steps").mkdir()
    recipe = tmp_path / "elsewhere/v1"
    recipe.mkdir(parents=True)
    (recipe / "steps").symlink_to(fake_project / "steps")
    python = fake_project / ".venv/bin/python"
    expected = f"{fake_project} {python} {python} C {fake_project}\n"
    for cwd, path in ((tmp_path, fake_project / "path.sh"), (recipe, "steps/../path.sh")):
        assert run("bash", "-euc", f". {path}; {SHOW}", cwd=cwd, SV_PYTHON="").stdout == expected


def test_path_puts_its_python_first_even_where_another_environment_was_activated_since(fake_project, run, tmp_path):
    (tmp_path / "python").symlink_to("/bin/true")
    script = f". {fake_project}/path.sh; PATH={tmp_path}:$PATH; . {fake_project}/path.sh; command -v python"
    assert run("bash", "-euc", script, SV_PYTHON="").stdout == f"{fake_project}/.venv/bin/python\n"


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false", "python3", "./python"])
def test_an_unusable_sv_python_is_an_error(fake_project, run, python):
    out = run("bash", "-c", f". {fake_project}/path.sh; echo went on", code=1, SV_PYTHON=python)
    assert out.stdout == "" and python in out.stderr


def test_without_an_environment_the_message_says_how_to_make_one(fake_project, run):
    (fake_project / ".venv/.complete").unlink()
    out = run("bash", "-c", f". {fake_project}/path.sh", code=1, PATH="/usr/bin:/bin", SV_PYTHON="")
    assert f"make -C {fake_project} venv" in out.stderr


def test_an_active_environment_is_accepted(fake_project, run):
    (fake_project / ".venv/.complete").unlink()
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    out = run("bash", "-euc", f". {fake_project}/path.sh; {SHOW}", PATH=path, SV_PYTHON="").stdout
    assert Path(out.split()[1]).parent == Path(sys.executable).parent


def test_a_module_that_brings_its_packages_by_pythonpath_is_accepted(fake_project, tmp_path, run):
    (fake_project / ".venv/.complete").unlink()
    bare = tmp_path / "bare"
    run(sys.executable, "-m", "venv", "--without-pip", bare)
    for name in ("torch", "kaldiio", "lhotse"):
        (tmp_path / "module" / name).mkdir(parents=True)
    script = f". {fake_project}/path.sh; . {fake_project}/path.sh; echo $PYTHONPATH; python -c 'import torch'"
    environment = {**CLEAN, "PATH": f"{bare}/bin:/usr/bin:/bin", "PYTHONPATH": tmp_path / "module"}
    out = run("bash", "-euc", script, **environment).stdout
    assert out == f"{fake_project}:{tmp_path}/module\n"
    refused = run("bash", "-euc", f". {fake_project}/path.sh", code=1, **{**environment, "PYTHONPATH": ""})
    assert "make -C" in refused.stderr


@pytest.mark.parametrize(
    ("driver", "cuda", "warned"),
    [
        ("535.104.05", "13.0", True),
        ("580.65.06", "13.0", False),
        ("535.104.05", "12.6", False),
        ("470.82.01", "12.6", True),
    ],
)
def test_a_driver_that_is_too_old_for_torch_is_named(fake_project, run, driver, cuda, warned):
    torch = fake_project / ".venv/lib/python3.11/site-packages/torch"
    torch.mkdir(parents=True)
    (torch / "version.py").write_text(f"__all__ = ['cuda']\n__version__ = '2.11.0'\ncuda: Optional[str] = '{cuda}'\n")
    file = fake_project / "driver"
    file.write_text(f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Sat Aug 19 01:15:15 UTC 2023\nGCC\n")
    out = run("bash", "-euc", f". {fake_project}/path.sh", **{**CLEAN, "SV_DRIVER_FILE": file})
    assert bool(out.stderr) == warned
    assert not warned or (f"driver {driver[:3]}" in out.stderr and "make venv TORCH_INDEX=" in out.stderr)
