"""Sharded trainings in 4, then in 2 and in 3 processes: ``python sharded_job.py <folder>``.

Each process does the same with every loss and leaves ``<folder>/<processes>.<rank>.pt``. Its heads see its own part of
the batches of `heads.batch`.
"""

import copy
import multiprocessing
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from heads import SPEAKERS, VARIANTS, batch, make_head, make_loss

from sv_py.cli import InputError
from sv_py.train.arguments import SGDArguments
from sv_py.train.optimizers import sgd

FIRST, OTHERS = 4, (2, 3)  # numbers of processes
SIZE, STEPS = 12, 3  # of all batches together: 12 is divisible by the number of processes
SELECTED = ["new", *SPEAKERS[::-2], "another", "third"]


def part(rank: int, ranks: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a process has of a batch."""
    embeddings, labels = batch(SIZE, seed)
    mine = slice(SIZE * rank // ranks, SIZE * (rank + 1) // ranks)
    return embeddings[mine].requires_grad_(), labels[mine]


def train(head, optimizers: list, rank: int, ranks: int, steps: range) -> None:
    """Take steps, each with its own batch; what processes share is added up."""
    for step in steps:
        head.begin_step(batch(SIZE, step)[1])
        loss, _ = head(*part(rank, ranks, step))
        head.zero_grad()
        loss.backward()
        for parameter in head.loss.parameters() if ranks > 1 else ():
            dist.all_reduce(parameter.grad)
        for optimizer in optimizers:
            optimizer.step()


def measure(kind: str, variant: tuple, rank: int, ranks: int, state: dict | None, **arguments) -> dict:
    """What a head gives, and what becomes of it in training."""
    name, of_loss = variant
    head = make_head(make_loss(name, **of_loss), kind, **arguments)
    parameters = [head.rows], list(head.loss.parameters())
    optimizers = [sgd(SGDArguments(), part) for part in parameters if part]
    for optimizer in optimizers:
        optimizer.param_groups[0]["lr"] = 0.1
    head.follow(optimizers[0])
    if state:
        head.load_full_state(state)
    embeddings, labels = part(rank, ranks, seed=1)
    head.begin_step(batch(SIZE, 1)[1])
    loss, correct = head(embeddings, labels)
    loss.backward()
    found = {"loss": loss.detach(), "correct": correct, "embeddings": embeddings.grad, "span": list(head.span)}
    found["shared"] = [parameter.grad.clone() for parameter in head.loss.parameters()]
    found["rows"] = None if head.rows.grad is None else head.rows.grad.clone()
    head.zero_grad()
    found["begun"] = copy.deepcopy(head.full_state())
    train(head, optimizers, rank, ranks, range(10, 10 + STEPS))
    found["trained"] = copy.deepcopy(head.full_state())
    head.select(SELECTED)
    found["selected"] = head.full_state()
    return found


def refused(speakers: list[str]) -> str:
    """The message about speakers of whom a process would have none."""
    try:
        make_head(make_loss("am_softmax"), "sharded", speakers)
    except InputError as error:
        return str(error)
    return ""


def process(rank: int, ranks: int, top: Path) -> None:
    """Be one of so many processes: those of `FIRST` begin anew, others with what these have saved."""
    states = torch.load(top / "state.pt", weights_only=True) if ranks != FIRST else {}
    dist.init_process_group("gloo", init_method=f"file://{top}/meeting{ranks}", rank=rank, world_size=ranks)
    found = {}
    for i, variant in enumerate(VARIANTS):
        found[i] = measure("sharded", variant, rank, ranks, states.get(i))
    found["sampled"] = measure("sharded", ("aam_softmax", {}), rank, ranks, states.get("sampled"), rate=0.6)
    if ranks == FIRST and rank == 0:
        torch.save({key: value["trained"] for key, value in found.items()}, top / "state.pt")
    found["refused"] = refused(["a", "b", "c"])
    torch.save(found, top / f"{ranks}.{rank}.pt")
    dist.destroy_process_group()


def main() -> None:
    """Run them; a fork of this process, in which torch has not computed yet, begins at once."""
    torch.set_num_threads(1)
    for numbers in ((FIRST,), OTHERS):
        jobs = [(rank, ranks, Path(sys.argv[1])) for ranks in numbers for rank in range(ranks)]
        processes = [multiprocessing.get_context("fork").Process(target=process, args=job) for job in jobs]
        for one in processes:
            one.start()
        for one in processes:
            one.join()
        if any(one.exitcode for one in processes):
            sys.exit(1)


if __name__ == "__main__":
    main()
