"""Cosine and dot product."""

import numpy as np

from sv_py.cli import InputError
from sv_py.io.embeddings import Embeddings
from sv_py.scoring.backend import Backend, Side


class Dot(Backend):
    """Dot product of the two embeddings."""

    def project(self, centred: Embeddings) -> Side:
        """As they are."""
        return Side(centred.matrix)


class Cosine(Backend):
    """Cosine of the two embeddings."""

    def project(self, centred: Embeddings) -> Side:
        """Of length 1. Raises InputError that names a zero embedding."""
        norms = np.sqrt(np.einsum("nd,nd->n", centred.matrix, centred.matrix))
        zero = np.flatnonzero(norms == 0)
        if len(zero):
            raise InputError(f"{centred.ids[zero[0]]} has an embedding of zero length: no cosine")
        return Side(centred.matrix / norms[:, None])
