"""utils/cmd_local.sh: jobs on this machine, with the interface of Kaldi's run.pl."""

import contextlib
import os
import re
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

DATE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


@pytest.fixture
def cmd(root):
    return root / "utils" / "cmd_local.sh"


@pytest.fixture
def marked(tmp_path, cmd):
    """Starts dispatchers whose processes all carry a mark; ``start.alive()`` are those that live."""
    mark, started = f"mark-{uuid.uuid4()}", []

    def alive() -> list[int]:
        pids = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark.encode() in environ.read_bytes():
                    pids.append(int(environ.parent.name))
            except OSError:
                continue
        return pids

    def start(*arguments, **env):
        process = subprocess.Popen(
            [cmd, *map(str, arguments)], cwd=tmp_path, env={**os.environ, "MARK": mark, **env},
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    start.alive = alive
    yield start
    for process in started:
        process.kill()
        process.communicate()
    wait_until(lambda: not alive(), 15)


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def output(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if not line.startswith("#")]


def test_the_log_has_command_host_start_output_accounting_and_end(run, cmd, tmp_path):
    run(cmd, "--num-threads", "2", "log/x.log", "sh", "-c", "echo out; echo err >&2; echo $OMP_NUM_THREADS")
    wanted = (
        r"# sh -c \S.*\n# Running on \S+\n# Started at DATE\nout\nerr\n2\n"
        r"# Accounting: time=\d+ threads=2\n# Ended \(code 0\) at DATE\n"
    )
    assert re.fullmatch(wanted.replace("DATE", DATE), (tmp_path / "log/x.log").read_text())


def test_the_end_stands_on_a_line_of_its_own(run, cmd, tmp_path):
    run(cmd, "x.log", "printf", "no newline")
    assert output(tmp_path / "x.log") == ["no newline"]


def test_a_log_of_an_earlier_run_is_replaced(run, cmd, tmp_path):
    run(cmd, "x.log", "echo", "first")
    run(cmd, "x.log", "echo", "second")
    assert output(tmp_path / "x.log") == ["second"]


def test_arguments_arrive_untouched(run, cmd, tmp_path):
    arguments = [
        "a b",
        "",
        "'",
        '"',
        "$HOME",
        "$(touch PWNED)",
        "`x`",
        ";",
        "|",
        ">out",
        "*",
        "?",
        "\\",
        "a\nb",
        "&",
        "-x",
    ]
    run(cmd, "x.log", "python3", "-c", "import sys; print(sys.argv[1:])", *arguments)
    assert output(tmp_path / "x.log") == [str(arguments)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.log"]


def test_the_first_line_of_the_log_can_be_run_again(run, cmd, tmp_path):
    run(cmd, "x.log", "printf", "<%s>", "a b", "$x", "")
    again = (tmp_path / "x.log").read_text().splitlines()[0].removeprefix("# ")
    assert run("bash", "-c", again).stdout == "<a b><$x><>"


def test_the_number_of_a_job_replaces_its_name_in_log_and_arguments(run, cmd, tmp_path):
    run(cmd, "JOB=2:4", "split/JOB/x.JOB.log", "echo", "JOB", "in/JOB.scp", "xJOBy")
    for job in (2, 3, 4):
        assert output(tmp_path / f"split/{job}/x.{job}.log") == [f"{job} in/{job}.scp x{job}y"]
    assert len(list(tmp_path.glob("split/*"))) == 3


def test_any_name_and_a_single_number_make_a_job_range(run, cmd, tmp_path):
    run(cmd, "iter_2=7", "x.iter_2.log", "echo", "iter_2 JOB")
    assert output(tmp_path / "x.7.log") == ["7 JOB"]


def test_the_range_may_stand_anywhere_among_the_options(run, cmd, tmp_path):
    options = ["--mem", "4G", "-V", "-tc", "2", "--time", "1:00:00", "--num-nodes", "1", "--gpu", "0"]
    for place in (0, 2, 3, 5, len(options)):
        run(cmd, *options[:place], "JOB=1:2", *options[place:], f"{place}.JOB.log", "echo", "JOB")
        assert output(tmp_path / f"{place}.2.log") == ["2"]


def test_a_log_in_a_folder_with_an_equals_sign_is_no_job_range(run, cmd, tmp_path):
    run(cmd, "lr=0.1/x.log", "echo", "yes")
    assert output(tmp_path / "lr=0.1/x.log") == ["yes"]


def test_standard_input_is_empty(cmd, tmp_path):
    subprocess.run([cmd, "x.log", "cat"], cwd=tmp_path, input="text", text=True, check=True, timeout=20)
    assert output(tmp_path / "x.log") == []


def test_more_than_a_hundred_jobs_all_run_once(run, cmd, tmp_path):
    run(cmd, "--max-jobs-run", "8", "JOB=1:130", "log/JOB.log", "sh", "-c", "echo JOB >>all")
    assert sorted(map(int, (tmp_path / "all").read_text().split())) == list(range(1, 131))
    assert len(list((tmp_path / "log").iterdir())) == 130


@pytest.mark.parametrize("limits", [["--max-jobs-run", "3"], ["-tc", "5", "--max-jobs-run", "3", "-tc", "4"]])
def test_no_more_jobs_run_at_once_than_allowed(run, cmd, tmp_path, limits):
    (tmp_path / "running").mkdir()
    job = "touch running/JOB; ls running | wc -l; sleep 0.3; rm running/JOB"
    run(cmd, *limits, "JOB=1:9", "log/JOB.log", "sh", "-c", job)
    assert max(int(output(log)[0]) for log in tmp_path.glob("log/*")) == 3


def test_jobs_that_want_all_cores_run_one_after_another(run, cmd, tmp_path):
    (tmp_path / "running").mkdir()
    job = "mkdir running/x && sleep 0.1 && rmdir running/x"
    run(cmd, "--num-threads", os.cpu_count(), "JOB=1:4", "log/JOB.log", "sh", "-c", job)


def test_a_failing_job_fails_all_but_stops_none(run, cmd, tmp_path):
    job = "test JOB -ne 2 || { seq 100; exit 7; }; sleep 0.3; echo done JOB"
    done = run(cmd, "--max-jobs-run", "2", "JOB=1:4", "log/JOB.log", "sh", "-c", job, code=1)
    assert "1 of 4 jobs failed, log: log/2.log\n" in done.stderr
    assert "# Ended (code 7)" in done.stderr and "\n100\n" in done.stderr and "\n50\n" not in done.stderr
    assert [output(tmp_path / f"log/{job}.log")[-1] for job in (1, 3, 4)] == ["done 1", "done 3", "done 4"]


def test_many_failed_jobs_are_counted_and_the_first_named(run, cmd):
    done = run(cmd, "JOB=1:8", "log/JOB.log", "false", code=1)
    assert "8 of 8 jobs failed, log: log/1.log log/2.log log/3.log log/4.log log/5.log ...\n" in done.stderr


def test_a_command_that_does_not_exist_fails_with_127(run, cmd, tmp_path):
    run(cmd, "x.log", "no_such_command", code=1)
    assert "not found" in (tmp_path / "x.log").read_text() and "(code 127)" in (tmp_path / "x.log").read_text()


def test_functions_of_the_dispatcher_are_no_commands(run, cmd, tmp_path):
    run(cmd, "x.log", "run_job", "1", code=1)
    assert "(code 127)" in (tmp_path / "x.log").read_text()


def test_a_killed_job_fails_and_its_log_says_so(run, cmd, tmp_path):
    assert "1 of 1 jobs failed" in run(cmd, "x.log", "bash", "-c", "kill -9 $$", code=1).stderr
    assert "Killed" in (tmp_path / "x.log").read_text() and "(code 137)" in (tmp_path / "x.log").read_text()


def test_a_log_that_cannot_be_written_is_a_failed_job(run, cmd, tmp_path):
    (tmp_path / "file").touch()
    assert "jobs failed" in run(cmd, "JOB=1:3", "file/x.JOB.log", "touch", "ran.JOB", code=1).stderr
    assert not list(tmp_path.glob("ran*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpus", "1", "x.log", "true"], "unknown option '--gpus' (did you mean '--gpu'?)"),
        (["--config", "x", "x.log", "true"], "unknown option '--config'"),
        (["-q", "all.q", "x.log", "true"], "not '-q'"),
        (["--gpu", "one", "x.log", "true"], "--gpu wants an integer"),
        (["--gpu", "-1", "x.log", "true"], "--gpu is 0 or more"),
        (["--gpu"], "--gpu wants a value"),
        (["-tc"], "--max-jobs-run wants a value"),
        (["--max-jobs-run", "0", "x.log", "true"], "--max-jobs-run is 1 or more"),
        (["--num-threads", "0", "x.log", "true"], "--num-threads is 1 or more"),
        (["--grace", "-1", "x.log", "true"], "--grace is 0 or more"),
        (["--num-nodes", "2", "x.log", "true"], "there is one node only"),
        (["JOB=0:3", "x.JOB.log", "true"], "not a job range"),
        (["JOB=1:", "x.JOB.log", "true"], "not a job range"),
        (["JOB=1:2", "X=1:2", "x.JOB.log", "true"], "not a job range"),
        (["JOB=3:2", "x.JOB.log", "true"], "the job range is empty"),
        (["JOB=1:3", "x.log", "true"], "one log for many jobs"),
        (["x.log"], "a log and a command are needed"),
        ([], "a log and a command are needed"),
    ],
)
def test_bad_options_exit_1_and_run_nothing(run, cmd, tmp_path, arguments, message):
    assert message in run(cmd, *arguments, code=1).stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "code"), [("INT", 130), ("TERM", 143), ("HUP", 129)])
