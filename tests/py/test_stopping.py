"""Requests to stop: signals, hours, the line that says where it was."""

import os
import signal
import subprocess
import sys
import time

import pytest

from sv_py.train.stopping import Stopping, clear, mark

# Says "up", and every 0.1 s whether there is a reason to stop; ends at a line on stdin.
WATCHER = """
import select, sys
from sv_py.train.stopping import Stopping
with Stopping() as stopping:
    print("up", flush=True)
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        if stopping.reason:
            print(stopping.reason, flush=True)
"""


@pytest.fixture
def watcher(root):
    command = [sys.executable, "-c", WATCHER]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(root)}, text=True, **pipes) as process:
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_is_a_reason_and_ends_nothing(watcher, name):
    watcher.send_signal(getattr(signal, name))
    assert watcher.stdout.readline() == f"{name}\n"
    told = watcher.communicate("end\n", timeout=20)[1]
    assert watcher.returncode == 0 and "a checkpoint is saved after this step" in told


def test_the_first_signal_is_the_reason_and_its_echoes_are_one_request(watcher):
    for name in ("SIGUSR1", "SIGTERM", "SIGTERM", "SIGUSR1"):
        watcher.send_signal(getattr(signal, name))
        time.sleep(0.05)
    out, told = watcher.communicate("end\n", timeout=20)
    assert set(out.split()) == {"SIGUSR1"} and watcher.returncode == 0 and told.count("\n") == 1


def test_a_second_sigterm_ends_at_once(watcher):
    watcher.send_signal(signal.SIGTERM)
    assert watcher.stdout.readline() == "SIGTERM\n"
    deadline = time.monotonic() + 20
    while watcher.poll() is None and time.monotonic() < deadline:
        watcher.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    assert watcher.returncode == -signal.SIGTERM


def test_hours_are_a_reason_once_they_are_over():
    with Stopping(1e-9) as stopping:
        assert stopping.reason == "--max-hours 1e-09"
    with Stopping(1.0) as stopping:
        assert stopping.reason is None
    with Stopping(0.0) as stopping:
        assert stopping.reason is None


def test_handlers_are_given_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    with pytest.raises(KeyError), Stopping():
        assert signal.getsignal(signal.SIGTERM) != before[0]
        raise KeyError
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


def test_the_mark_is_one_line_and_can_be_taken_back_twice(tmp_path):
    mark(tmp_path, "lmft, epoch 2 of 5, step 31: stopped by SIGTERM")
    assert (tmp_path / "unfinished").read_text() == "lmft, epoch 2 of 5, step 31: stopped by SIGTERM\n"
    clear(tmp_path)
    clear(tmp_path)
    assert not list(tmp_path.iterdir())
