"""The processes of a training, each with a device of its own, and what they tell each other.

`connect` finds them by torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), which
``sv_py.launch`` sets as well.
"""

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from textwrap import shorten
from types import TracebackType

import torch
import torch.distributed as dist
from torch import Tensor

from sv_py.cli import InputError
from sv_py.log import logger
from sv_py.train.model import open_device
from sv_py.train.watchdog import Watchdog

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_COURTESY = 1.0  # seconds after which one that lost another ends: what started them sees who was first


class Processes:
    """One process, which needs none of torch.distributed. ``device`` is where it computes.

    A block of ``with`` takes leave of the others at its end, unless there is an error.
    """

    rank, count = 0, 1

    def __init__(self, device: torch.device):
        self.device = device

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:  # the others do not know of one, and would be waited for
            self.close()

    @property
    def first(self) -> bool:
        """Whether this one writes what all share."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """``values``, changed in place to the sum over all processes: the same bits on all of them."""
        return values

    def sum_async(self, values: Tensor) -> dist.Work | None:
        """As `sum`; ``values`` are to be left alone until ``wait()`` of what comes back, if not None."""
        return None

    def texts(self, texts: Sequence[str]) -> list[str]:
        """What any process brings, each once, in the order of ranks."""
        return list(dict.fromkeys(texts))

    def beat(self, what: str) -> None:
        """Tell the watchdog that there is progress, and what begins."""

    def close(self) -> None:
        """Take leave of the others."""


class Ranks(Processes):
    """One of several processes. Calls of one are to be those of all, in their order; `beat` is free.

    In a block of ``with``, that another process is gone is an InputError.
    """

    def __init__(self, device: torch.device, rank: int, count: int, watchdog: Watchdog):
        super().__init__(device)
        self.rank, self.count, self._watchdog = rank, count, watchdog

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if isinstance(error, RuntimeError) and (isinstance(error, dist.DistError) or "/gloo/" in str(error)):
            time.sleep(_COURTESY)
            raise InputError(f"rank {self.rank} lost the others: {shorten(str(error), 300)}") from None

    def sum(self, values: Tensor) -> Tensor:
        """As of the base class."""
        self._watchdog.meet()
        dist.all_reduce(values)
        return values

    def sum_async(self, values: Tensor) -> dist.Work | None:
        """As of the base class."""
        self._watchdog.meet()
        return dist.all_reduce(values, async_op=True)

    def texts(self, texts: Sequence[str]) -> list[str]:
        """As of the base class."""
        mine = json.dumps(list(texts)).encode()
        lengths = torch.zeros(self.count, dtype=torch.int64)
        lengths[self.rank] = len(mine)
        shares = torch.zeros(self.count, int(self.sum(lengths).max()), dtype=torch.uint8)
        shares[self.rank, : len(mine)] = torch.frombuffer(bytearray(mine), dtype=torch.uint8)
        self.sum(shares)
        found = [bytes(share[:length].tolist()) for share, length in zip(shares, lengths.tolist(), strict=True)]
        return list(dict.fromkeys(text for share in found for text in json.loads(share)))

    def beat(self, what: str) -> None:
        """As of the base class."""
        self._watchdog.beat(what)

    def close(self) -> None:
        """As of the base class."""
        self._watchdog.stop()
        dist.destroy_process_group()


def connect(device: str, timeout_minutes: float = 30.0) -> Processes:
    """This process and all that were started with it; ``cuda`` becomes the GPU of its number on this machine.

    A process that makes no progress for ``timeout_minutes`` ends, and names the one that all wait for. Raises
    InputError for a device that is not there, for variables that are missing or make no sense, and for a machine with
    fewer GPUs than processes.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return Processes(open_device(device))
    rank, count, local = _numbers(os.environ)
    on_gpu = device.partition(":")[0] == "cuda"
    if on_gpu:
        if local >= torch.cuda.device_count():
            raise InputError(f"process {local} of this machine has no GPU: there are {torch.cuda.device_count()}")
        device = f"cuda:{local}"  # the only one that is opened: each process takes memory of every GPU that it opens
        torch.cuda.set_device(local)
    place = open_device(device)
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    # torchrun and sv_py.launch keep the store themselves: it outlives a process that hangs or dies.
    keeps_store = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    store = dist.TCPStore(host, port, is_master=keeps_store, wait_for_workers=False)
    attempt = f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"  # torchrun's store keeps those before
    watchdog = Watchdog(dist.PrefixStore(attempt, store.clone()), rank, count, 60 * timeout_minutes)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpu else "gloo", rank=rank, world_size=count, device_id=place if on_gpu else None,
        store=dist.PrefixStore(f"group {attempt}", store),
        timeout=timedelta(minutes=2 * timeout_minutes + 1),  # the watchdog comes first: it says whose fault it is
    )  # fmt: skip
    if rank:
        logger.setLevel(logging.WARNING)  # the first process speaks for all
    watchdog.start()
    return Ranks(place, rank, count, watchdog)


def _numbers(variables: Mapping[str, str]) -> tuple[int, int, int]:
    """The process's number, how many there are, and its number on this machine."""
    if absent := [name for name in _VARIABLES if not variables.get(name)]:
        raise InputError(f"WORLD_SIZE is {variables['WORLD_SIZE']}, but {absent[0]} is not set: start with torchrun")
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"):
        if not variables[name].isdecimal():
            raise InputError(f"the variable {name} is '{variables[name]}', no number")
    rank, count, local = (int(variables[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if rank >= count:
        raise InputError(f"RANK is {rank}, but there are {count} processes")
    return rank, count, local
