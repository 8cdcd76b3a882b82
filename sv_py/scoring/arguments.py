"""Arguments of the scoring back ends."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CosineArguments:
    """Cosine of two embeddings."""

    block: int = 1024  # trials scored at once; small blocks stay in the cache
