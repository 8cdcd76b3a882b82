"""What was read of audio headers survives a run that ends too early, and nothing that changed is believed."""

import os
import signal
import subprocess
import sys
import time

import pytest
import soundfile
from corpus_trees import text, tone

from sv_py.cli import InputError
from sv_py.data.headers import headers
from sv_py.io.text import read_table

BLOCK = 1024  # files that are noted together


@pytest.fixture
def corpus(tmp_path):
    """Four speakers of 1024 files each; a speaker's files are hard links to one tone."""
    for i, speaker in enumerate("abcd", 1):
        tone(tmp_path / f"{speaker}.wav", samples=100 * i)
        (tmp_path / "corpus" / speaker).mkdir(parents=True)
        for n in range(BLOCK):
            os.link(tmp_path / f"{speaker}.wav", tmp_path / f"corpus/{speaker}/{n:04d}.wav")
    return tmp_path / "corpus"


def spoil_unseen(path):
    """Make of a file one that is no audio, with its size and times."""
    before = path.stat()
    path.write_bytes(b"?" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def durations(data):
    return read_table(data / "corpus/utt2dur")


def test_a_rerun_opens_only_what_an_interrupted_run_has_not_read(corpus, prepare, tmp_path):
    (corpus / "d/1023.wav").unlink()
    text(corpus / "d/1023.wav", "")
    with pytest.raises(InputError, match="1 of 4096 files cannot be used"):
        prepare("dir")
    (notes,) = (tmp_path / "data/manifests").iterdir()
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["manifests"]
    with open(notes, "a") as file:
        file.write("1644 17")  # as a killed run leaves it

    spoil_unseen(tmp_path / "a.wav")  # a file that was opened again would be told
    tone(corpus / "d/1023.wav", samples=900)
    found = durations(prepare("dir"))
    assert (found["a-0000"], found["b-0001"], found["d-1023"]) == ("0.00625", "0.0125", "0.05625")
    assert not notes.exists()


def test_a_file_that_changed_is_opened_again(corpus, prepare, tmp_path):
    (corpus / "d/1023.wav").unlink()
    text(corpus / "d/1023.wav", "")
    with pytest.raises(InputError, match="1 of 4096 files"):
        prepare("dir")
    tone(tmp_path / "a.wav", samples=700)  # all links of the first speaker
    assert durations(prepare("dir", "--skip-bad"))["a-0000"] == "0.04375"


def test_a_killed_run_goes_on_and_gives_what_an_undisturbed_one_does(corpus, prepare, tmp_path, root):
    argv = [sys.executable, "-m", "sv_py.prepare", "dir", "--corpus-dir", corpus, "--data-root", tmp_path / "data"]
    process = subprocess.Popen(argv, cwd=root, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(tmp_path.glob("data/manifests/.headers.*")):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = prepare("dir")
    again = {path.name: path.read_bytes() for path in [*killed.glob("corpus/*"), *killed.glob("manifests/*")]}
    (tmp_path / "data").rename(tmp_path / "before")
    prepare("dir")
    assert again == {path.name: path.read_bytes() for path in [*killed.glob("corpus/*"), *killed.glob("manifests/*")]}


def test_a_full_disk_is_told_with_the_file_that_did_not_fit(corpus, tmp_path, root, run):
    limited = ["bash", "-c", 'ulimit -f 8; exec "$@"', "-", root / "local/prepare_dir.sh"]
    done = run(*limited, "corpus", "data", code=1)
    assert "data/manifests/.headers." in done.stderr and "File too large" in done.stderr


def test_of_a_few_files_nothing_is_noted(tiny_wavs, tmp_path):
    paths = sorted(map(str, tiny_wavs.iterdir()))
    found = list(headers(paths, notes=tmp_path / "notes"))
    assert [header.num_samples for header, _ in found] == [soundfile.info(path).frames for path in paths]
    assert list(tmp_path.iterdir()) == []
