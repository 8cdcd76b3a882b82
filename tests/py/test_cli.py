"""How commands end: one line for what the user did wrong, and the right exit status."""

import subprocess
import sys

import pytest

from sv_py.cli import InputError, first_few, near_miss, share_of_job
from sv_py.registry import Table


def end_of(body, *arguments, **options):
    """The finished process of a command whose main() is ``body``."""
    program = "from sv_py.cli import *\ndef main():\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    return subprocess.run(
        [sys.executable, "-c", program + "command(main)", *arguments],
        capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


PARSE = "p = Parser(prog='x'); p.add_argument('--min-frames', type=int); p.add_argument('dir'); print(p.parse_args())"


@pytest.mark.parametrize(
    ("body", "code", "expected"),
    [
        ("raise InputError('wrong', 'data/utt2spk', 3)", 1, "error: data/utt2spk:3: wrong\n"),
        ("raise InputError('wrong', 'data/utt2spk')", 1, "error: data/utt2spk: wrong\n"),
        ("raise InputError('wrong')", 1, "error: wrong\n"),
        ("open('/no/such/file')", 1, "error: /no/such/file: No such file or directory\n"),
        ("raise OSError(28, 'No space left on device')", 1, "error: No space left on device\n"),
        ("raise KeyboardInterrupt", 130, ""),
        ("return 3", 3, ""),
        ("return None", 0, ""),
    ],
)
def test_a_command_ends_with_one_line_and_its_status(body, code, expected):
    done = end_of(body)
    assert done.returncode == code
    assert done.stderr.endswith(expected) and done.stderr.count("\n") == expected.count("\n")


def test_a_bug_shows_its_traceback():
    done = end_of("raise ZeroDivisionError")
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_after_a_bug_nothing_of_torch_is_waited_for():
    late = "import atexit, sys, types; sys.modules['torch'] = types; atexit.register(print, 'late')"
    done = end_of(f"{late}; raise ZeroDivisionError")
    assert (done.returncode, done.stdout) == (1, "") and "ZeroDivisionError" in done.stderr


def test_what_was_printed_before_the_end_is_not_lost():
    assert end_of("import sys, types; sys.modules['torch'] = types; print('x' * 100000)").stdout == "x" * 100000 + "\n"


def test_a_reader_that_stops_early_ends_a_command_quietly():
    program = "from sv_py.cli import command\ncommand(lambda: [print('x' * 1000) for _ in range(10000)] and None)"
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | head -n 1', sys.executable, program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "x" * 1000 + "\n" and done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--min-frame", "3", "d"], "(did you mean '--min-frames'?)"),
        (["--min-frame=3", "d"], "(did you mean '--min-frames'?)"),
        (["--min", "3", "d"], "unrecognized arguments: --min"),
        (["--min-frames", "x", "d"], "invalid int value: 'x'"),
        (["--min-frames"], "expected one argument"),
        ([], "the following arguments are required: dir"),
    ],
)
def test_wrong_options_are_named_with_their_near_miss(arguments, expected):
    done = end_of(PARSE, *arguments)
    assert done.returncode == 2 and expected in done.stderr and "usage:" in done.stderr and done.stdout == ""


def test_light_commands_import_neither_torch_nor_lhotse():
    program = "import sys\n"
    for name in ("config", "select_utts", "hold_out", "speaker_means", "compute_vad", "compute_fbank"):
        check = f"import sv_py.{name}; assert not {{'torch', 'lhotse', 'scipy'}} & set(sys.modules), sys.modules\n"
        program += check
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_long_lists_are_cut_and_counted():
    assert first_few(["a"]) == "a" and first_few("abc") == "a, b, c" and first_few("abcde") == "a, b, c and 2 more"


def test_near_miss_is_empty_for_what_is_like_nothing():
    assert near_miss("xyzzy", ["seed", "model"]) == "" and near_miss("sed", ["seed"]) == " (did you mean 'seed'?)"


def test_a_table_names_the_near_miss_and_imports_only_what_it_builds():
    table = Table("thing", {"path": (str, "pathlib:PurePosixPath"), "broken": (int, "no_such_module:X")})
    assert table.arguments("path") is str and str(table.build("path", "a/b")) == "a/b"
    with pytest.raises(InputError, match=r"here: unknown thing 'pat' \(did you mean 'path'\?\); known: path, broken"):
        table.arguments("pat", "here: ")


@pytest.mark.parametrize("total", [1, 7, 100])
@pytest.mark.parametrize("jobs", [1, 3, 7])
def test_jobs_share_all_items_evenly_and_in_order(total, jobs):
    shares = [share_of_job(f"{job}/{jobs}", total) for job in range(1, jobs + 1)]
    assert [item for share in shares for item in share] == list(range(total))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("job", ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b"])
def test_what_is_no_job_is_an_error(job):
    with pytest.raises(InputError, match="a job is N/J with 1 <= N <= J"):
        share_of_job(job, 5)
