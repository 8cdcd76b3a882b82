"""The utterance table: memory-mapped columns that are strict, always of the present tables, and safe to share."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
from loader_data import LENGTHS, make_features

from sv_py.cli import InputError
from sv_py.data import table as table_module
from sv_py.data.table import open_table
from sv_py.io.text import read_table, write_table


@pytest.fixture
def data(tmp_path):
    return make_features(tmp_path / "data")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def columns(data):
    return sorted(path.name for path in (data / ".table").iterdir())


def test_a_row_says_what_the_text_tables_say(data):
    table = open_table(data, "feats")
    assert len(table) == len(LENGTHS) == 12
    assert [utt.decode() for utt in table.utts] == list(LENGTHS)
    assert [table.speaker_of(row) for row in range(12)] == [utt.split("-")[0] for utt in LENGTHS]
    assert table.speakers.tolist() == [b"ann", b"bob", b"cy"]
    assert table.length.tolist() == list(LENGTHS.values())
    assert [table.scp(row) for row in range(12)] == list(read_table(data / "feats.scp").values())
    assert table.scp(5) == "{}:{}".format(*table.place(5))
    assert len(table.shards) == 3 and table.shard.tolist() == sorted([0, 1, 2] * 4)


def test_utterances_are_found_by_their_ids(data):
    table = open_table(data, "feats")
    assert [table.find(utt) for utt in LENGTHS] == list(range(12))
    assert table.find("ann") is None and table.find("zz") is None and table.find("") is None
    assert table.row("bob-2") == 6
    with pytest.raises(InputError, match="data: no utterance 'dan-1'"):
        table.row("dan-1")


def test_speakers_are_sorted_whatever_the_order_of_their_utterances(data):
    write_table(data / "utt2spk", {utt: f"s{9 - i}" for i, utt in enumerate(LENGTHS)} | {"cy-3": "s4"})
    table = open_table(data, "feats")
    assert table.speakers.tolist() == sorted(table.speakers.tolist())
    assert [table.speaker_of(row) for row in range(12)] == list(read_table(data / "utt2spk").values())


@pytest.mark.parametrize("lines", [1, 2, 5, 12, 100])
def test_the_blocks_of_reading_change_nothing(data, monkeypatch, lines):
    expected = open_table(data, "feats")
    scp = data / "feats.scp"  # with entries that are not asked for, before, between and behind
    extra = ["aaa x.ark:1", "ann-00 x.ark:2", "bob-11 x.ark:3", "bob-12 x.ark:4", "zz x.ark:5"]
    scp.write_text("".join(f"{line}\n" for line in sorted([*scp.read_text().splitlines(), *extra])))
    monkeypatch.setattr(table_module, "_LINES", lines)
    table = open_table(data, "feats")
    assert table.path != expected.path and table.shards == expected.shards
    for name in table_module._COLUMNS:
        assert np.array_equal(getattr(table, name), getattr(expected, name)), name


def test_columns_are_mapped_and_travel_to_other_processes_by_name(data):
    table = open_table(data, "feats")
    assert all(isinstance(getattr(table, name).base, np.memmap) for name in table_module._COLUMNS)
    assert len(pickle.dumps(table)) < 1000
    assert np.array_equal(pickle.loads(pickle.dumps(table)).offset, table.offset)


def test_nothing_is_made_again_while_the_text_tables_are_the_same(data):
    first = open_table(data, "feats")
    made = (first.path / "utts.npy").stat().st_mtime_ns
    (data / "utt2spk").write_bytes((data / "utt2spk").read_bytes())  # another time, the same content
    again = open_table(data, "feats")
    assert again.path == first.path and (again.path / "utts.npy").stat().st_mtime_ns == made
    assert columns(data) == [first.path.name, "feats.stamp"]


@pytest.mark.parametrize("name", ["utt2spk", "feats.scp", "utt2num_frames"])
def test_a_change_of_a_text_table_is_noticed_and_old_columns_go(data, name):
    before = open_table(data, "feats")
    old, new = {"utt2spk": ("cy-3 cy", "cy-3 cz"), "feats.scp": ("feats.2.ark", "feats.9.ark")}.get(
        name, ("cy-3 97", "cy-3 98")
    )
    edit(data / name, old, new)
    after = open_table(data, "feats")
    found = {"utt2spk": after.speaker_of(11), "feats.scp": after.shards[2][-11:], "utt2num_frames": after.length[11]}
    assert found[name] == {"utt2spk": "cz", "feats.scp": "feats.9.ark", "utt2num_frames": 98}[name]
    assert columns(data) == [after.path.name, "feats.stamp"]
    assert before.length[11] == 97 and before.speaker_of(11) == "cy"  # open tables live on


def test_deleted_columns_are_made_again(data):
    table = open_table(data, "feats")
    subprocess.run(["rm", "-r", str(table.path)], check=True)
    assert open_table(data, "feats").length.tolist() == list(LENGTHS.values())


def _open(data):
    return open_table(data, "feats").length.sum()


def test_many_processes_may_make_it_at_once(data):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        for zeros in ("", "0", "00"):
            edit(data / "utt2num_frames", "cy-3 ", f"cy-3 {zeros}")
            sums = pool.map(_open, [data] * 8, chunksize=1)
            assert sums == [sum(LENGTHS.values())] * 8
            assert len(columns(data)) == 2


def test_a_process_that_dies_while_making_it_leaves_nothing_that_is_taken_for_it(data):
    code = f"""
