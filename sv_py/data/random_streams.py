"""Independent streams of random numbers, one for each thing that is drawn and each place where it is drawn.

What is drawn somewhere depends on the seed and that place only, never on what was drawn before: so any number of
processes, and any point of resume, draws the same.
"""

from enum import IntEnum

import numpy as np


class Kind(IntEnum):
    """What a stream is for. The numbers are part of every result: never change or use one again."""

    ORDER = 0  # of an epoch's crops: words (epoch,)
    MASK = 1  # stripes of a crop: (epoch, utterance, which of its visits in the epoch)
    LENGTH = 2  # of a batch's crops: (epoch, batch)
    ITEM = 3  # where a crop begins, and its augmentation: (epoch, utterance, which of its visits in the epoch)
    DITHER = 4  # of a batch: (epoch, batch)
    NETWORK = 5  # what network and head draw in a training step, such as dropout: (epoch, step)


def stream(seed: int, kind: Kind, *words: int) -> np.random.Generator:
    """The stream of one place, named by up to three whole numbers (Philox4x64: they are words of its counter).

    Streams of different seeds, kinds or words are independent; each has 2^64 blocks of its own. Philox: Salmon et
    al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    counter = [0, *words[::-1]]
    counter[1:1] = [0] * (4 - len(counter))
    return np.random.Generator(np.random.Philox(key=[seed, kind], counter=counter))
