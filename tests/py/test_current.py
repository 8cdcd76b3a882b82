"""What was made already is known by the contents of its inputs."""

from sv_py.io.current import Done


def test_work_is_done_after_end_and_no_more_after_begin(tmp_path):
    done = Done(tmp_path / "x.done", ["options"])
    assert not done
    done.begin()
    assert not done
    done.end()
    assert done and Done(tmp_path / "x.done", ["options"])
    done.begin()
    assert not done


def test_changed_contents_options_or_order_make_it_undone_and_a_new_date_does_not(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("b")
    Done(tmp_path / "x.done", ["options", one, two]).end()
    one.touch()
    assert Done(tmp_path / "x.done", ["options", one, two])
    assert not Done(tmp_path / "x.done", ["option", one, two])
    assert not Done(tmp_path / "x.done", ["options", two, one])
    one.write_text("A")
    assert not Done(tmp_path / "x.done", ["options", one, two])


def test_where_one_input_ends_and_the_next_begins_counts(tmp_path):
    Done(tmp_path / "x.done", ["ab", "c"]).end()
    assert not Done(tmp_path / "x.done", ["a", "bc"])


def test_a_missing_input_is_an_input_that_may_appear(tmp_path):
    Done(tmp_path / "x.done", [tmp_path / "segments"]).end()
    assert Done(tmp_path / "x.done", [tmp_path / "segments"])
    (tmp_path / "segments").write_text("a r 0 1\n")
    assert not Done(tmp_path / "x.done", [tmp_path / "segments"])


def test_an_empty_done_file_of_a_full_disk_is_not_done(tmp_path):
    (tmp_path / "x.done").write_bytes(b"")
    assert not Done(tmp_path / "x.done", ["a"])
