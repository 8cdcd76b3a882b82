"""Cosine scoring."""

import numpy as np

from sv_py.cli import InputError
from sv_py.io.embeddings import Embeddings
from sv_py.scoring.arguments import CosineArguments


class Cosine:
    """Cosine of the enrolment and the test embedding, in blocks: memory does not grow with the trials.

    Every trial is summed by itself, without BLAS: the same bits for any block, order or number of threads.
    """

    def __init__(self, arguments: CosineArguments):
        self.block = arguments.block

    def score(self, enrol: Embeddings, test: Embeddings, rows: np.ndarray) -> np.ndarray:
        """float32 scores (N,) of the trials with ``rows`` (2, N). Raises InputError that names a zero embedding."""
        enrol_scale, test_scale = _inverse_norms(enrol), _inverse_norms(test)
        scores = np.empty(rows.shape[1], np.float32)
        for start in range(0, len(scores), self.block):
            i, j = rows[:, start : start + self.block]
            products = np.einsum("nd,nd->n", enrol.matrix[i], test.matrix[j])
            scores[start : start + self.block] = products * enrol_scale[i] * test_scale[j]
        return scores


def _inverse_norms(embeddings: Embeddings) -> np.ndarray:
    norms = np.sqrt(np.einsum("nd,nd->n", embeddings.matrix, embeddings.matrix))
    zero = np.flatnonzero(norms == 0)
    if len(zero):
        raise InputError(f"{embeddings.ids[zero[0]]} has an embedding of zero length: no cosine")
    return 1 / norms
