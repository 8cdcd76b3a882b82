"""Reading ahead: the same batches by any number of processes and ranks and from any step; deaths and damage end it."""

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
import time

import pytest
import torch
from loader_data import make_audio, read_wavs
from torch.utils.data import DataLoader

from sv_py.augmentation import AUGMENTATIONS
from sv_py.cli import InputError
from sv_py.data.batches import Preparation, TrainingBatches
from sv_py.data.dataset import AudioSet
from sv_py.data.plan import share_of_steps
from sv_py.data.pool import Pool
from sv_py.data.read_ahead import ReadAhead, ShardFetcher
from sv_py.features import FRONTENDS
from sv_py.registry import Part
from sv_py.schema import Augment, Data, Features, Mask, Phase

FBANK = Part("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")(num_mel_bins=20, dither=1.0))
NOISE, REVERB = (Part(name, AUGMENTATIONS.arguments(name)(probability=0.5)) for name in ("noise", "reverb"))
PHASE = Phase(
    "p", 1, batch_size=4, crop=(30, 40), crops_per_utt=7.5, mask=Mask(time=5, frequency=3),
    augment=Augment(speed=(0.9, 1.1), waveform=(NOISE, REVERB)),
)  # fmt: skip


@pytest.fixture(scope="module")
def waves(tiny_wavs):
    return read_wavs(tiny_wavs)


@pytest.fixture
def folder(waves, tmp_path):
    return make_audio(tmp_path / "audio", waves, shards=4)


def open_batches(folder, seed=0, epoch=0, phase=PHASE, **data):
    utterances = AudioSet(folder, Features(frontend=FBANK))
    pools = dict.fromkeys(("noise", "rir"), Pool(utterances.store))
    made = TrainingBatches(utterances, phase, Data(source="audio", **data), seed, epoch, pools)
    return made, Preparation(utterances.frames, made.chain, phase.mask, torch.device("cpu"))


def digest(frames, labels):
    return hashlib.sha256(frames.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()


def digests(folder, workers=0, numbers=None, **options):
    with ReadAhead(*open_batches(folder, **options), workers, numbers) as batches:
        found = [digest(*batch) for batch in batches]
        assert len(found) == len(batches)
    return found


@pytest.mark.parametrize("fetch", ["slices", "shards"])
def test_processes_resumes_ranks_and_fetching_change_no_bit_of_any_batch(folder, fetch):
    options = {"fetch": fetch, "window": 2}
    expected = digests(folder, window=2)
    assert len(expected) == len(set(expected)) == 15
    for workers in (0, 1, 3):
        for first in (0, 1, 6):
            assert digests(folder, workers, share_of_steps(first, 15, 1), **options) == expected[first:]
    for rank, ranks in ((0, 2), (1, 2), (2, 3)):
        numbers = share_of_steps(1, 3, 5, rank, ranks)
        assert digests(folder, rank, numbers, **options) == [expected[number] for number in numbers]


def test_other_seeds_and_epochs_give_other_batches(folder):
    assert (
        len({one for place in ((0, 0), (1, 0), (0, 1)) for one in digests(folder, 0, seed=place[0], epoch=place[1])})
        == 45
    )


def test_threads_of_the_training_process_change_no_bit(folder):
    expected, threads = digests(folder, 1), torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        assert digests(folder, 0) == expected
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(threads)


def test_what_reading_processes_hand_to_a_gpu_is_prepared_to_the_same_batches(folder):
    made, prepare = open_batches(folder)
    raws = DataLoader(made, batch_size=None, num_workers=2, collate_fn=lambda raw: raw)
    assert [digest(*prepare(raw)) for raw in raws] == digests(folder)


@pytest.mark.parametrize("workers", [0, 1])
def test_reading_draws_nothing_from_the_generator_of_the_training(folder, workers):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    digests(folder, workers)
    assert torch.equal(torch.rand(3), expected)


def test_waiting_for_data_is_measured(folder):
    with ReadAhead(*open_batches(folder)) as batches:
        assert batches.data_wait == 0
        for _ in batches:
            time.sleep(0.02)
    assert 0 < batches.waited < batches.seconds and batches.seconds >= 15 * 0.02
    assert batches.data_wait == batches.waited / batches.seconds


def truncate(folder, shard=1):
    ark = folder / f"audio.{shard}.ark"
    ark.write_bytes(ark.read_bytes()[:-2000])  # of two utterances the second loses its end


@pytest.mark.parametrize("workers", [0, 2])
def test_a_truncated_ark_ends_the_run_with_utterance_and_file_and_no_traceback(folder, workers):
    made, prepare = open_batches(folder)
    truncate(folder)
    with pytest.raises(InputError) as caught, ReadAhead(made, prepare, workers) as batches:
        for _ in batches:
            pass
    assert "audio.1.ark: bea-2: truncated" in str(caught.value)
    assert "Traceback" not in str(caught.value) and str(caught.value).count("\n") == 0


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_damage_up_to_the_limit_is_passed_over_counted_and_the_same_everywhere(folder, workers, caplog):
    truncate(folder)
    known = []
    made, prepare = open_batches(folder, max_bad=1)
    with ReadAhead(made, prepare, workers, unreadable=known) as batches:
        found = [digest(*batch) for batch in batches]
    assert found == digests(folder, max_bad=1) and len(found) == 15
    assert len(known) == 1 and "audio.1.ark: bea-2: truncated" in known[0]
    assert sum("left out" in record.message and "bea-2" in record.message for record in caplog.records) == 2


def test_the_same_damage_is_one_whoever_meets_it(waves, tmp_path, caplog):
    """Flac is decoded from objects in memory, whose addresses differ between processes."""
    folder = make_audio(tmp_path / "flac", waves, encoding="flac")
    place = (folder / "audio.scp").read_text().split()[3].rpartition(":")
    with open(place[0], "r+b") as file:
        file.seek(int(place[2]) + 8)
        file.write(bytes(8))
    known = []
    with ReadAhead(*open_batches(folder, max_bad=1), 3, unreadable=known) as batches:
        assert len(list(batches)) == 15
    assert len(known) == 1 and "ann-2: truncated or not audio" in known[0]


def test_damage_beyond_the_limit_ends_the_run_with_names_also_over_epochs(folder):
    truncate(folder, 1)
    truncate(folder, 3)
    with pytest.raises(InputError, match=r"2 utterances cannot be read, and data\.max_bad is 1: .*-2: .*-2: "):
        digests(folder, 2, max_bad=1)
    batches = ReadAhead(*open_batches(folder, max_bad=2), unreadable=["old-1: of an earlier epoch"])
    with pytest.raises(InputError, match=r"3 utterances cannot be read, and data\.max_bad is 2: old-1"), batches:
        list(batches)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGBUS])