def test_a_signal_ends_all_processes_of_all_jobs(marked, tmp_path, name, code):
    process = marked("--max-jobs-run", "2", "JOB=1:3", "JOB.log", "bash", "-c", "setsid sleep 60 & sleep 60; sleep 60")
    wait_until(lambda: len(marked.alive()) >= 10)  # dispatcher, watchdog, two workers with three processes each
    process.send_signal(getattr(signal, f"SIG{name}"))
    assert f"stopped by SIG{name}" in process.communicate(timeout=20)[1]
    assert process.returncode == code
    wait_until(lambda: not marked.alive())
    for job in (1, 2):
        assert "# Ended (code 143) at" in (tmp_path / f"{job}.log").read_text().splitlines()[-1]
    assert not (tmp_path / "3.log").exists()


def test_jobs_end_with_a_dispatcher_whose_messages_nobody_reads(marked, tmp_path):
    process = marked("x.log", "bash", "-c", "sleep 60; sleep 60")
    wait_until(lambda: (tmp_path / "x.log").exists() and len(marked.alive()) >= 5)
    process.stderr.close()
    process.stderr = None  # nor the fixture
    process.terminate()
    process.wait(timeout=20)
    wait_until(lambda: not marked.alive())
    assert "# Ended (code 143)" in (tmp_path / "x.log").read_text()


