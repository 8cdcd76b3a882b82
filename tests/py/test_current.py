"""What was made already is known by the contents of its inputs."""

import os

from sv_py.io.current import Done, file_states


def test_work_is_done_after_end_and_no_more_after_begin(tmp_path):
    done = Done(tmp_path / "x.done", ["options"], [])
    assert not done
    done.begin()
    assert not done
    done.end()
    assert done and Done(tmp_path / "x.done", ["options"], [])
    done.begin()
    assert not done


def test_changed_contents_options_or_order_make_it_undone_and_a_new_date_does_not(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("b")
    Done(tmp_path / "x.done", ["options", one, two], []).end()
    one.touch()
    assert Done(tmp_path / "x.done", ["options", one, two], [])
    assert not Done(tmp_path / "x.done", ["option", one, two], [])
    assert not Done(tmp_path / "x.done", ["options", two, one], [])
    one.write_text("A")
    assert not Done(tmp_path / "x.done", ["options", one, two], [])


def test_where_one_input_ends_and_the_next_begins_counts(tmp_path):
    Done(tmp_path / "x.done", ["ab", "c"], []).end()
    assert not Done(tmp_path / "x.done", ["a", "bc"], [])


def test_a_missing_input_is_an_input_that_may_appear(tmp_path):
    Done(tmp_path / "x.done", [tmp_path / "segments"], []).end()
    assert Done(tmp_path / "x.done", [tmp_path / "segments"], [])
    (tmp_path / "segments").write_text("a r 0 1\n")
    assert not Done(tmp_path / "x.done", [tmp_path / "segments"], [])


def test_an_empty_done_file_of_a_full_disk_is_not_done(tmp_path):
    (tmp_path / "x.done").write_bytes(b"")
    assert not Done(tmp_path / "x.done", ["a"], [])


def test_an_output_that_is_gone_is_not_done(tmp_path):
    (tmp_path / "x.ark").write_text("")
    done = Done(tmp_path / "x.done", ["a"], [tmp_path / "x.ark"])
    done.end()
    assert done
    (tmp_path / "x.ark").unlink()
    assert not done


def test_a_file_that_was_replaced_has_another_state(tmp_path):
    wav = tmp_path / "a.wav"
    wav.write_text("one")
    before = file_states([str(wav), "sox x.sph |"])
    os.utime(wav, ns=(0, 0))
    assert before != file_states([str(wav), "sox x.sph |"]) and before.count("\n") == 1
