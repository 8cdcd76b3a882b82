"""local/prepare_mini.sh: the mini corpus as files."""

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import soundfile as sf

from sv_py.io.text import read_table

TINY = (
    "--num-train-speakers", 2, "--num-test-speakers", 4, "--num-sessions", 2, "--num-utts", 1,
)  # fmt: skip


def checksums(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def tiny(root, tmp_path_factory):
    """A data root with a tiny mini corpus, made by one process."""
    data = tmp_path_factory.mktemp("data")
    subprocess.run([str(a) for a in (root / "local/prepare_mini.sh", *TINY, "--nj", 1, data)], check=True)
    return data


def test_both_sets_are_valid_data_dirs_with_genders_and_trials_of_known_utterances(root, run, tiny):
    for name, speakers in (("mini_train", 2), ("mini_test", 4)):
        run(root / "utils/validate_data_dir.sh", "--no-feats", tiny / name)
        assert len(read_table(tiny / name / "spk2utt")) == speakers
        assert set(read_table(tiny / name / "spk2gender").values()) == {"f", "m"}
    known = read_table(tiny / "mini_test" / "utt2spk")
    lines = [line.split() for line in (tiny / "mini_test" / "trials").read_text().splitlines()]
    assert {utt for enrol, test, _ in lines for utt in (enrol, test)} == set(known)
    assert {kind for *_, kind in lines} == {"target", "nontarget"}
    assert all((known[enrol] == known[test]) == (kind == "target") for enrol, test, kind in lines)


def test_the_audio_is_16_khz_16_bit_of_two_to_four_seconds_and_has_manifests(tiny):
    waves = sorted((tiny / "mini_wav").rglob("*.wav"))
    assert len(waves) == 12
    for wave in waves:
        info = sf.info(wave)
        assert (info.samplerate, info.subtype, info.channels) == (16000, "PCM_16", 1)
        assert 2 <= info.duration <= 4
        samples, _ = sf.read(wave)
        assert samples.std() > 0.003 and abs(samples).max() < 1
    assert (tiny / "manifests" / "mini_test_recordings.jsonl.gz").is_file()


def test_the_number_of_processes_changes_no_byte_and_a_second_run_writes_nothing(root, run, tiny, tmp_path):
    command = (root / "local/prepare_mini.sh", *TINY, "--nj", 3, tmp_path)
    run(*command)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "mini_wav").rglob("*.wav")}
    assert checksums(tmp_path / "mini_wav") == checksums(tiny / "mini_wav")
    run(*command)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def make_mini(root, folder, seed=0, utts=2, jobs=2):
    values = {
        "seed": seed, "nj": jobs, "num-train-speakers": 6, "num-test-speakers": 4, "num-sessions": 2,
        "num-utts": utts, "speaker-spread": 1, "snr-low": 10, "snr-high": 30,
    }  # fmt: skip
    options = [text for name, value in values.items() for text in (f"--{name}", str(value))]
    # path.sh finds the python; `exec` makes it the process that a test kills
    script = f'. "{root}/path.sh"; exec python -m sv_py.make_mini "$@"'
    return ["bash", "-c", script, "make_mini", *options, folder]


def test_a_corpus_killed_on_the_way_is_completed_to_the_same_bytes(root, run, tmp_path):
    run(*make_mini(root, tmp_path / "whole"))
    killed = tmp_path / "killed"
    process = subprocess.Popen(make_mini(root, killed), start_new_session=True)
    while not list(killed.rglob("u*.wav")):
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)  # the parent only: its workers must end by themselves
    process.wait()
    for _ in range(400):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the workers outlive their parent")
    assert 0 < len(list(killed.rglob("u*.wav"))) < 40
    assert not list(killed.glob("*.tsv"))
    run(*make_mini(root, killed))
    assert {k: v for k, v in checksums(killed).items() if not k.endswith(".tmp")} == checksums(tmp_path / "whole")


def test_other_parameters_make_the_corpus_anew_without_leftovers(root, run, tmp_path):
    run(*make_mini(root, tmp_path / "a", utts=2))
    run(*make_mini(root, tmp_path / "a", seed=1, utts=1))
    run(*make_mini(root, tmp_path / "b", seed=1, utts=1, jobs=1))
    assert checksums(tmp_path / "a") == checksums(tmp_path / "b")
    assert json.loads((tmp_path / "a" / "mini.json").read_text())["seed"] == 1


def test_a_folder_that_is_not_a_mini_corpus_is_left_alone(root, run, tmp_path):
    own = tmp_path / "mini_wav" / "recordings"
    own.mkdir(parents=True)
    (own / "mine.wav").write_bytes(b"precious")
    done = run(root / "local/prepare_mini.sh", *TINY, tmp_path, code=1)
    assert "mini_wav: is not empty and has no mini.json" in done.stderr
    assert checksums(tmp_path) == {"mini_wav/recordings/mine.wav": hashlib.sha256(b"precious").hexdigest()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--num-test-speakers", 3), "--num-test-speakers: 3 is not between 4 and 999"),
        (("--num-sessions", 1), "--num-sessions: 1 is not between 2 and 9"),
        (("--seed", -1), "--seed: -1 is not between 0"),
        (("--snr-low", 60), "low <= high"),
        (("--speaker-spread", 0), "--speaker-spread must be above 0"),
        (("--num-test-speaker", 4), "did you mean '--num-test-speakers'"),
    ],
)
def test_an_impossible_setting_is_told_before_anything_is_written(root, run, tmp_path, options, message):
    done = run(root / "local/prepare_mini.sh", *options, tmp_path / "data", code=None)
    assert done.returncode != 0 and message in done.stderr
    assert not (tmp_path / "data").exists()