def test_a_job_deaf_to_term_is_killed_after_a_time_of_grace(marked, tmp_path):
    process = marked("--grace", 2, "x.log", "bash", "-c", "trap '' TERM; sleep 60; sleep 60")
    wait_until(lambda: (tmp_path / "x.log").exists() and len(marked.alive()) >= 5)
    start = time.monotonic()
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143 and time.monotonic() - start > 1.5
    wait_until(lambda: not marked.alive())
    assert "# Ended (code " in (tmp_path / "x.log").read_text()


def test_a_job_may_end_in_order_on_a_signal(marked, tmp_path):
    process = marked("x.log", "bash", "-c", "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.1; done")
    wait_until(lambda: (tmp_path / "x.log").exists() and "up" in output(tmp_path / "x.log"))
    process.terminate()
    process.communicate(timeout=20)
    assert "saved" in output(tmp_path / "x.log")


def test_a_job_and_its_children_get_term_once(marked, tmp_path):
    child = "trap 'echo got' TERM; echo up; for i in $(seq 30); do sleep 0.1; done"
    process = marked("x.log", "bash", "-c", f"({child}) & ({child}) & {child}; wait")
    wait_until(lambda: (tmp_path / "x.log").exists() and output(tmp_path / "x.log").count("up") == 3)
    process.terminate()
    process.communicate(timeout=20)
    assert output(tmp_path / "x.log").count("got") == 3


def test_usr1_asks_jobs_to_stop_and_their_ends_count(marked, tmp_path):
    job = "trap 'sleep 0.5; echo saved; exit JOB' USR1; echo up; while :; do sleep 0.1; done"
    process = marked("--max-jobs-run", 2, "JOB=1:2", "JOB.log", "bash", "-c", job)
    for number in (1, 2):
        log = tmp_path / f"{number}.log"
        wait_until(lambda log=log: log.exists() and "up" in output(log))
    process.send_signal(signal.SIGUSR1)
    assert "2 of 2 jobs failed" in process.communicate(timeout=20)[1] and process.returncode == 1
    for number in (1, 2):
        assert output(tmp_path / f"{number}.log") == ["up", "saved"]
        assert f"# Ended (code {number})" in (tmp_path / f"{number}.log").read_text()


