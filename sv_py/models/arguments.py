"""Arguments of the backbones; imports no torch, so that a YAML is checked at once."""

from dataclasses import dataclass

from sv_py.cli import InputError, near_miss

POOLINGS = ("tsp", "asp")


@dataclass(frozen=True)
class ResNetArguments:
    """A 2-D residual network of basic blocks. Raises InputError for values that make no network."""

    width: int = 32  # channels of the first stage; each next stage doubles them
    blocks: tuple[int, ...] = (3, 4, 6, 3)  # residual blocks of each stage; (3, 4, 6, 3) makes 34 layers
    pooling: str = "tsp"  # tsp: mean and deviation over time; asp: the same, weighted by attention
    attention_channels: int = 128  # bottleneck of the attention; asp only
    embedding_dim: int = 256  # values of the embedding

    def __post_init__(self):
        _positive(self, "width", "attention_channels", "embedding_dim")
        if not self.blocks or min(self.blocks) < 1:
            raise InputError(f"blocks must be one or more positive numbers, not {list(self.blocks)}")
        if self.pooling not in POOLINGS:
            known = ", ".join(POOLINGS)
            raise InputError(f"unknown pooling '{self.pooling}'{near_miss(self.pooling, POOLINGS)}; known: {known}")


@dataclass(frozen=True)
class ECAPAArguments:
    """An ECAPA-TDNN. Raises InputError for values that make no network."""

    channels: int = 1024  # of the frame layers
    scale: int = 8  # groups of a Res2Net block; divides channels
    pooled_channels: int = 1536  # what the blocks' outputs are mapped to before pooling
    attention_channels: int = 128  # bottleneck of the attentive pooling
    embedding_dim: int = 192  # values of the embedding

    def __post_init__(self):
        _positive(self, "channels", "pooled_channels", "attention_channels", "embedding_dim")
        if self.scale < 2 or self.channels % self.scale:
            raise InputError(f"scale must be at least 2 and divide channels ({self.channels}), not {self.scale}")


def _positive(arguments: object, *names: str) -> None:
    for name in names:
        if getattr(arguments, name) < 1:
            raise InputError(f"{name} must be positive, not {getattr(arguments, name)}")
