"""The data-dir scripts as users call them: exit status, streams, and what they leave behind."""

import re
import subprocess
from pathlib import Path

import pytest

SCRIPTS = [
    "validate_data_dir.sh",
    "fix_data_dir.sh",
    "copy_data_dir.sh",
    "combine_data.sh",
    "subset_data_dir.sh",
    "split_data.sh",
    "filter_scp.sh",
    "utt2spk_to_spk2utt.sh",
    "spk2utt_to_utt2spk.sh",
]


@pytest.fixture
def data(tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    utts = ["ann-1", "ann-2", "bob-1", "bob-2"]
    (folder / "wav.scp").write_text("".join(f"{u} {tmp_path}/a.wav\n" for u in utts))
    (folder / "utt2spk").write_text("".join(f"{u} {u[:3]}\n" for u in utts))
    (folder / "spk2utt").write_text("ann ann-1 ann-2\nbob bob-1 bob-2\n")
    return folder


def listing(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_the_script_and_exits_0(script, run, root):
    done = run(root / "utils" / script, "--help")
    assert done.stdout.startswith(f"usage: utils/{script}")
    assert not done.stderr


def test_a_valid_data_dir_is_said_to_be_so(run, root, data):
    done = run(root / "utils/validate_data_dir.sh", "data", "--no-feats")
    assert done.stdout == "data: valid; 4 utterances of 2 speakers\n"
    assert not done.stderr


def test_three_columns_in_utt2spk_exit_1_with_file_and_line(run, root, data):
    (data / "utt2spk").write_text("ann-1 ann\nann-2 ann x\nbob-1 bob\nbob-2 bob\n")
    done = run(root / "utils/validate_data_dir.sh", "data", code=1)
    assert "data/utt2spk:2: 3 columns instead of 2\n" in done.stderr
    assert not done.stdout


def test_a_command_in_wav_scp_is_refused_and_never_run(run, root, data, tmp_path):
    (data / "wav.scp").write_text(
        (data / "wav.scp").read_text().replace(f"ann-1 {tmp_path}/a.wav", "ann-1 touch ran |")
    )
    assert "data/wav.scp:1: a command" in run(root / "utils/validate_data_dir.sh", "data", code=1).stderr
    run(root / "utils/validate_data_dir.sh", "--allow-pipes", "data")
    run(root / "utils/split_data.sh", "data", "2")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["validate_data_dir.sh", "dta"],
        ["fix_data_dir.sh", "dta"],
        ["copy_data_dir.sh", "dta", "new/copy"],
        ["combine_data.sh", "new/both", "data", "dta"],
        ["subset_data_dir.sh", "--per-spk", "dta", "1", "new/part"],
        ["split_data.sh", "dta", "2"],
    ],
    ids=lambda command: command[0],
)
def test_a_typo_in_the_source_leaves_nothing_behind(command, run, root, data, tmp_path):
    before = listing(tmp_path)
    done = run(root / "utils" / command[0], *command[1:], code=1)
    assert "dta: no such directory (did you mean 'data'?)" in done.stderr
    assert listing(tmp_path) == before


def test_copy_takes_a_suffix_that_begins_with_a_dash_as_kaldi_does(run, root, data):
    run(root / "utils/copy_data_dir.sh", "--utt-suffix", "-noise", "data", "noisy")
    run(root / "utils/combine_data.sh", "both", "data", "noisy")
    assert run(root / "utils/validate_data_dir.sh", "both").stdout == "both: valid; 8 utterances of 2 speakers\n"


def test_an_unknown_option_names_its_near_miss(run, root, data, tmp_path):
    done = run(root / "utils/subset_data_dir.sh", "--per-spkr", "data", "1", "part", code=2)
    assert "did you mean '--per-spk'?" in done.stderr
    assert not (tmp_path / "part").exists()


def test_filter_scp_reads_a_pipe_and_keeps_order_and_repetitions(root, tmp_path):
    (tmp_path / "ids").write_text("bob anything\nann\n")
    lines = "eve 1\nbob  2\nann 3\nbob 4\n"

    def filtered(*options: str, stdin: str = lines) -> str:
        command = [root / "utils/filter_scp.sh", *options, tmp_path / "ids"]
        return subprocess.run(command, input=stdin, text=True, capture_output=True, check=True).stdout

    assert filtered() == "bob  2\nann 3\nbob 4\n"
    assert filtered("--exclude") == "eve 1\n"
    assert filtered("-f", "2", stdin="x ann\ny eve\n") == "x ann\n"
    assert filtered(stdin="") == ""


def test_filter_scp_writes_its_third_argument_whole_or_not_at_all(run, root, tmp_path):
    (tmp_path / "ids").write_text("ann\n")
    (tmp_path / "in").write_text("ann x\nbob\n")
    done = run(root / "utils/filter_scp.sh", "-f", "2", "ids", "in", "out", code=1)
    assert "in:2: has no column 2: 'bob'" in done.stderr
    assert not (tmp_path / "out").exists()
    run(root / "utils/filter_scp.sh", "ids", "in", "out")
    assert (tmp_path / "out").read_text() == "ann x\n"


def test_utt2spk_to_spk2utt_and_back_through_pipes(root, data):
    script = 'sort -r data/utt2spk | "$0/utt2spk_to_spk2utt.sh" | tee spk2utt | "$0/spk2utt_to_utt2spk.sh"'
    done = subprocess.run(
        ["bash", "-c", script, root / "utils"], cwd=data.parent, text=True, capture_output=True, check=True
    )
    assert done.stdout == (data / "utt2spk").read_text()
    assert (data.parent / "spk2utt").read_bytes() == (data / "spk2utt").read_bytes()


@pytest.mark.parametrize(
    ("script", "text", "complaint"),
    [
        ("utt2spk_to_spk2utt.sh", "a b c\n", "bad:1: 3 columns instead of 2"),
        ("utt2spk_to_spk2utt.sh", "a b\na c\n", "bad:2: 'a' a second time, with another value: 'c'"),
        ("spk2utt_to_utt2spk.sh", "a a-1 a-2\nb a-2\n", "bad:2: 'a-2' of 'b' was listed before, for 'a'"),
        ("spk2utt_to_utt2spk.sh", "a\n", "bad:1: expected 'id value'"),
        ("spk2utt_to_utt2spk.sh", "", "bad: is empty"),
    ],
)
def test_the_converters_refuse_what_is_not_one_to_one(script, text, complaint, run, root, tmp_path):
    (tmp_path / "bad").write_text(text)
    done = run(root / "utils" / script, "bad", code=1)
    assert complaint in done.stderr
    assert not done.stdout


def test_the_examples_of_the_documentation_run(run, root, tmp_path):
    examples = re.search(r"```bash\n(.*?)```", (root / "docs/data_dir.md").read_text(), re.DOTALL)[1]
    done = run("bash", "-euo", "pipefail", "-c", examples, cwd=root, TMPDIR=tmp_path)
    assert done.stdout.splitlines()[-4:] == [f"{spk}-3 /corpus/{spk}/3.wav" for spk in ("ann", "bob", "cy", "dan")]