def test_a_reading_process_that_is_killed_ends_the_run_with_a_message(folder, sign):
    batches = ReadAhead(*open_batches(folder), 2)
    start = time.monotonic()
    with pytest.raises(InputError, match=r"a process that reads training data died \(.*\): out of memory"), batches:
        for step, _ in enumerate(batches):
            if step == 2:
                for process in batches._items._workers:
                    os.kill(process.pid, sign)
            time.sleep(0.05)
    assert time.monotonic() - start < 15


def test_the_block_can_be_left_early_and_leaves_no_process_or_thread(folder):
    made, prepare = open_batches(folder, fetch="shards", window=2)
    with ReadAhead(made, prepare, 2) as batches:
        processes = list(batches._items._workers)
        next(iter(batches))
    assert not any(process.is_alive() for process in processes)
    assert not [thread for thread in threading.enumerate() if thread.name == "shard fetcher"]


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_shards_are_fetched_in_the_plans_order_one_window_ahead(folder):
    shards = [str(folder / f"audio.{k}.ark") for k in range(4)]
    fetcher = ShardFetcher([[2], [0], [3], [1]], shards)
    fetcher.start()
    wait_for(lambda: len(fetcher.fetched) == 2)
    time.sleep(0.1)
    assert fetcher.fetched == [shards[2], shards[0]]
    fetcher.reach(1)
    wait_for(lambda: len(fetcher.fetched) == 3)
    fetcher.reach(3)
    wait_for(lambda: len(fetcher.fetched) == 4)
    fetcher.stop()
    assert fetcher.fetched == [shards[k] for k in (2, 0, 3, 1)]


def test_a_resume_fetches_nothing_that_is_over_and_a_missing_shard_is_left_to_its_reader(folder, caplog):
    shards = [str(folder / f"audio.{k}.ark") for k in range(4)]
    (folder / "audio.1.ark").unlink()
    fetcher = ShardFetcher([[2], [0], [3, 1]], shards)
    fetcher.reach(2)
    fetcher.start()
    wait_for(lambda: fetcher.fetched == [shards[3]] and "cannot fetch" in caplog.text)
    fetcher.stop()


def test_a_training_that_is_resumed_fetches_from_its_own_window_on(folder):
    made, prepare = open_batches(folder, fetch="shards", window=1)
    ahead = ReadAhead(made, prepare, numbers=[len(made) - 1])
    with ahead:
        wait_for(lambda: len(ahead._fetcher.fetched) == 1)
        time.sleep(0.1)
        assert ahead._fetcher.fetched == [made.utterances.table.shards[made.plan.windows[-1][0]]]


def test_what_training_has_gone_past_is_not_fetched_any_more(folder):
    pipe = folder / "slow"
    os.mkfifo(pipe)
    fetcher = ShardFetcher([[0, 1, 2], [3]], [str(pipe), *(str(folder / f"audio.{k}.ark") for k in range(3))])
    fetcher.start()
    with pipe.open("wb"):  # the thread is reading now
        fetcher.reach(1)
    wait_for(lambda: len(fetcher.fetched) == 2)
    fetcher.stop()
    assert fetcher.fetched == [str(pipe), str(folder / "audio.2.ark")]


def test_fetching_stops_in_the_middle_of_a_shard(tmp_path):
    pipe = tmp_path / "shard"
    with open(pipe, "wb") as file:
        file.truncate(1 << 40)  # a terabyte of zeros that takes no room
    fetcher = ShardFetcher([[0]], [str(pipe)])
    fetcher.start()
    time.sleep(0.1)
    start = time.monotonic()
    fetcher.stop()
    assert time.monotonic() - start < 2 and fetcher.fetched == []


def test_a_command_ends_with_one_line_when_its_data_is_damaged(folder, run, root):
    truncate(folder)
    code = f"""
import sys
sys.path[:0] = [{str(root)!r}, {str(root / "tests/py")!r}]
from sv_py.cli import command
from test_read_ahead import digests
command(lambda: print(digests({str(folder)!r}, 2)) or 0)
"""
    done = run(sys.executable, "-c", code, code=1)
    assert done.stderr.count("\n") == 1 and "bea-2: truncated" in done.stderr and not done.stdout


def test_readers_do_not_get_what_asks_the_training_to_stop(folder):
    def ignored(number, frame):
        pass

    before = {number: signal.signal(number, ignored) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        with ReadAhead(*open_batches(folder), workers=2) as batches:
            found = []
            for batch in batches:
                found.append(digest(*batch))
                for process in multiprocessing.active_children():
                    os.kill(process.pid, signal.SIGTERM)
                    os.kill(process.pid, signal.SIGUSR1)
        assert found == digests(folder) and not multiprocessing.active_children()
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