def test_a_job_that_stops_on_usr1_with_success_is_one(marked, tmp_path):
    process = marked("x.log", "bash", "-c", "trap 'exit 0' USR1; echo up; while :; do sleep 0.1; done")
    wait_until(lambda: (tmp_path / "x.log").exists() and "up" in output(tmp_path / "x.log"))
    process.send_signal(signal.SIGUSR1)
    assert process.communicate(timeout=20)[1] == "" and process.returncode == 0


def test_jobs_do_not_outlive_a_dispatcher_that_is_killed(marked, tmp_path):
    process = marked("JOB=1:2", "JOB.log", "bash", "-c", "sleep 60; sleep 60")
    wait_until(lambda: len(marked.alive()) >= 6)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    wait_until(lambda: not marked.alive())
    assert "# Ended (code 143)" in (tmp_path / "1.log").read_text()


def test_a_dispatcher_in_a_job_is_ended_with_it(marked, cmd):
    process = marked("x.log", cmd, "JOB=1:2", "JOB.log", "bash", "-c", "sleep 60; sleep 60")
    wait_until(lambda: len(marked.alive()) >= 10)
    process.terminate()
    process.communicate(timeout=20)
    wait_until(lambda: not marked.alive())


def test_nothing_is_left_in_the_temporary_folder(run, cmd, tmp_path):
    (tmp_path / "tmp").mkdir()
    run(cmd, "JOB=1:3", "JOB.log", "true", TMPDIR=tmp_path / "tmp")
    run(cmd, "JOB=1:3", "JOB.log", "false", TMPDIR=tmp_path / "tmp", code=1)
    assert not list((tmp_path / "tmp").iterdir())


# The devices of these tests need not exist: dispatching only hands out their names.
def test_a_device_is_never_given_to_two_jobs_of_two_dispatchers(marked, tmp_path):
    job = "d=$CUDA_VISIBLE_DEVICES; mkdir device$d && sleep 0.2 && rmdir device$d && echo $d"
    env = {"CUDA_VISIBLE_DEVICES": "0,1", "SV_LOCK_DIR": str(tmp_path / "locks")}
    processes = [marked("--gpu", 1, "JOB=1:5", f"{n}.JOB.log", "bash", "-c", job, **env) for n in "ab"]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert {output(log)[0] for log in tmp_path.glob("[ab].*.log")} == {"0", "1"}


def test_jobs_that_want_two_devices_each_do_not_block_each_other(marked, tmp_path):
    env = {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b", "SV_LOCK_DIR": str(tmp_path / "locks")}
    job = "echo $CUDA_VISIBLE_DEVICES; mkdir both && sleep 0.1 && rmdir both"
    processes = [marked("--gpu", 2, "JOB=1:2", f"{n}.JOB.log", "bash", "-c", job, **env) for n in "abc"]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert {output(log)[0] for log in tmp_path.glob("?.?.log")} == {"GPU-a,GPU-b"}


def test_a_dispatcher_in_a_job_shares_out_the_devices_of_that_job(run, cmd, tmp_path):
    env = {"CUDA_VISIBLE_DEVICES": "3,4", "SV_LOCK_DIR": tmp_path / "locks"}
    inner = [cmd, "--gpu", "1", "JOB=1:2", "JOB.log", "bash", "-c", "sleep 0.5; echo $CUDA_VISIBLE_DEVICES"]
    run(cmd, "--gpu", "2", "x.log", *inner, timeout=30, **env)
    assert sorted(output(tmp_path / f"{job}.log")[0] for job in (1, 2)) == ["3", "4"]


@pytest.mark.parametrize("name", ["KILL", "TERM"])
def test_a_dispatcher_that_is_stopped_gives_its_devices_back(marked, run, cmd, tmp_path, name):
    env = {"CUDA_VISIBLE_DEVICES": "0", "SV_LOCK_DIR": str(tmp_path / "locks")}
    process = marked("--gpu", 1, "x.log", "bash", "-c", "echo up; sleep 60; sleep 60", **env)
    wait_until(lambda: (tmp_path / "x.log").exists() and "up" in output(tmp_path / "x.log"))
    process.send_signal(getattr(signal, f"SIG{name}"))
    run(cmd, "--gpu", "1", "y.log", "true", timeout=20, **env)


def test_a_device_stays_leased_while_the_job_lives_even_if_all_its_dispatcher_is_killed(marked, cmd, tmp_path):
    env = {"CUDA_VISIBLE_DEVICES": "0", "SV_LOCK_DIR": str(tmp_path / "locks")}
    process = marked("--gpu", 1, "x.log", "bash", "-c", "echo $$; sleep 60; sleep 60", **env)
    wait_until(lambda: (tmp_path / "x.log").exists() and output(tmp_path / "x.log"))
    for pid in marked.alive():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one may go when another is killed
            if b"cmd_local.sh" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=20)
    second = marked("--gpu", 1, "y.log", "true", **env)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(timeout=1.5)
    os.killpg(int(output(tmp_path / "x.log")[0]), signal.SIGKILL)
    assert second.wait(timeout=20) == 0


