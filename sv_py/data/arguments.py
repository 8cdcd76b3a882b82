"""Arguments of the samplers. Torch-free."""

from dataclasses import dataclass
from typing import ClassVar

from sv_py.cli import InputError


@dataclass(frozen=True)
class UniformArguments:
    """Every utterance equally often, in an order that is shuffled by shards and within windows of them."""

    makes_batches: ClassVar[bool] = False  # its crops are shuffled by the plan

    by_length: bool = False  # in proportion to its length instead

    def check(self, batch_size: int) -> None:
        """Any batch size will do."""


@dataclass(frozen=True)
class SpeakerBalancedArguments:
    """A speaker drawn uniformly, then one of its utterances uniformly."""

    makes_batches: ClassVar[bool] = False

    def check(self, batch_size: int) -> None:
        """Any batch size will do."""


@dataclass(frozen=True)
class SpeakersTimesUttsArguments:
    """Batches of several utterances of each of their speakers."""

    makes_batches: ClassVar[bool] = True  # in their order: the plan leaves it as it is

    speakers: int = 32  # different ones in a batch
    utts: int = 2  # of each

    def __post_init__(self):
        if self.speakers < 1 or self.utts < 1:
            raise InputError(f"speakers and utts must be at least 1, not {self.speakers} and {self.utts}")

    def check(self, batch_size: int) -> None:
        """Raise InputError unless a batch is speakers x utts."""
        if batch_size != self.speakers * self.utts:
            raise InputError(
                f"sampler: {self.speakers} speakers times {self.utts} utts are {self.speakers * self.utts}, "
                f"and batch_size is {batch_size}"
            )
