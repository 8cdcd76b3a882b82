"""What all back ends have in common: mean subtraction, scores as dot products, and files.

Every back end scores two embeddings x and y by s(x, y) = <a(x), a(y)> + c(x) + c(y): the cosine with a(x) = x / |x|,
PLDA with a projection and quadratic terms. So a set of embeddings is projected once, to a `Side`, and all that uses
scores (trials, cohorts of impostors) is written once, over dot products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sv_py.cli import InputError, first_few, near_miss
from sv_py.io.atomic import replace_file
from sv_py.io.conf import describe_part, parse_part
from sv_py.io.embeddings import Embeddings, StoredEmbeddings, add_groups, group_means
from sv_py.scoring import BACKENDS

Source = Embeddings | StoredEmbeddings  # what back ends are fitted to, in passes over blocks
_FORMAT = 1  # of the files of fitted back ends


@dataclass(frozen=True)
class Side:
    """Projected embeddings: ``vectors`` (n, d) and ``offsets`` (n,), or None where all are 0; one float type."""

    vectors: np.ndarray
    offsets: np.ndarray | None = None

    def average(self, rows: np.ndarray, sizes: np.ndarray) -> "Side":
        """Side of models that score as the mean of their utterances' scores; groups as those of `group_means`."""
        offsets = None if self.offsets is None else group_means(self.offsets[:, None], rows, sizes)[:, 0]
        return Side(group_means(self.vectors, rows, sizes), offsets)


def score_rows(enrol: Side, test: Side, rows: np.ndarray, block: int) -> np.ndarray:
    """Scores (N,) of the trials with ``rows`` (2, N) of the two sides; ``block`` of them at a time are in memory.

    Every trial is summed by itself, without BLAS: the same bits for any block, order or number of threads.
    """
    scores = np.empty(rows.shape[1], enrol.vectors.dtype)
    for start in range(0, len(scores), block):
        i, j = rows[:, start : start + block]
        found = scores[start : start + block]
        np.einsum("nd,nd->n", enrol.vectors[i], test.vectors[j], out=found)
        if enrol.offsets is not None:
            found += enrol.offsets[i] + test.offsets[j]
    return scores


class Backend:
    """A scoring back end. Subclasses have `project`, and `fit` if they fit more than a mean."""

    def __init__(self, arguments: Any):
        self.arguments = arguments
        self.state: dict[str, np.ndarray] = {}  # what was fitted, by name

    @property
    def needs_fit(self) -> bool:
        """Whether `fit` has to be called, or a fitted back end loaded, before it scores."""
        return self.arguments.mean != "none"

    @property
    def adapts(self) -> bool:
        """Whether `fit` takes embeddings of the domain that trials are of."""
        return False

    def fit(
        self, embeddings: Source, speakers: np.ndarray, domains: Sequence[str] | None = None,
        adaptation: Source | None = None,
    ) -> None:  # fmt: skip
        """Fit to embeddings whose speakers have the numbers ``speakers`` (n,), from 0 on.

        ``domains`` are needed where each has a mean of its own, ``adaptation`` where the back end `adapts`.
        """
        self._fit_means(embeddings, domains)

    def side(self, embeddings: Embeddings, domains: Sequence[str] | None = None) -> Side:
        """The side of ``embeddings``, whose ``domains`` are needed where each has a mean of its own.

        Raises InputError for another dimension than was fitted, unknown domains, and embeddings without a score.
        """
        vectors = offsets = None
        for part, block in embeddings.blocks():
            found = self.project(self.centre(block, domains and domains[part]))
            if vectors is None:
                count, dtype = len(embeddings.ids), found.vectors.dtype
                vectors = np.empty((count, found.vectors.shape[1]), dtype)
                offsets = None if found.offsets is None else np.empty(count, dtype)
            vectors[part] = found.vectors
            if offsets is not None:
                offsets[part] = found.offsets
        return Side(vectors, offsets)

    def score(self, enrol: Embeddings, test: Embeddings, rows: np.ndarray) -> np.ndarray:
        """Scores (N,) of the trials with ``rows`` (2, N) in the two matrices."""
        left = self.side(enrol)
        return score_rows(left, left if test is enrol else self.side(test), rows, self.arguments.block)

    def project(self, centred: Embeddings) -> Side:
        """The side of embeddings whose mean is subtracted already."""
        raise NotImplementedError

    def centre(self, embeddings: Embeddings, domains: Sequence[str] | None = None) -> Embeddings:
        """Embeddings with the fitted mean, or that of the domain of each, subtracted; as they are if there is none."""
        if not self.needs_fit:
            return embeddings
        means = self.state["means"].astype(embeddings.matrix.dtype)
        if means.shape[1] != embeddings.dimension:
            message = f"the back end was fitted to {means.shape[1]} dimensions; the embeddings have "
            raise InputError(message + str(embeddings.dimension))
        if self.arguments.mean == "domain":
            means = means[self._domain_rows(embeddings.ids, domains)]
        return Embeddings(embeddings.ids, embeddings.matrix - means)

    def _fit_means(self, embeddings: Source, domains: Sequence[str] | None = None) -> None:
        if self.arguments.mean == "none":
            return
        groups = np.zeros(len(embeddings.ids), int)
        if self.arguments.mean == "domain":
            self.state["domains"], groups = np.unique(_required(domains), return_inverse=True)
        sizes = np.bincount(groups)
        sums = np.zeros((len(sizes), embeddings.dimension))
        for part, block in embeddings.blocks():
            add_groups(sums, groups[part], block.matrix)
        self.state["means"] = sums / sizes[:, None]

    def _domain_rows(self, ids: Sequence[str], domains: Sequence[str] | None) -> np.ndarray:
        known = {name: row for row, name in enumerate(self.state["domains"].tolist())}
        for name, domain in zip(ids, _required(domains), strict=True):
            if domain not in known:
                message = f"{name} is of domain '{domain}'{near_miss(domain, known)}, and the back end has means of "
                raise InputError(message + first_few(known))
        return np.array([known[domain] for domain in domains])


def _required(domains: Sequence[str] | None) -> Sequence[str]:
    if domains is None:
        raise InputError("mean: domain needs to know the domain of each embedding: --utt2domain FILE")
    return domains


def save_backend(path: str | Path, name: str, backend: Backend) -> None:
    """Write a fitted back end, ``name`` in BACKENDS, to one .npz file, whole or not at all."""
    part = describe_part("backend", name, backend.arguments)
    with replace_file(path, "wb") as file:
        np.savez(file, format=np.array(_FORMAT), part=np.array(part), **backend.state)


def load_backend(path: str | Path) -> tuple[str, Backend]:
    """Name and back end of a file of `save_backend`. Raises InputError for foreign, truncated and newer files."""
    if not Path(path).is_file():
        raise InputError("no such file", path)
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            form, part = int(arrays.pop("format")), str(arrays.pop("part"))
    except Exception as error:  # of damaged bytes, by which every check of zip and numpy may fail
        raise InputError(f"truncated or no back end of sv_py.fit_backend: {error}", path) from None
    if form != _FORMAT:
        raise InputError(f"is of format {form}, and this version reads format {_FORMAT}: fit the back end anew", path)
    name, arguments = parse_part(part, path, "backend", BACKENDS)
    backend = BACKENDS.build(name, arguments)
    backend.state = arrays
    return name, backend
