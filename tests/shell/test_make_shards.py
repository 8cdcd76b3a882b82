"""steps/make_shards.sh: what it makes, what it refuses, and that kills and full disks leave no broken shard."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from itertools import chain, count
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from sv_py.data.ffmpeg import find_ffmpeg
from sv_py.io.audio_ark import AudioArkReader
from sv_py.io.shard_index import read_index, sha256_of
from sv_py.io.text import invert, read_counts, read_table, write_table

STEP = "steps/make_shards.sh"


@pytest.fixture
def recipe(root, tmp_path, tiny_data_dir) -> Path:
    """A recipe with the audio of data/tiny; it reaches the steps through symlinks."""
    for name in ("steps", "utils"):
        (tmp_path / name).symlink_to(root / name)
    return tmp_path


def log(folder: Path, job: int = 1) -> str:
    return (folder / f"log/make_shards_{folder.name}.{job}.log").read_text()


def write_data_dir(folder: Path, sources: dict[str, object], segments: dict[str, str] | None = None) -> Path:
    """A data dir of recordings; the speaker of an utterance is what stands before its '-'."""
    folder.mkdir(parents=True)
    utt2spk = {utt: utt.split("-")[0] for utt in segments or sources}
    write_table(folder / "wav.scp", sources)
    write_table(folder / "utt2spk", utt2spk)
    write_table(folder / "spk2utt", {speaker: " ".join(utts) for speaker, utts in invert(utt2spk).items()})
    if segments:
        write_table(folder / "segments", segments)
    return folder


def recordings(data: Path) -> dict[str, np.ndarray]:
    return {utt: soundfile.read(source, dtype="int16")[0] for utt, source in read_table(data / "wav.scp").items()}


def stored(data: Path) -> dict[str, np.ndarray]:
    reader = AudioArkReader()
    return {utt: reader.read(place, key=utt) for utt, place in read_table(data / "audio.scp").items()}


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return list(found) == list(expected) and all(np.array_equal(found[utt], expected[utt]) for utt in found)


def arks(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.ark"))}


@pytest.mark.parametrize("encoding", ["pcm16", "flac"])
def test_the_shards_hold_the_audio_and_the_data_dir_names_it(recipe, run, encoding):
    data = recipe / "data/tiny"
    wav_scp = (data / "wav.scp").read_bytes()
    run(STEP, "--nj", 2, "--utts-per-shard", 3, "--encoding", encoding, "data/tiny", "log", "shards", cwd=recipe)
    assert same(stored(data), recordings(data)) and (data / "wav.scp").read_bytes() == wav_scp
    lengths = {utt: len(samples) for utt, samples in recordings(data).items()}
    assert read_counts(data / "utt2num_samples") == lengths
    assert {utt: float(seconds) for utt, seconds in read_table(data / "utt2dur").items()} == pytest.approx(
        {utt: length / 16000 for utt, length in lengths.items()}, abs=6e-4
    )
    assert (data / "audio.id").read_text() == f"--sample-frequency=16000\n--encoding={encoding}\n"
    assert {rate for rate, _ in kaldiio.load_scp(str(data / "audio.scp")).values()} == {16000}
    index = read_index(recipe / "shards/audio_tiny.index")
    assert [shard.utterances for shard in index.values()] == [3, 3, 2] and sum(
        shard.seconds for shard in index.values()
    ) == pytest.approx(sum(lengths.values()) / 16000, abs=0.01)
    assert all(sha256_of(path) == shard.sha256 for path, shard in index.items())
    run("utils/validate_data_dir.sh", data, cwd=recipe)
    run("utils/validate_shards.sh", data, cwd=recipe)


def test_every_shard_has_some_of_all_speakers_so_that_a_few_can_be_shuffled_together(recipe, run):
    run(STEP, "--nj", 2, "--utts-per-shard", 4, "data/tiny", "log", "shards", cwd=recipe)
    index = read_index(recipe / "shards/audio_tiny.index")
    assert [(shard.utterances, shard.speakers) for shard in index.values()] == [(4, 4), (4, 4)]


def test_segments_of_a_recording_stay_together_in_a_shard_which_decodes_it_once(recipe, run, tiny_wavs):
    recorded = {"call": tiny_wavs / "ann-1.wav", "talk": tiny_wavs / "bea-1.wav"}
    segments = {"ann-a": "call 0.1 0.3", "ann-b": "call 0.2 0.4", "bea-a": "talk 0 0.2", "bea-b": "talk 0.1 0.4"}
    write_data_dir(recipe / "data/cut", recorded, segments)
    run(STEP, "--utts-per-shard", 2, "data/cut", "log", "shards", cwd=recipe)
    assert list(read_table(recipe / "shards/audio_cut.1.scp")) == ["ann-a", "ann-b"]


def test_the_number_of_jobs_changes_neither_shards_nor_tables(recipe, run):
    made = {}
    for nj in (1, 2, 5):
        run(STEP, "--nj", nj, "--utts-per-shard", 3, "data/tiny", "log", f"shards{nj}", cwd=recipe)
        scp = (recipe / "data/tiny/audio.scp").read_text().replace(f"shards{nj}", "shards")
        made[nj] = arks(recipe / f"shards{nj}"), scp, (recipe / f"shards{nj}/audio_tiny.index").read_text()
    assert made[1] == made[2] == made[5] and len(made[1][0]) == 3


def test_a_second_run_makes_only_what_is_missing_broken_or_out_of_date(recipe, run, tiny_wavs):
    command = [STEP, "--nj", 2, "--utts-per-shard", 2, "data/tiny", "log", "shards"]
    run(*command, cwd=recipe)
    before, paths = arks(recipe / "shards"), sorted((recipe / "shards").glob("*.ark"))
    assert len(paths) == 4
    changed = {path: path.stat().st_mtime_ns for path in paths}
    paths[1].unlink()
    os.truncate(paths[2], 100)
    run(*command, cwd=recipe)
    assert arks(recipe / "shards") == before
    redone = [path for path, time_ns in changed.items() if path.stat().st_mtime_ns != time_ns]
    assert redone == paths[1:3]

    sources = read_table(recipe / "data/tiny/wav.scp")
    write_table(recipe / "data/tiny/wav.scp", sources | {"dan-2": tiny_wavs / "ann-1.wav"})
    changed = {path: path.stat().st_mtime_ns for path in paths}
    run(*command, cwd=recipe)
    assert [path for path, time_ns in changed.items() if path.stat().st_mtime_ns != time_ns] == paths[3:]
    assert same(stored(recipe / "data/tiny"), recordings(recipe / "data/tiny"))


def test_shards_that_were_moved_are_kept_and_the_data_dir_follows_them(recipe, run):
    command = [STEP, "--nj", 1, "--utts-per-shard", 4, "data/tiny", "log"]
    run(*command, "shards", cwd=recipe)
    changed = {path.name: path.stat().st_mtime_ns for path in (recipe / "shards").glob("*.ark")}
    (recipe / "shards").rename(recipe / "moved")
    run(*command, "moved", cwd=recipe)
    assert {path.name: path.stat().st_mtime_ns for path in (recipe / "moved").glob("*.ark")} == changed
    run("utils/validate_shards.sh", "data/tiny", cwd=recipe)
    assert same(stored(recipe / "data/tiny"), recordings(recipe / "data/tiny"))


def test_every_path_may_hold_spaces_but_not_the_letters_that_stand_for_the_job(recipe, run, tiny_wavs):
    wavs = shutil.copytree(tiny_wavs, recipe / "my wavs é")
    data = write_data_dir(recipe / "data/my train", {wav.stem: wav for wav in wavs.iterdir()})
    run(STEP, "--nj", 2, "--utts-per-shard", 3, "data/my train", "my logs", "my shards", cwd=recipe)
    run("utils/validate_shards.sh", data, cwd=recipe)
    assert same(stored(data), recordings(data))
    for command in (
        [STEP, "data/tiny", "JOB1/log"],
        ["steps/make_fbank.sh", "data/JOB1"],
        ["steps/convert_audio.sh", "data", "JOB1/wav"],
        ["steps/extract_embeddings.sh", "final.pt", "data/tiny", "exp/JOB1"],
    ):
        done = run(*command, cwd=recipe, code=1)
        assert "the letters JOB in a path would become the number of a job" in done.stderr


@pytest.fixture
def long_data(recipe, tiny_wavs) -> Path:
    """data/long: 240 utterances."""
    wavs = sorted(tiny_wavs.iterdir())
    return write_data_dir(recipe / "data/long", {f"s{i // 10:02}-{i:03}": wavs[i % 8] for i in range(240)})


def test_a_run_that_is_killed_at_any_moment_leaves_whole_shards_and_goes_on_to_the_same_bytes(recipe, run, long_data):
    command = [STEP, "--nj", "2", "--utts-per-shard", "40", "data/long", "data/long/log"]
    run(*command, "whole", cwd=recipe)
    expected, moments, finished, leftovers = arks(recipe / "whole"), random.Random(1), {}, 0
    delays = chain([0, 0], (moments.uniform(0, 0.1 * n) for n in count(1)))  # ends on any machine
    killed = recipe / "killed"
    while len(finished) < 3:
        process = subprocess.Popen([*command, "killed"], cwd=recipe, start_new_session=True, stdout=subprocess.DEVNULL)
        while not list(killed.glob(".*.tmp")) and process.poll() is None:
            time.sleep(0.002)
        time.sleep(next(delays))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        leftovers += len(list(killed.glob(".*.tmp")))
        assert arks(killed).items() <= expected.items()
        assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in finished.items())
        finished = {ark: ark.stat().st_mtime_ns for ark in killed.glob("*.ark") if ark.with_suffix(".done").exists()}
    assert leftovers
    run(*command, "killed", cwd=recipe)
    assert arks(killed) == expected
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in finished.items())
    assert not list(killed.glob(".*"))
    assert (killed / "audio_long.index").read_bytes() == (recipe / "whole/audio_long.index").read_bytes()


def test_a_full_disk_is_named_and_leaves_nothing_broken(recipe, run, long_data):
    step = f"ulimit -f 300; exec {STEP} --nj 1 --utts-per-shard 120 data/long log shards"  # an ark has 2 MB
    done = run("bash", "-c", step, cwd=recipe, code=1)
    assert "File too large" in done.stderr and "shards/audio_long.1.ark" in done.stderr
    assert not [path for path in (recipe / "shards").iterdir() if path.suffix in (".ark", ".tmp")]
    assert not (long_data / "audio.scp").exists()


def test_what_is_not_16_khz_mono_is_an_error_unless_conversion_is_asked_for_and_then_it_is_counted(recipe, run, shared):
    speech = sorted(shared.glob("corpora/an4/wav/*/*/*.flac"))[0]
    samples, rate = soundfile.read(speech)
    folder = recipe / "mixed"
    folder.mkdir()
    soundfile.write(folder / "stereo.wav", np.stack([samples, samples], 1), rate)
    soundfile.write(folder / "slow.ogg", samples[::2], rate // 2)
    soundfile.write(folder / "loud.wav", 3 * samples / abs(samples).max(), rate, subtype="FLOAT")
    subprocess.run([find_ffmpeg(), "-v", "error", "-i", speech, folder / "video.m4a"], check=True)
    opus = sorted(shared.glob("corpora/so762/*/*/*.opus"))[0]
    names = {"a-stereo": folder / "stereo.wav", "b-slow": folder / "slow.ogg", "c-loud": folder / "loud.wav"}
    data = write_data_dir(recipe / "data/mixed", names | {"d-video": folder / "video.m4a", "e-opus": opus, "f": speech})

    done = run(STEP, "--nj", 1, "--utts-per-shard", 2, "data/mixed", cwd=recipe, code=1)
    text = log(data)
    assert "'a-stereo': 2 channels instead of one" in text and "'b-slow': sample rate 8000 Hz instead of 16000" in text
    assert "of 3 shards could not be made" in done.stderr and not (data / "audio.scp").exists()

    run(STEP, "--nj", 1, "--resample", "true", "--mixdown", "true", "data/mixed", cwd=recipe)
    text = log(data)
    for what in ("mixed down from 2 channels: 1", "resampled from 8000 Hz: 1", "decoded by ffmpeg: 1"):
        assert f"recordings {what}\n" in text
    assert re.search(r"samples clipped at full scale: \d+, in 1 utterances", text)
    found = stored(data)
    assert np.array_equal(found["a-stereo"], found["f"]) and np.array_equal(found["f"], np.rint(32768 * samples))
    assert len(found["b-slow"]) == 2 * len(samples[::2]) and np.abs(found["c-loud"].astype(int)).max() >= 32767


def test_segments_and_places_in_arks_are_cut_as_they_should(recipe, run, tiny_wavs):
    run(STEP, "--nj", 1, "data/tiny", "log", "shards", cwd=recipe)
    places = read_table(recipe / "data/tiny/audio.scp")
    segments = {"ann-a": "call 0.1 0.3", "ann-b": "call 0.2 0.45", "bea-a": "talk 0 0.4"}
    recorded = {"call": places["ann-2"], "talk": tiny_wavs / "bea-1.wav"}
    data = write_data_dir(recipe / "data/cut", recorded, segments)
    run(STEP, "--nj", 2, "--utts-per-shard", 2, "data/cut", cwd=recipe)
    call, talk = (soundfile.read(tiny_wavs / name, dtype="int16")[0] for name in ("ann-2.wav", "bea-1.wav"))
    assert same(stored(data), {"ann-a": call[1600:4800], "ann-b": call[3200:7200], "bea-a": talk[:6400]})


def test_only_speech_is_kept_on_request_and_an_utterance_without_any_is_named(recipe, run, tmp_path):
    data = recipe / "data/tiny"
    quiet = tmp_path / "padded.wav"
    speech = recordings(data)["ann-1"]
    soundfile.write(quiet, np.concatenate([np.zeros(16000, np.int16), speech, np.zeros(16000, np.int16)]), 16000)
    write_table(data / "wav.scp", read_table(data / "wav.scp") | {"ann-1": quiet})
    run(STEP, "--nj", 1, "--apply-vad", "true", "data/tiny", cwd=recipe)
    assert 0 < read_counts(data / "utt2num_samples")["ann-1"] < len(speech) + 8000
    assert float(read_table(data / "utt2dur")["ann-1"]) == pytest.approx(2 + len(speech) / 16000, abs=1e-3)
    assert "--sample-frequency=16000\n--encoding=pcm16\ndetector=webrtc\n" in (data / "audio.id").read_text()

    soundfile.write(quiet, np.zeros(16000), 16000)
    done = run(STEP, "--nj", 1, "--apply-vad", "true", "data/tiny", cwd=recipe, code=1)
    assert "'ann-1': no speech in 1.000 s of audio" in log(data) and "1 of 1 shards could not be made" in done.stderr

    done = run(STEP, "--apply-vad", "true", "--sample-frequency", 8000, "data/tiny", cwd=recipe, code=1)
    assert "vad.conf: the detector is for 16000 Hz, the shards have 8000 Hz" in done.stderr


def test_the_bad_utterances_of_all_shards_are_named_and_left_out_on_request(recipe, run, tmp_path):
    data = recipe / "data/tiny"
    for utt in ("ann-1", "dan-2"):
        (tmp_path / f"{utt}.wav").write_bytes(b"no audio")
    bad = {utt: tmp_path / f"{utt}.wav" for utt in ("ann-1", "dan-2")}
    write_table(data / "wav.scp", read_table(data / "wav.scp") | bad)
    done = run(STEP, "--nj", 1, "--utts-per-shard", 2, "data/tiny", cwd=recipe, code=1)
    assert "'ann-1': not audio" in log(data) and "'dan-2': not audio" in log(data)
    assert "2 of 4 shards could not be made" in done.stderr and not (data / "audio.scp").exists()
    run(STEP, "--nj", 1, "--utts-per-shard", 2, "--skip-bad", "true", "data/tiny", cwd=recipe)
    run("utils/validate_data_dir.sh", data, cwd=recipe)
    assert list(read_table(data / "utt2spk")) == ["ann-2", "bea-1", "bea-2", "cal-1", "cal-2", "dan-1"]


def test_commands_run_only_when_that_is_allowed(recipe, run, tiny_wavs):
    data = write_data_dir(recipe / "data/pipe", {"ann-1": f"touch mark; cat {tiny_wavs}/ann-1.wav |"})
    run(STEP, "data/pipe", cwd=recipe, code=1)
    assert not (recipe / "mark").exists() and not (data / "audio.scp").exists()
    run(STEP, "--allow-pipes", "true", "data/pipe", cwd=recipe)
    assert (recipe / "mark").exists() and len(stored(data)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoding", "mp3"], "invalid choice: 'mp3'"),
        (["--utts-per-shard", "0"], "--sample-frequency and --utts-per-shard are at least 1"),
        (["--nj", "0"], "--nj must be at least 1"),
        (["--apply-vad", "true", "--vad-config", "none.conf"], "none.conf: no such file"),
        (["--resamples", "true"], "did you mean"),
    ],
)
def test_a_mistaken_option_stops_before_anything_is_made(recipe, run, options, message):
    before = sorted(recipe.rglob("*"))
    done = run(STEP, *options, "data/tiny", cwd=recipe, code=None)
    assert done.returncode and message in done.stderr
    assert sorted(recipe.rglob("*")) == before


def test_a_data_dir_that_grew_is_made_again_in_place(recipe, run):
    data = recipe / "data/tiny"
    shutil.copytree(data, recipe / "all")
    run("utils/subset_data_dir.sh", "--first", recipe / "all", 5, data, cwd=recipe)
    run(STEP, "--nj", 1, "data/tiny", cwd=recipe)
    for name in ("wav.scp", "utt2spk", "spk2utt", "spk2gender"):
        shutil.copy(recipe / "all" / name, data / name)
    (data / "utt2dur").unlink()
    run(STEP, "--nj", 1, "data/tiny", cwd=recipe)
    assert same(stored(data), recordings(data)) and len(stored(data)) == 8
