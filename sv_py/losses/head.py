"""The classifier's rows, one or several for each speaker, kept by the speaker's name."""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv_py.cli import InputError, first_few
from sv_py.losses.arguments import FullArguments
from sv_py.losses.base import Loss
from sv_py.losses.shards import OneShard

_BLOCK = 4096  # speakers whose rows are drawn at once


class Head(nn.Module):
    """All rows, all of them in every step; with ``shards``, this process's share of them.

    ``head(embeddings (B, D), labels (B,))`` -> the mean loss, and whether each label's speaker was nearest (B,); labels
    are places in ``speakers``. It computes in the rows' type, float32, whatever autocast says. A step of the optimiser
    is one `begin_step`, and any number of forwards, whose gradients add up; in eval mode a forward belongs to none.

    With shards, every process brings a batch of its own, of one size. The loss is the mean over all of them, and its
    exact gradient arrives at the process's embeddings and rows. What all processes share, backbone, parameters of the
    loss and `shared_gradients`, gets on each a part of the exact gradient: add these up over processes.

    Raises InputError for fewer than two speakers, for fewer than shards, and for a name twice.
    """

    state_keys = frozenset({"speakers", "rows", "optimizer", "loss"})
    needs_labels = False  # whether `begin_step` does

    def __init__(
        self, arguments: FullArguments, loss: Loss, embedding_dim: int, speakers: Sequence[str], seed: int = 0,
        shards: OneShard | None = None,
    ):  # fmt: skip
        super().__init__()
        self.loss, self.embedding_dim, self.seed = loss, embedding_dim, seed
        self.shards = shards or OneShard()
        self.speakers: list[str] = []
        self.optimizer: torch.optim.Optimizer | None = None
        self.rows = nn.Parameter(torch.empty(0, *loss.row_shape(embedding_dim)))  # (n, K, D)
        self._set_rows(self.rows.detach())
        self.select(speakers)

    def begin_step(self, labels: Tensor) -> None:
        """Begin a step whose utterances, of all batches and processes, have ``labels`` (N,), best on the CPU."""

    def forward(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, and whether each utterance was recognised (B,)."""
        if labels.is_cpu and not ((labels >= 0) & (labels < len(self.speakers))).all():  # a GPU says so by itself
            raise IndexError(f"a label is no number of one of {len(self.speakers)} speakers")
        shards, mine = self.shards, slice(self.shards.rank * len(labels), (self.shards.rank + 1) * len(labels))
        with torch.autocast(embeddings.device.type, enabled=False):
            batch = shards.gather(embeddings.to(self.rows.dtype)).flatten(0, 1)
            places = shards.gather(labels).flatten() - self.span.start
            places = torch.where((places < 0) | (places >= len(self.span)), -1, places)
            rows, places = self._rows_of_step(places)
            losses, correct = self.loss(self.loss.similarities(batch, rows), places, shards)
            return shards.total(losses[mine].sum() / len(batch)), correct[mine]

    def row_gradient(self) -> Tensor | None:
        """The gradient of the step's rows, as far as this process has it; what is done to it in place counts."""
        return self.rows.grad

    def shared_gradients(self) -> list[Tensor]:
        """What is to be added up over processes, besides the gradients of backbone and loss: of rows that all have."""
        gradient = self.row_gradient()
        return [] if gradient is None or self.shards.count > 1 else [gradient]

    @property
    def span(self) -> range:
        """Which speakers' rows this process has."""
        return self.shards.span(len(self.speakers))

    def select(self, speakers: Sequence[str], means: Mapping[str, Tensor] | None = None) -> None:
        """Make ``speakers`` the classes. Rows of known ones stay to the bit, others go, and new ones are drawn.

        A draw is Xavier's and depends on the seed, the new names and the number of speakers. The first row of a
        speaker in ``means``, who counts as new, points to that mean embedding (D,) instead. Optimisers are to be made
        anew after this.
        """
        if twice := [name for name, count in Counter(speakers).items() if count > 1]:
            raise InputError(f"speakers a second time: {first_few(twice)}")
        if len(speakers) < max(2, self.shards.count):
            raise InputError(f"a classifier needs two speakers or more, and one for each process, not {len(speakers)}")
        if list(speakers) == self.speakers and not means:
            return
        before = {name: i for i, name in enumerate(self.speakers) if name not in (means or {})}
        known = self.shards.collect(self._all_rows(), len(self.speakers)) if before else self._all_rows()
        self.speakers = list(speakers)
        mine = [self.speakers[i] for i in self.span]
        rows = self._draw([name for name in self.speakers if name not in before], mine, means or {}).to(known)
        places = torch.tensor([before.get(name, -1) for name in mine], device=known.device)
        rows[places >= 0] = known[places[places >= 0]]
        self._set_rows(rows)
        self.optimizer = None

    def _draw(self, new: Sequence[str], mine: Sequence[str], means: Mapping[str, Tensor]) -> Tensor:
        """Rows (n, K, D) of ``mine``: drawn for those that are ``new``, undefined for others."""
        centres, width = self.loss.row_shape(self.embedding_dim)
        bound = math.sqrt(6 / (len(self.speakers) * centres + self.embedding_dim))
        generator = generator_of(self.seed, *new)
        rows = torch.empty(len(mine), centres, width)
        place = {name: i for i, name in enumerate(mine)}
        for start in range(0, len(new), _BLOCK):  # all are drawn by every process, and only its own are kept
            names = new[start : start + _BLOCK]
            drawn = self.loss.draw_rows(len(names), self.embedding_dim, bound, generator)
            own = [i for i, name in enumerate(names) if name in place]
            rows[[place[names[i]] for i in own]] = drawn[own]
        for name in means.keys() & place.keys() & set(new):
            direction = F.normalize(means[name].to(rows), dim=0)
            rows[place[name], 0, : self.embedding_dim] = direction * bound * math.sqrt(self.embedding_dim / 3)
        return rows

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Know the optimiser that changes the rows, once it is made: its state of them is a part of `full_state`."""
        self.optimizer = optimizer

    def full_state(self) -> dict[str, Any]:
        """Names, all rows, the optimiser's state of them, parameters of the loss: whatever the number of shards.

        All processes must call it, and all get it.
        """
        count = len(self.speakers)
        state = {key: self._collect(value, count) for key, value in self._row_state().items()}
        rows = self.shards.collect(self._all_rows(), count)
        return {"speakers": self.speakers, "rows": rows, "optimizer": state, "loss": self.loss.state_dict()}

    def load_full_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `full_state` gave, by as many processes as it may be; an optimiser is followed already.

        Raises InputError if the state is one of other speakers or of another kind of head.
        """
        if differ := self.state_keys ^ state.keys():
            raise InputError(f"the head's state lacks or has too much: {first_few(sorted(differ))}")
        if state["speakers"] != self.speakers:
            raise InputError(f"the head's state is of {len(state['speakers'])} other speakers")
        shape = (len(self.speakers), *self.loss.row_shape(self.embedding_dim))
        for key, value in {"rows": state["rows"], **state["optimizer"]}.items():
            if value.shape != shape and (value.ndim or key == "rows"):
                raise InputError(f"the head's state has '{key}' of shape {tuple(value.shape)}, not {shape}")
        try:
            self.loss.load_state_dict(state["loss"])
        except RuntimeError as error:
            raise InputError(f"the head's state does not fit its loss: {error}") from None
        mine = slice(self.span.start, self.span.stop)
        self._set_rows(state["rows"][mine].to(self.rows, copy=True))
        kept = {key: value[mine] if value.ndim else value for key, value in state["optimizer"].items()}
        self._set_row_state({key: value.to(self.rows.device, copy=True) for key, value in kept.items()})

    def _collect(self, value: Tensor, count: int) -> Tensor:
        return self.shards.collect(value, count) if value.ndim else value  # without dimensions: a count of steps

    # What the rows of a step are, and where all of them lie, is the subclass's to choose.

    def _rows_of_step(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The rows that take part in a step, and the place of each label among them; labels (B,), -1: elsewhere."""
        return self.rows, labels

    def _all_rows(self) -> Tensor:
        return self.rows.detach()

    def _set_rows(self, rows: Tensor) -> None:
        self.rows.data, self.rows.grad = rows, None

    def _row_state(self) -> dict[str, Tensor]:
        """What the optimiser keeps for the rows."""
        state = self.optimizer.state.get(self.rows, {}) if self.optimizer else {}
        return {key: value for key, value in state.items() if isinstance(value, Tensor)}

    def _set_row_state(self, state: dict[str, Tensor]) -> None:
        if state:
            self.optimizer.state[self.rows] = state


def generator_of(*words: object) -> torch.Generator:
    """Random numbers that these words decide."""
    digest = hashlib.sha256("\n".join(map(str, words)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
