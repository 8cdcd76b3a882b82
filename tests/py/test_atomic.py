"""A file or folder is the old one or the new one, whatever happens in between."""

import os
import signal
import subprocess
import sys
import time

import pytest

from sv_py.io.atomic import replace_directory, replace_file


class Crash(Exception):
    pass


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("old", [{}, {"f": "old"}])
def test_an_exception_leaves_the_old_file_and_no_other(tmp_path, old):
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(Crash), replace_file(tmp_path / "f") as file:
        file.write("new")
        file.flush()
        raise Crash
    assert contents(tmp_path) == old


def test_the_new_file_appears_at_the_end_of_the_block_only(tmp_path):
    (tmp_path / "f").write_text("old")
    with replace_file(tmp_path / "f") as file:
        file.write("né\n")
        file.flush()
        assert (tmp_path / "f").read_text() == "old"
    assert (tmp_path / "f").read_bytes() == "né\n".encode()
    assert list(contents(tmp_path)) == ["f"]


def test_bytes_are_written_as_they_are(tmp_path):
    with replace_file(tmp_path / "f", "wb") as file:
        file.write(b"\r\n\0")
    assert (tmp_path / "f").read_bytes() == b"\r\n\0"


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replace_file(tmp_path / "none" / "f"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_kill_9_in_the_middle_leaves_the_old_file(tmp_path):
    (tmp_path / "f").write_text("old")
    program = (
        "import sys, time; from sv_py.io.atomic import replace_file\n"
        "with replace_file(sys.argv[1]) as f:\n"
        "    f.write('new' * 10000); f.flush(); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, tmp_path / "f"], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (tmp_path / "f").read_text() == "old"


def test_two_writers_do_not_disturb_each_other(tmp_path):
    program = (
        "import sys; from sv_py.io.atomic import replace_file\n"
        "for _ in range(100):\n"
        "    with replace_file(sys.argv[1]) as f: f.write(sys.argv[2] * 5000)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, tmp_path / "f", letter]) for letter in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if (tmp_path / "f").exists():
            seen.add((tmp_path / "f").read_text())
        time.sleep(0.001)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {"a" * 5000, "b" * 5000} and list(contents(tmp_path)) == ["f"]


def test_an_exception_leaves_the_old_folder_and_no_other(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_text("old")
    with pytest.raises(Crash), replace_directory(tmp_path / "d", overwrite=True) as new:
        (new / "x").write_text("new")
        raise Crash
    assert contents(tmp_path) == {"d/x": "old"}


def test_a_new_folder_appears_whole_with_its_parents(tmp_path):
    with replace_directory(tmp_path / "a" / "d") as new:
        (new / "x").write_text("new")
        assert not (tmp_path / "a" / "d").exists()
    assert contents(tmp_path) == {"a/d/x": "new"}


def test_an_existing_folder_is_replaced_only_where_that_is_asked_for(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_text("old")
    with pytest.raises(FileExistsError, match="exists already"), replace_directory(tmp_path / "d"):
        pass
    assert contents(tmp_path) == {"d/x": "old"}
    with replace_directory(tmp_path / "d", overwrite=True) as new:
        (new / "y").write_text("new")
    assert contents(tmp_path) == {"d/y": "new"}
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_a_write_that_the_disk_refuses_names_the_file_and_leaves_the_old_one(tmp_path, root, run):
    (tmp_path / "table").write_text("old\n")
    script = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from sv_py.cli import command; from sv_py.io.text import write_lines\n"
        "command(lambda: write_lines('table', ['x' * 100] * 100))"
    )
    done = run(sys.executable, "-c", script, code=1, PYTHONPATH=root)
    assert "table: File too large" in done.stderr and "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["table"] and (tmp_path / "table").read_text() == "old\n"
