"""Small data dirs, and the commands run in this process."""

import functools
import gc
import http.server
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from data_dirs import UTTS, fill, put
from loader_data import make_audio, make_features, read_wavs

import sv_py.prepare
from sv_py import data_dir
from sv_py.cli import InputError


@pytest.fixture(scope="session")
def wavs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wavs")
    for name in [*UTTS, "call"]:
        noise = np.random.default_rng(0).normal(0, 0.1, 4000 if name != "call" else 24000)
        soundfile.write(folder / f"{name}.wav", noise, 8000)
    return folder


@pytest.fixture
def plain(tmp_path, wavs) -> Path:
    """Three speakers, six recordings, everything that a data dir may have."""
    folder = tmp_path / "data"
    folder.mkdir()
    put(folder, "wav.scp", *(f"{u} {wavs / u}.wav" for u in UTTS))
    fill(folder)
    return folder


@pytest.fixture
def cut(tmp_path, wavs) -> Path:
    """The same six utterances as segments of one recording of 3 s."""
    folder = tmp_path / "data"
    folder.mkdir()
    put(folder, "wav.scp", f"call {wavs / 'call'}.wav")
    put(folder, "segments", *(f"{u} call {i * 0.5} {i * 0.5 + 0.5}" for i, u in enumerate(UTTS)))
    fill(folder)
    return folder


@pytest.fixture
def tool(monkeypatch, capsys):
    """``tool(*argv)``: exit status, stdout and stderr of one data-dir tool, run in this process."""

    def call(*argv) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["data_dir.py", *map(str, argv)])
        error = ""
        try:
            code = data_dir.main() or 0
        except InputError as refused:
            code, error = 1, str(refused)
        except SystemExit as end:
            code = end.code
        finally:
            gc.enable()
        out, err = capsys.readouterr()
        return code, out, err + error

    return call


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """``prepare(corpus, *options)`` prepares tmp_path/corpus; the data root, tmp_path/data."""

    def call(corpus, *options) -> Path:
        argv = ["prepare", corpus, "--corpus-dir", tmp_path / "corpus", "--data-root", tmp_path / "data", *options]
        monkeypatch.setattr(sys, "argv", [str(word) for word in argv])
        sv_py.prepare.main()
        return tmp_path / "data"

    return call


@pytest.fixture
def data(tmp_path) -> Path:
    """A data dir with stored features, as `loader_data.make_features` makes it."""
    return make_features(tmp_path)


@pytest.fixture(scope="session")
def waves(tiny_wavs) -> dict[str, np.ndarray]:
    """The samples of `tiny_wavs` by utterance."""
    return read_wavs(tiny_wavs)


@pytest.fixture(scope="module")
def audio_dir(waves, tmp_path_factory) -> Path:
    """A data dir with audio shards of `waves`."""
    return make_audio(tmp_path_factory.mktemp("audio"), waves)


@pytest.fixture
def host(tmp_path):
    """``host.url`` serves the files of ``host.folder``; ``host.stop()`` ends it, so that nobody answers."""
    folder = tmp_path / "host"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever).start()
    server.folder, server.url = folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.stop = lambda: (server.shutdown(), server.server_close())
    yield server
    server.stop()
