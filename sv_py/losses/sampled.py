"""Partial FC: of very many speakers, some take part in each step."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sv_py.losses.arguments import SampledArguments
from sv_py.losses.base import Loss
from sv_py.losses.head import Head, generator_of
from sv_py.losses.shards import OneShard


class SampledHead(Head):
    """Of each shard's rows, those of the batch's speakers and others at random, ``rate`` of all together (An et al.
    2022). Only these are multiplied, get gradient, momentum and weight decay; the loss is over them alone.

    The draw is made by `begin_step`, and depends on the seed and the number of steps done by the optimiser that is
    followed; without one, nothing is learnt. ``drawn`` are the places of the speakers of a step, or None between steps.
    In eval mode the loss is over all of them.
    """

    state_keys = Head.state_keys | {"steps"}
    needs_labels = True
    drawn: Tensor | None

    def __init__(
        self, arguments: SampledArguments, loss: Loss, embedding_dim: int, speakers: Sequence[str], seed: int = 0,
        shards: OneShard | None = None,
    ):  # fmt: skip
        super().__init__(arguments, loss, embedding_dim, speakers, seed, shards)
        self.rate = arguments.rate
        self.steps = 0
        self._hooks = ()

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """As of the base class; it is handed the rows of a step, which then go back to their places."""
        super().follow(optimizer)
        for hook in self._hooks:
            hook.remove()
        self._hooks = (
            optimizer.register_step_pre_hook(self._hand_over),
            optimizer.register_step_post_hook(self._put_back),
        )
        self._kept = {}  # what the optimiser keeps for all rows

    def full_state(self) -> dict[str, Any]:
        """As of the base class, between steps, with their number."""
        return super().full_state() | {"steps": self.steps}

    def load_full_state(self, state: Mapping[str, Any]) -> None:
        """As of the base class."""
        super().load_full_state(state)
        self.steps = state["steps"]

    def begin_step(self, labels: Tensor) -> None:
        """As of the base class; draws the speakers that take part in the step."""
        needed = labels.cpu().unique() - self.span.start
        needed = needed[(needed >= 0) & (needed < len(self.span))]
        order = torch.rand(len(self.all_rows), generator=generator_of(self.seed, self.steps, self.span.start))
        order[needed] = 2.0
        size = max(len(needed), math.ceil(self.rate * len(order)))
        chosen = order.to(self.all_rows.device).topk(size, sorted=False).indices
        self.drawn = chosen.sort().values
        self._taken = self.all_rows[self.drawn].requires_grad_()

    def row_gradient(self) -> Tensor | None:
        """As of the base class."""
        return None if self._taken is None else self._taken.grad

    def _rows_of_step(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            return self.all_rows, labels
        if self.drawn is None:
            raise RuntimeError("a forward of a sampled head belongs to a step: call begin_step before")
        return self._taken, torch.where(labels < 0, -1, torch.searchsorted(self.drawn, labels))

    def _hand_over(self, *_: Any) -> None:
        """Give the optimiser the rows of this step, with their gradient and its own state of them."""
        if self.drawn is None:
            return
        super()._set_rows(self._taken.detach())
        self.rows.grad = self._taken.grad
        if self._kept:
            self.optimizer.state[self.rows] |= {k: v[self.drawn] if v.ndim else v for k, v in self._kept.items()}

    @torch.no_grad()
    def _put_back(self, *_: Any) -> None:
        """Take them back, with the state."""
        if self.drawn is None:
            return
        self.all_rows[self.drawn] = self.rows
        for key, value in super()._row_state().items():
            if value.ndim == 0:
                self._kept[key] = value
                continue
            if key not in self._kept:
                self._kept[key] = torch.zeros_like(self.all_rows)
            self._kept[key][self.drawn] = value
        self.drawn = self._taken = None
        self.steps += 1

    def _all_rows(self) -> Tensor:
        return self.all_rows

    def _set_rows(self, rows: Tensor) -> None:
        self.register_buffer("all_rows", rows)
        super()._set_rows(rows[:0].clone())
        self.drawn = self._taken = None
        self._kept: dict[str, Tensor] = {}

    def _row_state(self) -> dict[str, Tensor]:
        return self._kept

    def _set_row_state(self, state: dict[str, Tensor]) -> None:
        self._kept = state
