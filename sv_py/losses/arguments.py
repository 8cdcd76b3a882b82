"""Arguments of the losses; imports no torch, so that a YAML is checked at once."""

import math
from dataclasses import dataclass

from sv_py.cli import InputError


@dataclass(frozen=True)
class AAMArguments:
    """Additive angular margin softmax. Raises InputError for a margin or scale outside its range."""

    margin: float = 0.2  # radians added to the angle between an embedding and its speaker
    scale: float = 32.0  # factor of the cosines before the softmax

    def __post_init__(self):
        if not 0 <= self.margin < math.pi / 2:
            raise InputError(f"margin must be at least 0 and below pi/2 radians, not {self.margin}")
        if not 0 < self.scale < math.inf:
            raise InputError(f"scale must be positive, not {self.scale}")
