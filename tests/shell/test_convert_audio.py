"""steps/convert_audio.sh: real m4a becomes WAV, in spite of kills and of files that are broken."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import soundfile

from sv_py.convert_audio import is_whole
from sv_py.data.ffmpeg import find_ffmpeg
from sv_py.io.text import read_table

NAMES = [f"id000{speaker}/21Uxsk56VDQ/{n:05d}" for speaker in (12, 15, 16) for n in range(6)]


@pytest.fixture(scope="session")
def m4a(shared, tmp_path_factory):
    """A real recording as AAC, and the samples that it was made of."""
    source = next((shared / "corpora/libri").rglob("*.opus"))
    path = tmp_path_factory.mktemp("m4a") / "00001.m4a"
    subprocess.run([find_ffmpeg(), "-v", "error", "-i", source, "-ac", "1", "-ar", "16000", path], check=True)
    samples, rate = soundfile.read(source)
    return path, samples[:: rate // 16000] if rate != 16000 else samples


@pytest.fixture
def tree(tmp_path, m4a):
    """tmp_path/aac with the same recording many times."""
    for name in NAMES:
        path = tmp_path / f"aac/{name}.m4a"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(m4a[0], path)
    return tmp_path


def wavs(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "wav").rglob("[!.]*.wav")}


def test_every_file_becomes_a_mono_wav_of_16_khz_in_the_same_folders(tree, root, run, m4a):
    done = run(root / "steps/convert_audio.sh", "--nj", 2, "aac", "wav", cwd=tree)
    assert "18 of 18 files of aac are in wav" in done.stdout
    assert sorted(wavs(tree)) == sorted(tree / f"wav/{name}.wav" for name in NAMES)
    header = soundfile.info(tree / f"wav/{NAMES[0]}.wav")
    assert (header.samplerate, header.channels, header.subtype) == (16000, 1, "PCM_16")
    samples = soundfile.read(tree / f"wav/{NAMES[0]}.wav")[0]
    length = min(len(samples), len(m4a[1]))
    assert abs(len(samples) - len(m4a[1])) <= 2048
    spectra = [np.abs(np.fft.rfft(x[:length])) for x in (samples, m4a[1])]
    assert np.corrcoef(*spectra)[0, 1] > 0.95


def test_a_rerun_makes_only_what_is_missing_or_cut_off(tree, root, run):
    command = [root / "steps/convert_audio.sh", "--nj", 2, "aac", "wav"]
    run(*command, cwd=tree)
    before = wavs(tree)
    missing, cut, empty = (tree / f"wav/{name}.wav" for name in NAMES[:3])
    missing.unlink()
    cut.write_bytes(cut.read_bytes()[:-100])
    empty.write_bytes(b"")
    run(*command, cwd=tree)
    after = wavs(tree)
    assert {path for path in before if before[path] != after[path]} == {missing, cut, empty}
    assert all(is_whole(path, 16000) for path in after)


def test_a_killed_run_leaves_no_broken_wav_and_is_taken_up_where_it_stopped(tree, root, run):
    command = [root / "steps/convert_audio.sh", "--nj", "2", "aac", "wav"]
    with subprocess.Popen(command, cwd=tree, start_new_session=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as step:  # fmt: skip
        while len(wavs(tree)) < 3:
            assert step.poll() is None
            time.sleep(0.005)
        session = subprocess.run(["ps", "-o", "pid=", "-s", str(step.pid)], capture_output=True, text=True, check=True)
        for pid in session.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    kept = wavs(tree)
    assert 3 <= len(kept) < len(NAMES) and all(is_whole(path, 16000) for path in kept)
    run(*command, cwd=tree)
    after = wavs(tree)
    assert len(after) == len(NAMES) and all(is_whole(path, 16000) for path in after)
    assert {path: after[path] for path in kept} == kept
    assert not list((tree / "wav").rglob(".*.tmp"))


def test_files_that_cannot_be_converted_are_listed_and_the_others_are_made(tree, root, run):
    cut, other = (tree / f"aac/{name}.m4a" for name in NAMES[4:6])
    cut.write_bytes(cut.read_bytes()[:5000])
    other.write_text("not audio")
    command = [root / "steps/convert_audio.sh", "--nj", 3]
    done = run(*command, "aac", "wav", "log", cwd=tree, code=1)
    assert "16 of 18 files of aac are in wav" in done.stdout and "2 cannot be converted: log/failures" in done.stderr
    assert list(read_table(tree / "log/failures")) == [f"{name}.m4a" for name in NAMES[4:6]]
    assert len(wavs(tree)) == 16
    run(*command, "--skip-bad", "true", "aac", "wav", "log", cwd=tree)


def test_wrong_folders_and_a_missing_ffmpeg_are_told_at_once(tree, root, run):
    step = root / "steps/convert_audio.sh"
    assert "no such folder: acc" in run(step, "acc", "wav", cwd=tree, code=1).stderr
    done = run(step, "--extension", "mp4", "aac", "wav", cwd=tree, code=1)
    assert re.search(r"no \*\.mp4 in aac \(--extension names another kind\)", done.stderr)
    for dest in ("./aac", "aac/wav"):  # in which the next run would find what this one made
        assert "would take the WAVs" in run(step, "--extension", "wav", "aac", dest, cwd=tree, code=1).stderr
    for extension in (".m4a", "m*"):
        assert "without a dot" in run(step, "--extension", extension, "aac", "wav", cwd=tree, code=1).stderr
    done = run(step, "aac", "wav", cwd=tree, code=1, SV_FFMPEG="/nowhere/ffmpeg")
    assert "SV_FFMPEG is not a program" in done.stderr and not wavs(tree)


def test_a_full_disk_names_the_file_and_leaves_nothing_half_written(tree, root, run):
    limited = ["bash", "-c", f"ulimit -f 64; exec {root}/steps/convert_audio.sh --nj 1 aac wav", "-"]
    done = run(*limited, cwd=tree, code=1)
    assert "00000.wav" in done.stderr and "File too large" in done.stderr
    assert not wavs(tree)


def test_voxceleb2_goes_from_m4a_to_a_data_dir(tree, root, run):
    (tree / "corpus/dev").mkdir(parents=True)
    (tree / "aac").rename(tree / "corpus/dev/aac")
    prepare = [root / "local/prepare_voxceleb2.sh", "--corpus-dir", "corpus", "--allow-incomplete", "true", "data"]
    done = run(*prepare, cwd=tree, code=1)
    advice = re.search(r"steps/convert_audio\.sh --extension m4a \S+/dev/aac \S+/dev/wav", done.stderr)[0]
    run(*f"{root}/{advice}".split(), cwd=tree)
    run(*prepare, cwd=tree)
    run(root / "utils/validate_data_dir.sh", "data/voxceleb2_dev", cwd=tree)
    assert len(read_table(tree / "data/voxceleb2_dev/utt2spk")) == len(NAMES)