import os, signal
import numpy as np
save = np.save
def dying(path, array):
    save(path, array)
    os.kill(os.getpid(), signal.SIGKILL)
np.save = dying
from sv_py.data.table import open_table
open_table({str(data)!r}, "feats")
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert len(columns(data)) == 1 and columns(data)[0].endswith(".tmp")
    assert open_table(data, "feats").length.tolist() == list(LENGTHS.values())


def test_a_data_dir_that_must_not_be_written_to_is_read_all_the_same(data, run, root):
    code = f"from sv_py.data.table import open_table; print(open_table({str(data)!r}, 'feats').length.sum())"
    as_root = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []  # whom no mode bits stop
    data.chmod(0o555)
    try:
        done = run(*as_root, sys.executable, "-c", code, PYTHONPATH=root)
        command = [sys.executable, "-m", "sv_py.make_table", "--source", "feats", data]
        assert "data/.table: cannot be written" in run(*as_root, *command, PYTHONPATH=root, code=1).stderr
    finally:
        data.chmod(0o755)
    assert int(done.stdout) == sum(LENGTHS.values()) and not (data / ".table").exists()


def test_where_no_disk_has_room_the_error_is_one_line_and_nothing_is_left(data, run, root):
    names = [f"utterance-{i:05d}" for i in range(2000)]
    for name, value in (("utt2spk", "ann"), ("feats.scp", "x.ark:5"), ("utt2num_frames", 7)):
        write_table(data / name, dict.fromkeys(names, value))
    code = f"""
import resource, signal
from sv_py.cli import command
from sv_py.data.table import open_table
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
command(lambda: print(len(open_table({str(data)!r}, "feats"))))
"""
    done = run(sys.executable, "-c", code, PYTHONPATH=root, code=1)
    assert done.stderr.count("\n") == 1 and "/feats-" in done.stderr and "No space left" in done.stderr
    assert columns(data) == []


