"""utils/stage.sh: stamps, what is skipped, what stops, locks."""

import os
import signal
import subprocess
import time

import pytest

SCRIPT = """
set -euo pipefail
stage=$1 stop_stage=$2
. "$ROOT/utils/stage.sh"
lock_dir exp
run_stage 1 first exp a.txt -- bash -c 'echo first >> ran; cp a.txt b.txt'
run_stage 2 second exp b.txt -- bash -c 'echo second >> ran'
run_stage 3 always exp -- bash -c 'echo always >> ran'
report_times times
"""


@pytest.fixture
def recipe(tmp_path, root, run):
    """Two stages of which one needs the other, and one without inputs; call it with --stage and --stop-stage."""
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "run.sh").write_text(SCRIPT)

    def call(stage="", stop_stage="9", code=0):
        (tmp_path / "ran").unlink(missing_ok=True)
        done = run("bash", "run.sh", stage, stop_stage, code=code, ROOT=root)
        ran = (tmp_path / "ran").read_text().split() if (tmp_path / "ran").exists() else []
        return ran, done

    return call


def test_all_stages_run_once_and_are_skipped_afterwards(recipe):
    assert recipe()[0] == ["first", "second", "always"]
    ran, done = recipe()
    assert ran == ["always"]
    assert "done before" in done.stdout


def test_stage_and_stop_stage_choose_a_range_and_run_it_again(recipe):
    recipe()
    assert recipe("2", "2")[0] == ["second"]
    assert recipe("1")[0] == ["first", "second", "always"]
    assert recipe("", "1")[0] == []


def test_a_changed_input_stops_the_run_and_is_named(recipe, tmp_path):
    recipe()
    (tmp_path / "a.txt").write_text("changed\n")
    ran, done = recipe(code=1)
    assert ran == []
    assert "a.txt" in done.stderr and "--stage 1" in done.stderr
    assert "b.txt" not in done.stderr


def test_after_redoing_an_early_stage_a_later_one_is_stale(recipe, tmp_path):
    recipe()
    (tmp_path / "a.txt").write_text("changed\n")
    recipe("1", "1")
    _, done = recipe(code=1)
    assert "stage 2 (second)" in done.stderr and "b.txt" in done.stderr


def test_a_stamp_is_what_sha256sum_checks(recipe, tmp_path, run):
    recipe()
    run("sha256sum", "-c", "exp/.done/first")
    (tmp_path / "a.txt").write_text("changed\n")
    assert "a.txt: FAILED" in run("sha256sum", "-c", "exp/.done/first", code=1).stdout


def test_a_stage_whose_inputs_are_missing_says_so(recipe, tmp_path):
    (tmp_path / "a.txt").unlink()
    _, done = recipe(code=1)
    assert "a.txt" in done.stderr and "earlier stage" in done.stderr


def test_a_failed_stage_leaves_no_stamp_and_runs_again(recipe, tmp_path):
    (tmp_path / "run.sh").write_text(SCRIPT.replace("echo second >> ran", "echo second >> ran; exit 3"))
    ran, done = recipe(code=3)
    assert ran == ["first", "second"]
    assert "stopped in stage 2 (second)" in done.stderr
    (tmp_path / "run.sh").write_text(SCRIPT)
    assert recipe()[0] == ["second", "always"]


def test_an_explicit_rerun_that_fails_takes_the_old_stamp_away(recipe, tmp_path):
    recipe()
    (tmp_path / "run.sh").write_text(SCRIPT.replace("echo second >> ran", "exit 1"))
    recipe("2", code=1)
    assert not (tmp_path / "exp/.done/second").exists()


def test_two_runs_in_one_experiment_are_kept_apart(recipe, tmp_path):
    (tmp_path / "exp/.lock").mkdir(parents=True)
    (tmp_path / "exp/.lock/owner").write_text(f"{os.uname().nodename} {os.getpid()}\n")
    _, done = recipe(code=1)
    assert "in use" in done.stderr and str(os.getpid()) in done.stderr
    assert (tmp_path / "exp/.lock").exists()


