"""Scoring of trials. A back end is built from its arguments and has one method:

``score(enrol: Embeddings, test: Embeddings, rows: int array (2, N)) -> scores (N,)``, where ``rows`` are
the trials' rows in the two matrices and a higher score means the same speaker.
"""

from sv_py.registry import Table
from sv_py.scoring.arguments import CosineArguments

BACKENDS = Table("scoring back end", {"cosine": (CosineArguments, "sv_py.scoring.cosine:Cosine")})
