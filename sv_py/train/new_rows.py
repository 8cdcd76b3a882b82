"""Where the rows of new speakers begin: at the mean of their embeddings by what is trained already."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sv_py.data.batches import class_names
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.joined import JoinedTable
from sv_py.data.samplers import by_speaker
from sv_py.data.still_batches import StillBatches
from sv_py.data.table import UtteranceTable
from sv_py.models.backbone import Backbone
from sv_py.schema import Data, Phase
from sv_py.train.distributed import Processes
from sv_py.train.projection import project

_MOST = 8  # crops of a class


def mean_embeddings(
    network: Backbone, utterances: FeatureSet | AudioSet, phase: Phase, data: Data, names: Sequence[str],
    device: torch.device, processes: Processes, workers: int = 0, unreadable: list[str] | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """The mean of each of the new classes ``names``, up to its length: (head_dim,), on the CPU.

    It is that of normalised embeddings as the classifier sees them, of crops from the middle of up to 8 utterances that
    lie evenly among the speaker's, at the speed of the class. Nothing is drawn. All ``processes`` must call it, and all
    get it. A class of which nothing can be read is left out. ``workers``, ``unreadable``, errors: as of `ReadAhead`.
    """
    number = {name: k for k, name in enumerate(class_names(utterances.speakers, phase.augment.speed))}
    classes = np.array([number[name] for name in names])
    speeds, speakers = np.divmod(classes, len(utterances.table.speakers))
    rows, whose = _rows_of(utterances.table, speakers)
    batches = StillBatches(utterances, phase, data, rows, speeds[whose].astype(np.uint8))
    place = torch.full((len(number),), -1)  # of a label in `names`
    place[torch.from_numpy(classes)] = torch.arange(len(classes))
    sums = torch.zeros(len(classes), network.head_dim, dtype=next(network.parameters()).dtype)
    what = "means of new speakers"
    for _, embeddings, labels in project(network, batches, device, processes, workers, unreadable, what):
        sums.index_add_(0, place[labels], F.normalize(embeddings).to(sums))
    processes.sum(sums)
    found = sums.any(dim=1).tolist()
    return {name: mean for name, mean, is_there in zip(names, sums, found, strict=True) if is_there}


def _rows_of(table: UtteranceTable | JoinedTable, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of up to `_MOST` utterances of each of ``speakers`` (n,), and whose they are: places below n."""
    rows, first, count = by_speaker(table)
    first, count = first[speakers], count[speakers]
    taken = np.minimum(count, _MOST)
    whose = np.repeat(np.arange(len(speakers)), taken)
    k = np.arange(len(whose)) - np.repeat(np.cumsum(taken) - taken, taken)  # 0, 1... of each speaker
    return rows[first[whose] + (2 * k + 1) * count[whose] // (2 * taken[whose])], whose