def test_a_lock_of_another_host_is_respected(recipe, tmp_path):
    (tmp_path / "exp/.lock").mkdir(parents=True)
    (tmp_path / "exp/.lock/owner").write_text("another-host 1\n")
    assert "another-host" in recipe(code=1)[1].stderr


def test_the_lock_of_a_run_that_was_killed_is_taken_over_and_given_back(recipe, tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / "exp/.lock").mkdir(parents=True)
    (tmp_path / "exp/.lock/owner").write_text(f"{os.uname().nodename} {ended.pid}\n")
    assert recipe()[0] == ["first", "second", "always"]
    assert not (tmp_path / "exp/.lock").exists()


def test_a_run_leaves_a_lock_that_has_become_another_runs(tmp_path, root, run):
    script = (
        '. "$ROOT/utils/stage.sh"; lock_dir exp; rm -r exp/.lock; mkdir exp/.lock; echo "other 1" > exp/.lock/owner'
    )
    run("bash", "-c", script, ROOT=root)
    assert (tmp_path / "exp/.lock/owner").read_text() == "other 1\n"


def test_a_run_waits_for_a_folder_that_another_one_leaves_soon(tmp_path, root, run):
    script = (
        '. "$ROOT/utils/stage.sh"; lock_dir data wait; echo locked; sleep "$1"; unlock_dir data; test ! -e data/.lock'
    )
    environment = {**os.environ, "ROOT": str(root)}
    command = ["bash", "-c", script, "x", "2"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "locked\n"
        done = run("bash", "-c", script, "x", "0", ROOT=root)
        assert first.wait() == 0
    assert f"waiting for process {first.pid}" in done.stderr
    assert done.stdout == "locked\n"


POLITE = 'trap "echo where it is > exp/unfinished; exit 0" USR1; touch up; while :; do sleep 0.1; done'


@pytest.fixture
def asked(recipe, tmp_path, root):
    """Runs the stages with ``second`` as the second one's bash code; sends SIGUSR1 when that is up."""

    def call(second: str, ran: list[str]) -> tuple[int, str]:
        (tmp_path / "second.sh").write_text(second)
        (tmp_path / "run.sh").write_text(SCRIPT.replace("-c 'echo second >> ran'", "second.sh"))
        command, environment = ["bash", "run.sh", "", "9"], {**os.environ, "ROOT": str(root)}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 20
            while not (tmp_path / "up").exists():
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGUSR1)
            told = process.communicate(timeout=20)[1]
        assert (tmp_path / "ran").read_text().split() == ran
        return process.returncode, told

    return call


def test_a_stage_that_stops_politely_has_no_stamp_and_the_run_ends_well(asked, recipe, tmp_path):
    code, told = asked(POLITE, ["first"])
    assert code == 0 and "stage 2 (second) is unfinished: where it is; run it again to go on" in told
    assert not (tmp_path / "exp/.done/second").exists() and not (tmp_path / "exp/.lock").exists()
    (tmp_path / "run.sh").write_text(SCRIPT)
    assert recipe()[0] == ["second", "always"]
    assert (tmp_path / "exp/.done/second").exists() and not (tmp_path / "exp/unfinished").exists()


def test_a_stage_that_ends_all_the_same_is_done_and_no_other_begins(asked, recipe, tmp_path):
    code, told = asked("trap : USR1; touch up; sleep 1; sleep 1; echo second >> ran", ["first", "second"])
    assert code == 0 and "stopped by SIGUSR1 before stage 3 (always); run it again to go on" in told
    assert (tmp_path / "exp/.done/second").exists()


def test_a_stage_that_does_not_know_the_signal_fails_after_all_of_it_has_ended(asked, tmp_path):
    deaf = "(trap '' USR1; exec sleep 2; ) & touch up; sleep 30"
    code, told = asked(deaf, ["first"])
    assert code == 128 + signal.SIGUSR1 and "stopped in stage 2 (second); run it again to go on" in told
    assert not (tmp_path / "exp/.done/second").exists() and not (tmp_path / "exp/.lock").exists()


def test_what_was_left_unfinished_once_stops_no_other_stage(recipe, tmp_path):
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp/unfinished").write_text("long ago\n")
    assert recipe()[0] == ["first", "second", "always"]