def test_a_dispatcher_that_waits_for_a_device_says_so_and_can_be_stopped(marked, tmp_path):
    env = {"CUDA_VISIBLE_DEVICES": "0", "SV_LOCK_DIR": str(tmp_path / "locks")}
    marked("--gpu", 1, "x.log", "bash", "-c", "sleep 60; sleep 60", **env)
    wait_until(lambda: (tmp_path / "x.log").exists())
    second = marked("--gpu", 1, "--max-jobs-run", 4, "JOB=3:9", "y.JOB.log", "true", **env)
    assert second.stderr.readline() == "cmd_local.sh: job 3 waits for 1 of the devices 0\n"
    second.terminate()
    assert second.communicate(timeout=20)[1] == "cmd_local.sh: stopped by SIGTERM\n"
    assert second.returncode == 143
    assert not list(tmp_path.glob("y.*"))


def test_too_few_devices_are_an_error_at_once(run, cmd, tmp_path):
    for devices in ("", "0", "0,0", "-1"):
        done = run(cmd, "--gpu", "2", "x.log", "true", code=1, CUDA_VISIBLE_DEVICES=devices, SV_LOCK_DIR=tmp_path / "l")
        assert "--gpu 2, but the devices here are: " in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_cuda_visible_devices_those_of_nvidia_smi_are_leased(run, cmd, tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 0\necho 1\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SV_LOCK_DIR": tmp_path / "locks"}
    unset = ["env", "-u", "CUDA_VISIBLE_DEVICES"]
    run(*unset, cmd, "--gpu", "2", "x.log", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES", **env)
    assert output(tmp_path / "x.log") == ["0,1"]


def test_without_gpu_the_devices_are_left_as_they_are(run, cmd, tmp_path):
    run(cmd, "x.log", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES", CUDA_VISIBLE_DEVICES="5,7")
    assert output(tmp_path / "x.log") == ["5,7"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["JOB=1:3", "log/x.JOB.log", "echo", "JOB", "a b", "", "it's one"],
        ["--mem", "4G", "JOB=1:3", "log/x.JOB.log", "bash", "-c", "exit JOB"],
        [
            "--max-jobs-run",
            "2",
            "JOB=1:2",
            "--gpu",
            "0",
            "log/JOB/x.log",
            "python3",
            "-c",
            "import sys; print(sys.argv)",
            "x y",
        ],
        ["log/x.log", "ls", "no such file"],
        ["X=3", "log/x.X.log", "printf", "<X> <%s>\\n", "--a=b"],
    ],
)
def test_run_pl_can_take_its_place(run, cmd, run_pl, tmp_path, arguments):
    results = []
    for dispatcher in (cmd, run_pl):
        folder = tmp_path / dispatcher.stem
        folder.mkdir()
        code = run(dispatcher, *arguments, cwd=folder, code=None).returncode
        logs = {str(log.relative_to(folder)): log.read_text().splitlines() for log in folder.rglob("*.log")}
        ends = {name: re.sub(" at .*", "", lines[-1]) for name, lines in logs.items()}
        results.append((code, ends, {name: output(folder / name) for name in logs}))
    assert results[0] == results[1]
    assert results[0][1]
