"""Batches on their way to the network: read ahead by processes, in order, with the waiting measured."""

import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils.signal_handling import _remove_worker_pids

from sv_py.cli import InputError
from sv_py.data.batches import Preparation, RawBatch, TrainingBatches, too_many
from sv_py.log import logger

_BLOCK = 1 << 22  # bytes read at once of a shard that is fetched


class ReadAhead:
    """Batches of an epoch, one after the other: ``with ReadAhead(...) as ahead: for frames, labels in ahead: ...``.

    ``numbers`` says which, all by default. ``workers`` processes read them ahead, or the calling one does. On a CPU
    they also prepare them, with one thread each; a GPU prepares in the calling process. ``unreadable`` grows by a
    message for each utterance that cannot be read; it may be handed from epoch to epoch.

    Inside the block, InputError ends the run with one line: an utterance that cannot be read (more than
    ``data.max_bad``), or a reading process that was killed.
    """

    def __init__(
        self, batches: TrainingBatches, prepare: Preparation, workers: int = 0,
        numbers: Sequence[int] | None = None, unreadable: list[str] | None = None,
    ):  # fmt: skip
        self.batches, self.prepare = batches, prepare
        self.numbers = range(len(batches)) if numbers is None else numbers
        self.unreadable = [] if unreadable is None else unreadable
        self.waited = self.seconds = 0.0  # for data, and altogether
        self._workers, self._on_cpu = workers, prepare.device.type == "cpu"
        self._items = None
        self._fetcher: ShardFetcher | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def data_wait(self) -> float:
        """The share of the time so far in which the training waited for a batch."""
        return self.waited / self.seconds if self.seconds else 0.0

    def __enter__(self) -> "ReadAhead":
        dataset = _Items(self.batches, self.prepare if self._on_cpu else None)
        context = "fork" if self._workers else None  # memory maps and open files are shared, nothing is copied
        with _signals_held(), warnings.catch_warnings():  # more processes than cores are the user's choice
            warnings.filterwarnings("ignore", message="This DataLoader will create")
            warnings.filterwarnings("ignore", message="This process .* is multi-threaded")  # Python 3.12 and later
            self._items = iter(
                DataLoader(
                    dataset, batch_size=None, sampler=self.numbers, num_workers=self._workers, collate_fn=_as_it_is,
                    multiprocessing_context=context, generator=torch.Generator(),  # not the network's: it draws a seed
                )
            )  # fmt: skip
        if self.batches.data.fetch == "shards" and len(self.numbers):
            self._fetcher = ShardFetcher(self.batches.plan.windows, self.batches.utterances.table.shards)
            self._fetcher.reach(self.batches.plan.window_of(self.numbers[0]))
            self._fetcher.start()  # after the processes: they must not inherit a thread's locks
        return self

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        start = time.monotonic()
        for number in self.numbers:
            if self._fetcher is not None:
                self._fetcher.reach(self.batches.plan.window_of(number))
            before = time.monotonic()
            item = next(self._items)
            now = time.monotonic()
            self.waited, self.seconds = self.waited + now - before, now - start
            if isinstance(item, InputError):
                raise item
            raw_or_ready, unreadable = item
            self._count(unreadable)
            yield raw_or_ready if self._on_cpu else self.prepare(raw_or_ready)
            self.seconds = time.monotonic() - start

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        died = isinstance(error, RuntimeError) and "DataLoader worker" in str(error)
        if died:
            _kill(self._items)
        self._items = None  # ends the processes
        if self._fetcher is not None:
            self._fetcher.stop()
        if died:
            reason = " ".join(str(error).split("\n")[0].split())
            raise InputError(
                f"a process that reads training data died ({reason}): out of memory, or of room in /dev/shm? "
                "Run again with fewer --num-workers: the training goes on from its last checkpoint"
            ) from None

    def _count(self, unreadable: list[str]) -> None:
        for message in unreadable:
            if message not in self.unreadable:
                logger.warning("left out: %s", message)
                self.unreadable.append(message)
        if len(self.unreadable) > self.batches.data.max_bad:
            raise too_many(self.unreadable, self.batches.data.max_bad)


class _Items(Dataset):
    """What a reading process makes of a number: (batch, utterances left out), or the InputError that ends the run."""

    def __init__(self, batches: TrainingBatches, prepare: Preparation | None):
        self.batches, self.prepare = batches, prepare

    def __getitem__(self, number: int) -> tuple[RawBatch | tuple[torch.Tensor, torch.Tensor], list[str]] | InputError:
        try:
            raw = self.batches[number]
        except InputError as error:  # as a value: raised here, it would come with the other process's traceback
            return error
        if self.prepare is None:
            return raw, raw.unreadable
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as in a reading process: sums over several threads have other last bits
        try:
            return self.prepare(raw), raw.unreadable
        finally:
            torch.set_num_threads(threads)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Processes that are started inside never get what asks a training to stop, which is sent to all of its group.

    They inherit the mask; the training ends them itself.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(items: Any) -> None:
    """End the reading processes of a DataLoader's iterator after one of them has died.

    Not politely, as the iterator would: a lock that was held by the dead one is never given back. And at once: until
    then PyTorch's handler of SIGCHLD raises for each further death wherever the main thread happens to be.
    """
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    items._shutdown = True
    _remove_worker_pids(id(items))
    items._worker_pids_set = False
    for process in items._workers:
        process.kill()
    for process in items._workers:
        process.join()
    for queue in items._index_queues:
        queue.cancel_join_thread()
        queue.close()
    signal.signal(signal.SIGCHLD, before)


def _as_it_is(item: object) -> object:
    return item


class ShardFetcher:
    """A thread that reads the shards of the coming window from end to end, so that they are in the page cache.

    For network file systems, which are fast in a row and slow in pieces: the reading processes then find their slices
    in memory. At most the window in use and the next one are fetched; nothing is kept in this process. What cannot be
    read is left to those who need it.
    """

    def __init__(self, windows: Sequence[Sequence[int]], shards: Sequence[str]):
        self.fetched: list[str] = []  # in the order of reading
        self._windows, self._shards = windows, shards
        self._reached, self._stopped = 0, False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="shard fetcher", daemon=True)

    def start(self) -> None:
        """Begin with the first window."""
        self._thread.start()

    def reach(self, window: int) -> None:
        """Training is in this window now."""
        with self._changed:
            self._reached = window
            self._changed.notify()

    def stop(self) -> None:
        """End, in the middle of a shard if need be."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        for number, window in enumerate(self._windows):
            with self._changed:
                self._changed.wait_for(lambda number=number: self._stopped or number <= self._reached + 1)
            for shard in window:
                if self._stopped or number < self._reached:  # as at a resume: what is over is not read again
                    break
                self._fetch(self._shards[shard])

    def _fetch(self, path: str) -> None:
        try:
            with open(path, "rb", buffering=0) as file:
                block = bytearray(_BLOCK)
                while not self._stopped and file.readinto(block):
                    pass
            if not self._stopped:
                self.fetched.append(path)
        except OSError as error:
            logger.warning("cannot fetch %s: %s", path, error)
