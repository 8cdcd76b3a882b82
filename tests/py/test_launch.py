"""Launching several processes: signals reach them, their failures are told, and nothing of them is left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from distributed_job import make_data, settings

JOBS = Path(__file__).parent
LAUNCH = [sys.executable, "-m", "sv_py.launch", "--processes", "2"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]


@pytest.fixture
def start(root, tmp_path):
    """``start(*argv)``: a running process whose output goes to tmp_path/log; what is left of it is killed at last."""
    started = []

    def call(*argv) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": f"{root}:{JOBS}:{tmp_path}", "OMP_NUM_THREADS": "1"}
        with open(tmp_path / "log", "a") as log:
            streams = {"stdout": log, "stderr": log}
            started.append(subprocess.Popen([*map(str, argv)], env=environment, start_new_session=True, **streams))
        return started[-1]

    yield call
    for process in started:
        if alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def alive(group: int) -> bool:
    """Whether a process of the group runs."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout.split("\n")
    return any(line.split()[0] == str(group) and line.split()[1][0] != "Z" for line in listed if line)


def until(condition, seconds: float = 120):
    """What ``condition()`` gives once it is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return value


def pids(log: Path) -> list[int]:
    """Of the processes of launch_job.py, by rank, once both have said so."""
    said = re.findall(r"rank (\d) of 2: pid (\d+), \['', 'ä'\]", log.read_text())
    return [int(pid) for _, pid in sorted(said)] if len(said) == 2 else []


def test_each_process_is_told_what_torchrun_would_tell_it(start, tmp_path, monkeypatch):
    (tmp_path / "tell.py").write_text(
        "import json, os, sys\n"
        "names = 'RANK LOCAL_RANK WORLD_SIZE MASTER_ADDR OMP_NUM_THREADS'.split()\n"
        "open(f'told.{os.environ[\"RANK\"]}', 'w').write(json.dumps([os.environ[n] for n in names] + sys.argv[1:]))\n"
    )
    monkeypatch.chdir(tmp_path)
    assert start(*LAUNCH, "tell", "--an-option", "x").wait(60) == 0
    told = [json.loads((tmp_path / f"told.{rank}").read_text()) for rank in range(2)]
    assert told == [[str(rank), str(rank), "2", "127.0.0.1", "1", "--an-option", "x"] for rank in range(2)]


def test_a_number_of_processes_that_is_none_is_an_error(run, root):
    done = run(*LAUNCH[:3], "--processes", "0", "x", code=2, PYTHONPATH=root)
    assert "--processes is 1 or more, not 0" in done.stderr


def test_one_that_fails_ends_all_and_its_status_is_that_of_all(start, tmp_path):
    assert start(*LAUNCH, "launch_job", 10, 2, "fail").wait(120) == 3
    assert re.search(r"launch: rank 1 \(pid \d+\) ended with status 3", (tmp_path / "log").read_text())


@pytest.mark.parametrize(("how", "told"), [("refuse", "error: data/x: it cannot"), ("crash", "ZeroDivisionError")])
def test_why_one_fails_is_told_before_what_the_others_lack(start, tmp_path, how, told):
    assert start(*LAUNCH, "launch_job", 10, 2, how).wait(120) == 1
    *_, why, lost, named = (tmp_path / "log").read_text().splitlines()
    assert told in why and re.search(r"error: rank 0 lost the others: .*peer", lost)
    assert re.search(r"launch: rank 1 \(pid \d+\) ended with status 1; all were stopped", named)


def test_of_one_that_hangs_the_others_say_where_and_end(start, tmp_path):
    process = start(*LAUNCH, "launch_job", 0.05, 3, "hang")
    assert process.wait(120) == 1
    log = (tmp_path / "log").read_text()
    pid = pids(tmp_path / "log")[1]
    assert re.search(rf"ERROR rank 1 \(\S+, pid {pid}\) has been in 'step 3' for \d+ s; the others wait", log)
    assert "launch_job.py" in log and log.count("the others wait") == 1


def test_of_processes_that_all_hang_each_says_where(start, tmp_path):
    assert start(*LAUNCH, "launch_job", 0.05, 3, "all hang").wait(120) == 1
    log = (tmp_path / "log").read_text()
    assert log.count("each waits for the others") == 1
    assert sorted(re.findall(r"rank (\d) is here:", log)) == ["0", "1"] and log.count(" in die") == 2


# Goes on when the watchdog has become impatient; then waits for a line on stdin, and goes on again.
SLOW = """
import sys, time
from torch.distributed import HashStore
from sv_py.train.watchdog import Watchdog
watchdog = Watchdog(HashStore(), 0, 1, timeout=2.4)
watchdog.start()
time.sleep(2.8)
for more in (True, False):
    for _ in range(10):
        watchdog.beat("again")
        time.sleep(0.1)
    if more:
        print("up", flush=True)
        sys.stdin.readline()
