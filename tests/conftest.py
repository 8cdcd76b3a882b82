"""Fixtures that every test may use."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def missing(reason: str):
    """Skip for want of a part that a user's machine may lack; in CI, where every part is there, fail."""
    if os.environ.get("SV_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason} (SV_REQUIRE_ALL=1)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and public embeddings that lies beside a developer's checkout."""
    folder = Path(os.environ.get("SV_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        missing(f"no real recordings at {folder}; set SV_SHARED")
    return folder


@pytest.fixture
def run(tmp_path):
    """``run(*argv, cwd=tmp_path, code=0, **env)``: a real subprocess; asserts its exit status, returns it with .stdout and .stderr."""

    def call(*argv, cwd=tmp_path, code=0, timeout=300, **env):
        done = subprocess.run(
            [str(a) for a in argv], cwd=cwd, env={**os.environ, **{k: str(v) for k, v in env.items()}},
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert code is None or done.returncode == code, f"{argv}: rc {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return call