def test_a_change_that_keeps_size_and_time_is_noticed(data):
    table, path = open_table(data, "feats"), data / "utt2num_frames"
    before = path.stat()
    with path.open("r+") as file:  # in place
        file.write(path.read_text().replace("20", "21", 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert table.length[0] == 20 and open_table(data, "feats").length[0] == 21


def test_a_change_within_one_tick_of_a_coarse_clock_is_noticed(data):
    first = open_table(data, "feats")
    shutil.copytree(first.path, data / "kept")
    edit(data / "utt2num_frames", "20", "21")
    second = open_table(data, "feats")
    (data / "kept").rename(first.path)  # as if the stamp had been written between two changes in the same tick
    stamp = data / ".table/feats.stamp"
    stamp.write_text(stamp.read_text().replace(second.path.name, first.path.name))
    assert open_table(data, "feats").length[0] == 21


@pytest.mark.parametrize("damage", [lambda file: os.truncate(file, 140), os.unlink])
def test_damaged_columns_are_made_anew(data, damage):
    damage(open_table(data, "feats").path / "length.npy")
    assert open_table(data, "feats").length.tolist() == list(LENGTHS.values())


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("utt2spk", "ann-1 ann", "ann-1", r"utt2spk:2: expected 'id value', got 'ann-1'"),
        ("utt2spk", "ann-1 ann", "ann-1 ann bob", r"utt2spk:2: 3 columns instead of 2"),
        ("utt2spk", "ann-1 ann", "bob-9 ann", r"utt2spk:3: 'ann-2' after 'bob-9': not sorted"),
        ("utt2spk", "ann-1 ann\n", "ann-1 ann\nann-1 ann\n", r"utt2spk:3: 'ann-1' a second time"),
        ("utt2spk", "ann-1 ann\n", "ann-1 ann\r\n", r"utt2spk:2: carriage return"),
        ("utt2spk", "ann-1 ann\n", "ann-1 ann\n\n", r"utt2spk:3: blank line"),
        ("feats.scp", "bob-0 ", "bob-00 ", r"feats.scp: lacks bob-0$"),
        ("utt2num_frames", "cy-3 97\n", "", r"utt2num_frames: lacks cy-3$"),
        ("utt2num_frames", "cy-3 97", "cy-3 0", r"utt2num_frames: 'cy-3' has length '0', not a positive"),
        ("utt2num_frames", "cy-3 97", "cy-3 9.7", r"utt2num_frames: 'cy-3' has length '9.7', not a positive"),
        ("utt2num_frames", "cy-3 97", "cy-3 -97", r"utt2num_frames: 'cy-3' has length '-97', not a positive"),
        ("utt2num_frames", "cy-3 97", f"cy-3 {9**30}", r"utt2num_frames: 'cy-3' has length '42391158275216203514"),
        ("feats.scp", ".ark:", f".ark:{9**30}", r"feats.scp: 'ann-0' lies at byte 42391158275216203514"),
        ("feats.scp", "cy-3 ", "cy-3 cat x.ark | ", r"cy-3: pipes are not run"),
    ],
)
def test_a_wrong_table_is_named_with_its_utterance_and_nothing_is_made(data, name, old, new, message):
    edit(data / name, old, new)
    if "cat" in new:
        edit(data / name, (data / name).read_text().splitlines()[-1], "cy-3 cat x.ark |")
    with pytest.raises(InputError, match=message):
        open_table(data, "feats")
    assert not list(data.glob(".table/*"))


@pytest.mark.parametrize("name", ["utt2spk", "feats.scp", "utt2num_frames"])
def test_missing_and_empty_files_are_named(data, name):
    (data / name).write_text("")
    with pytest.raises(InputError, match=f"{name}: is empty"):
        open_table(data, "feats")
    (data / name).unlink()
    with pytest.raises(InputError, match=f"{name}: no such file"):
        open_table(data, "feats")


def test_bytes_that_are_no_text_are_named_with_their_line(data):
    path = data / "utt2spk"
    path.write_bytes(path.read_bytes().replace(b"bob-0 bob", b"bob-0 b\xffb"))
    with pytest.raises(InputError, match=r"utt2spk:5: not UTF-8"):
        open_table(data, "feats")


def test_the_command_makes_the_table_and_prints_its_size(data, run, root):
    done = run(sys.executable, "-m", "sv_py.make_table", "--source", "feats", data, PYTHONPATH=root)
    assert done.stdout == f"12 3 3 {sum(LENGTHS.values())}\n"
    assert len(columns(data)) == 2
    edit(data / "utt2num_frames", "cy-3 97", "cy-3 0")
    done = run(sys.executable, "-m", "sv_py.make_table", "--source", "feats", data, code=1, PYTHONPATH=root)
    assert "'cy-3' has length '0'" in done.stderr and "Traceback" not in done.stderr
