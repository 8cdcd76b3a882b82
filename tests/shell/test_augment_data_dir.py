"""Augmented copies of a data dir: ids, audio, and what happens to a run that is wrong or killed."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import audio_dir

from sv_py.data.store import AudioStore
from sv_py.io.text import read_table, write_table

NOISE = """
waveform:
  - {name: noise, args: {snr: [5, 5]}}
"""
SHARDS = ["--utts-per-shard", "4"]


def make_recipe(folder: Path, root: Path) -> Path:
    """A recipe folder with a preset of its own and sounds for two roles."""
    for name in ("steps", "utils"):
        (folder / name).symlink_to(root / name)
    (folder / "conf/augment").mkdir(parents=True)
    (folder / "conf/augment/noisy.yaml").write_text(NOISE)
    rng = np.random.default_rng(0)
    hiss = {f"hiss-{n}": rng.normal(0, 2000, 12000 * n).astype(np.int16) for n in (1, 2)}
    audio_dir(folder / "data/hiss", hiss)
    audio_dir(folder / "data/rooms", {"room-1": (20000 * 0.995 ** np.arange(2000)).astype(np.int16)})
    return folder


@pytest.fixture(scope="module")
def made(root, make_tiny_data_dir, tmp_path_factory) -> Path:
    """A recipe whose data/tiny has a noisy copy, data/noisy, made by two jobs."""
    recipe = make_recipe(tmp_path_factory.mktemp("recipe"), root)
    make_tiny_data_dir(recipe / "data/tiny")
    write_table(recipe / "data/tiny/text", dict.fromkeys(read_table(recipe / "data/tiny/utt2spk"), "HELLO"))
    subprocess.run(noisy_command("--nj", "2"), cwd=recipe, check=True)
    return recipe


@pytest.fixture
def recipe(root, tmp_path, tiny_data_dir) -> Path:
    return make_recipe(tmp_path, root)


def noisy_command(*options, dest="data/noisy"):
    return ["steps/augment_data_dir.sh", *SHARDS, *options, "--augment", "noisy", "--suffix", "noise",
            "--augment-set", "noise=data/hiss", "data/tiny", dest]  # fmt: skip


def arks(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "data").glob("*.ark"))]


def test_the_copy_has_marked_utterances_of_the_same_speakers_and_says_where_they_come_from(made, root, run):
    source, copy = made / "data/tiny", made / "data/noisy"
    run(root / "utils/validate_data_dir.sh", "--check-audio", copy)
    run(root / "utils/validate_shards.sh", copy)
    speakers = read_table(source / "utt2spk")
    assert read_table(copy / "utt2spk") == {f"{utt}-noise": speaker for utt, speaker in speakers.items()}
    assert read_table(copy / "utt2uniq") == {f"{utt}-noise": utt for utt in speakers}
    assert read_table(copy / "text") == {f"{utt}-noise": "HELLO" for utt in speakers}
    assert (copy / "spk2gender").read_bytes() == (source / "spk2gender").read_bytes()
    assert (copy / "wav.scp").read_bytes() == (copy / "audio.scp").read_bytes()
    assert len(arks(copy)) == 2 and not list((copy / "data").glob("source*"))


def test_the_audio_of_the_copy_is_that_of_the_source_with_noise_at_the_ratio_of_the_preset(made):
    store = AudioStore(made / "data/noisy")
    for utt, path in read_table(made / "data/tiny/wav.scp").items():
        before = soundfile.read(path, dtype="int16")[0].astype(float)
        noise = store.read(store.table.row(f"{utt}-noise")) - before
        assert 10 * np.log10(np.mean(before**2) / np.mean(noise**2)) == pytest.approx(5, abs=0.3)


def test_a_second_run_makes_nothing_and_one_with_another_number_of_jobs_the_same_bytes(made, run):
    copy = made / "data/noisy"
    before = {path: path.stat().st_mtime_ns for path in (copy / "data").glob("*.ark")}
    run(*noisy_command("--nj", 1), cwd=made)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert (copy / "log/augment_noisy.1.log").read_text().count("is there already") == 2
    run(*noisy_command("--nj", 1, dest="data/again"), cwd=made)
    assert arks(made / "data/again") == arks(copy)


def test_sounds_are_known_by_their_contents_and_not_by_the_name_of_their_folder(made, tmp_path, run):
    recipe = Path(shutil.copytree(made, tmp_path / "copy", symlinks=True))
    before = arks(recipe / "data/noisy")
    other = [f"noise={recipe}/data/../data/hiss" if option == "noise=data/hiss" else option
             for option in noisy_command("--nj", 1)]  # fmt: skip
    run(*other, cwd=recipe)
    assert (recipe / "data/noisy/log/augment_noisy.1.log").read_text().count("is there already") == 2
    for name in ("utt2spk", "audio.scp", "utt2num_samples"):  # one sound less, in the same ark
        table = read_table(recipe / "data/hiss" / name)
        write_table(recipe / "data/hiss" / name, {"hiss-2": table["hiss-2"]})
    run(*other, cwd=recipe)
    assert all(a != b for a, b in zip(arks(recipe / "data/noisy"), before, strict=True))


def test_audio_of_another_rate_is_converted_on_request(recipe, run):
    data = recipe / "data/tiny"
    paths = read_table(data / "wav.scp")
    samples, rate = soundfile.read(paths["cal-2"])
    soundfile.write(recipe / "stereo.wav", np.stack([samples[::2], samples[::2]], axis=1), rate // 2)
    write_table(data / "wav.scp", paths | {"cal-2": recipe / "stereo.wav"})
    run(*noisy_command("--nj", 1, "--resample", "true", "--mixdown", "true"), cwd=recipe)
    log = (recipe / "data/noisy/log/augment_noisy.1.log").read_text()
    assert "recordings mixed down from 2 channels: 1" in log and "recordings resampled from 8000 Hz: 1" in log
    length = int(read_table(recipe / "data/noisy/utt2num_samples")["cal-2-noise"])
    assert abs(length - len(samples)) <= 1


def test_a_damaged_sound_is_told_with_the_utterance_that_it_was_meant_for(recipe, run):
    ark = next((recipe / "data/hiss").glob("*.ark"))
    ark.write_bytes(ark.read_bytes()[:1000])
    run(*noisy_command("--nj", 1), cwd=recipe, code=1)
    log = (recipe / "data/noisy/log/augment_noisy.1.log").read_text()
    assert re.search(r"bad: 'ann-1-noise': .*audio\.ark: hiss-\d: truncated", log)


def test_another_seed_draws_other_noise_and_replaces_what_was_there(made, tmp_path, run):
    recipe = Path(shutil.copytree(made, tmp_path / "copy", symlinks=True))
    before = arks(recipe / "data/noisy")
    (recipe / "data/noisy/feats.scp").write_text("of the old audio\n")
    run(*noisy_command("--nj", 1, "--seed", 1), cwd=recipe)
    after = arks(recipe / "data/noisy")
    assert len(after) == len(before) and all(a != b for a, b in zip(after, before, strict=True))
    assert not (recipe / "data/noisy/feats.scp").exists()


def test_another_speed_makes_new_utterances_of_new_speakers(recipe, run, root):
    run("steps/augment_data_dir.sh", "--nj", 1, "--speed", 0.9, "data/tiny", "data/slow", cwd=recipe)
    copy = recipe / "data/slow"
    run(root / "utils/validate_data_dir.sh", "--check-audio", copy)
    assert read_table(copy / "utt2spk")["sp0.9-ann-1"] == "sp0.9-ann"
    assert read_table(copy / "spk2gender") == {"sp0.9-ann": "f", "sp0.9-bea": "f", "sp0.9-cal": "m", "sp0.9-dan": "m"}
    for utt, path in read_table(recipe / "data/tiny/wav.scp").items():
        length = int(read_table(copy / "utt2num_samples")[f"sp0.9-{utt}"])
        assert abs(length - soundfile.info(path).frames / 0.9) <= 1
        assert float(read_table(copy / "utt2dur")[f"sp0.9-{utt}"]) == pytest.approx(length / 16000, abs=1e-3)


def test_segments_become_recordings_and_what_would_exceed_16_bits_is_scaled_down(recipe, run, root):
    data = recipe / "data/call"
    data.mkdir()
    loud = 32000 * np.sin(2 * np.pi * 300 * np.arange(16000) / 16000)
    soundfile.write(recipe / "call.wav", loud.astype(np.int16), 16000)
    write_table(data / "wav.scp", {"call": recipe / "call.wav"})
    write_table(data / "segments", {"ann-a": "call 0 0.5", "bea-b": "call 0.25 0.75"})
    write_table(data / "utt2spk", {"ann-a": "ann", "bea-b": "bea"})
    write_table(data / "spk2utt", {"ann": "ann-a", "bea": "bea-b"})
    (recipe / "loud.yaml").write_text(NOISE.replace("[5, 5]", "[-5, -5]"))
    run("steps/augment_data_dir.sh", "--nj", 1, "--augment", "loud.yaml", "--suffix", "noise", "--augment-set",
        "noise=data/hiss", "data/call", "data/loud", cwd=recipe)  # fmt: skip
    run(root / "utils/validate_data_dir.sh", "--check-audio", recipe / "data/loud")
    assert not (recipe / "data/loud/segments").exists()
    store = AudioStore(recipe / "data/loud")
    for row, (first, last) in enumerate([(0, 8000), (4000, 12000)]):
        samples = store.read(row).astype(float)
        assert np.abs(samples).max() == 32767 and np.sum(np.abs(samples) == 32767) <= 2
        factor = samples @ loud[first:last] / (loud[first:last] @ loud[first:last])
        assert 0.1 < factor < 0.9


def test_a_run_that_was_killed_goes_on_with_the_missing_shards_and_gives_the_same_bytes(made, recipe, run):
    shutil.copy(made / "data/tiny/text", recipe / "data/tiny/text")
    command = noisy_command("--nj", "2", "--cmd", "utils/cmd_local.sh --max-jobs-run 1")
    process = subprocess.Popen(command, cwd=recipe, start_new_session=True, stderr=subprocess.DEVNULL)
    first = recipe / "data/noisy/data/audio_noisy.1.ark"
    while not first.with_suffix(".done").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (recipe / "data/noisy/wav.scp").exists() and not (recipe / "data/noisy/audio.scp").exists()
    modified = first.stat().st_mtime_ns

    run(*command, cwd=recipe)
    assert first.stat().st_mtime_ns == modified
    assert arks(recipe / "data/noisy") == arks(made / "data/noisy")
    for name in ("utt2spk", "utt2uniq", "utt2num_samples", "utt2dur", "audio.id", "text"):
        assert (recipe / "data/noisy" / name).read_bytes() == (made / "data/noisy" / name).read_bytes()


def test_bad_utterances_are_named_and_left_out_only_on_request(recipe, run, root):
    data = recipe / "data/tiny"
    write_table(data / "wav.scp", read_table(data / "wav.scp") | {"cal-1": recipe / "cut.wav"})
    (recipe / "cut.wav").write_bytes(Path(read_table(data / "wav.scp")["cal-2"]).read_bytes()[:4000])
    run(*noisy_command("--nj", 1), cwd=recipe, code=1)
    assert "'cal-1-noise': truncated" in (recipe / "data/noisy/log/augment_noisy.1.log").read_text()
    assert not (recipe / "data/noisy/wav.scp").exists()
    run(*noisy_command("--nj", 1, "--skip-bad", "true"), cwd=recipe)
    run(root / "utils/validate_data_dir.sh", "--check-audio", recipe / "data/noisy")
    assert len(read_table(recipe / "data/noisy/utt2spk")) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to do: neither --augment nor --speed"),
        (["--augment", "noisy"], "--augment and --suffix, which marks the ids of what is augmented, go together"),
        (["--augment", "nosy", "--suffix", "x"], "augment/nosy.yaml: no such file"),
        (["--augment", "noisy", "--suffix", "x"], "needs sounds for 'noise': --augment-set noise=<data-dir>"),
        (["--augment", "noisy", "--suffix", "x", "--augment-set", "nois=data/hiss"], "(did you mean 'noise'?)"),
        (["--augment", "noisy", "--suffix", "x", "--augment-set", "noise=data/tiny"], "run steps/make_shards.sh"),
        (["--augment", "noisy", "--suffix", "a/b", "--augment-set", "noise=data/hiss"], "a/b"),
        (["--speed", "1.1", "--encoding", "mp3"], "invalid choice: 'mp3'"),
        (["--speed", "1.1", "--utts-per-shard", "0"], "--utts-per-shard must be at least 1, not 0"),
        (["--speed", "1.1", "--sample-frequency", "0"], "--sample-frequency must be at least 1, not 0"),
        (["--speed", "0"], "a speed is between 0.5 and 2, with at most three decimals, not 0.0"),
        (["--speed", "5"], "a speed is between 0.5 and 2, with at most three decimals, not 5.0"),
    ],
)
def test_mistakes_stop_before_anything_is_made(options, message, recipe, run):
    done = run("steps/augment_data_dir.sh", *options, "data/tiny", "data/new", cwd=recipe, code=None)
    assert done.returncode in (1, 2)  # 2: a value that argparse refuses
    assert message in done.stderr
    assert not (recipe / "data/new").exists()


def test_neither_the_source_nor_a_folder_that_is_no_data_dir_is_written_to(recipe, run):
    before = sorted(path.name for path in (recipe / "data/tiny").iterdir())
    speed = ["steps/augment_data_dir.sh", "--speed", "1.1", "data/tiny"]
    assert "is source and destination" in run(*speed, "data/../data/tiny/", cwd=recipe, code=1).stderr
    assert sorted(path.name for path in (recipe / "data/tiny").iterdir()) == before
    (recipe / "papers").mkdir()
    (recipe / "papers/thesis").write_text("years")
    assert "exists and is not a data dir" in run(*speed, "papers", cwd=recipe, code=1).stderr
    assert [path.name for path in (recipe / "papers").iterdir()] == ["thesis"]
