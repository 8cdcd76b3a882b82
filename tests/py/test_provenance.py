"""The record of a launch."""

import hashlib
import json
import os
import sys

from sv_py.provenance import record


def test_a_record_names_command_code_machine_job_and_inputs(tmp_path, monkeypatch, root):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    text = tmp_path / "config.yaml"
    text.write_text("seed: 0\n")
    found = record(["./run.sh", "--set", "a=b c"], [text])
    assert found["argv"] == ["./run.sh", "--set", "a=b c"]
    assert found["host"] == os.uname().nodename and found["directory"] == os.getcwd()
    assert found["job"]["SLURM_JOB_ID"] == "17"
    assert found["inputs"] == {str(text): hashlib.sha256(b"seed: 0\n").hexdigest()}
    assert found["versions"]["numpy"] and found["versions"]["python"] == sys.version.split()[0]


def test_a_tree_without_git_has_a_record_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert record(["x"], [])["git"] == {"revision": None, "status": None, "diff": ""}


def test_the_command_writes_one_file_per_launch(tmp_path, root, run):
    for _ in range(2):
        run(sys.executable, "-m", "sv_py.provenance", "--out-dir", "launches", "--step", "train", "--", "a", "--b",
            PYTHONPATH=root)  # fmt: skip
    files = sorted((tmp_path / "launches").iterdir())
    assert len(files) == 2 and all(file.name.endswith("_train.json") for file in files)
    assert json.loads(files[0].read_text())["argv"] == ["a", "--b"]