"""


def test_one_that_goes_on_late_or_was_suspended_is_left_alone(root):
    environment = {**os.environ, "PYTHONPATH": str(root)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SLOW], env=environment, **pipes) as process:
        assert process.stdout.readline() == "up\n", process.communicate()
        process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.7)  # in which it looks around
        assert process.communicate("\n", timeout=30)[1] == "" and process.returncode == 0


def test_processes_whose_launcher_is_killed_end_by_themselves(start, tmp_path):
    process = start(*LAUNCH, "launch_job", 0.05, 9999, "hang")
    until(lambda: pids(tmp_path / "log"))
    process.kill()
    process.wait()
    until(lambda: not alive(process.pid), 60)
    assert "what started this training, or its first process, has gone" in (tmp_path / "log").read_text()


@pytest.fixture
def training(tmp_path):
    """Makes the arguments of a training of so many epochs in ``exp``, which saves a checkpoint at every step."""

    def make(epochs: int, exp: Path, minutes: float = 10) -> list:
        data = tmp_path / "data"
        if not data.exists():
            make_data(data)
        values = settings()
        values["phases"][0]["epochs"] = epochs
        (tmp_path / "config.yaml").write_text(json.dumps(values))
        options = ["--device", "cpu", "--num-threads", 1, "--checkpoint-minutes", 0, "--timeout-minutes", minutes]
        return ["sv_py.train", *options, tmp_path / "config.yaml", data, data, exp]

    return make


def ranks_of(process: subprocess.Popen) -> list[int]:
    """The processes that ``process`` has started, by rank."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    told = {pid: Path(f"/proc/{pid}/environ").read_bytes() for pid in children}
    return [int(pid) for pid in sorted(told, key=lambda pid: re.search(rb"\0RANK=(\d)", told[pid])[1])]


def has_checkpoints(exp: Path) -> bool:
    return any(exp.glob("phases/first/checkpoints/*.pt"))


def test_a_process_that_is_killed_ends_the_training_and_is_named(start, training, tmp_path):
    process = start(*LAUNCH, *training(1000, tmp_path / "exp"))
    until(lambda: has_checkpoints(tmp_path / "exp"))
    pid = ranks_of(process)[1]
    os.kill(pid, signal.SIGKILL)
    assert process.wait(60) == 128 + signal.SIGKILL
    assert f"launch: rank 1 (pid {pid}) was killed by SIGKILL" in (tmp_path / "log").read_text().splitlines()[-1]
    assert not alive(process.pid)


def test_a_process_that_stands_still_is_named_after_a_while(start, training, tmp_path):
    process = start(*LAUNCH, *training(1000, tmp_path / "exp", minutes=0.1))
    until(lambda: has_checkpoints(tmp_path / "exp"))
    pid = ranks_of(process)[0]
    os.kill(pid, signal.SIGSTOP)
    assert process.wait(120) == 1
    log = (tmp_path / "log").read_text()
    assert re.search(rf"ERROR rank 0 \(\S+, pid {pid}\) has not been running for \d+ s, stopped or cut off in", log)
    assert not alive(process.pid)


def test_after_a_signal_a_training_goes_on_under_torchrun_to_the_same_bits(start, training, tmp_path, root):
    process = start(*LAUNCH, *training(4, tmp_path / "exp"))
    until(lambda: has_checkpoints(tmp_path / "exp"))
    process.terminate()
    assert process.wait(120) == 0
    assert "SIGTERM" in (tmp_path / "exp/unfinished").read_text() and not (tmp_path / "exp/final.pt").exists()
    resumed = start(*TORCHRUN, *training(4, tmp_path / "exp"))
    options, places = ["--num-processes", 2, "--num-threads", 1], training(4, tmp_path / "undisturbed")[-4:]
    undisturbed = start(root / "steps/train.sh", *options, *places)
    assert (resumed.wait(240), undisturbed.wait(240)) == (0, 0)
    assert not (tmp_path / "exp/unfinished").exists()
    assert (tmp_path / "exp/final.pt").read_bytes() == (tmp_path / "undisturbed/final.pt").read_bytes()
    assert "processes: 2" in (tmp_path / "undisturbed/log/train.log").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num-processes", "0"], "--num-processes is 1 or more, not 0"),
        (["--num-processes", "2", "--gpu", "2"], "--gpu 2 has a process for each GPU"),
    ],
)
def test_numbers_of_processes_that_cannot_be_are_an_error(run, root, tmp_path, options, message):
    data = make_data(tmp_path / "data")
    done = run(root / "steps/train.sh", *options, data / "utt2spk", data, data, "exp", code=1)
    assert message in done.stderr and not (tmp_path / "exp").exists()
