"""Numbers on held-out data after every epoch: error rates of new speakers, loss on new utterances of known ones."""

from pathlib import Path

import numpy as np
import torch

from sv_py.cli import InputError
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.still_batches import StillBatches
from sv_py.io.embeddings import Embeddings
from sv_py.io.trials import look_up, read_trials
from sv_py.losses.head import Head
from sv_py.models.backbone import Backbone
from sv_py.schema import Data, Phase
from sv_py.scoring.arguments import CosineArguments
from sv_py.scoring.cosine import Cosine
from sv_py.scoring.metrics import eer, min_dcf
from sv_py.train.distributed import Processes
from sv_py.train.model import embed
from sv_py.train.projection import project

_PRIOR = 0.01  # of a target trial


class Validation:
    """``validation(network, head, phase, processes)`` -> ``dev_eer`` and ``dev_min_dcf``, by cosine over ``trials``.

    With ``valid``, utterances of training speakers that do not train, also ``valid_loss`` and ``valid_accuracy``: of
    one crop from the middle of each, among all classes, with the phase's full margins, by which epochs compare
    while margins grow. Speakers without a row in the head are left out; if no one is left, so are both numbers.
    ``workers`` read those crops ahead.

    Processes share out the network's work; all get the same numbers, which have the same bits for any number of them.
    Network and head are left in evaluation mode. Raises InputError for unknown utterances in the trials.
    """

    def __init__(
        self, dev: FeatureSet | AudioSet, trials: Path, valid: FeatureSet | AudioSet | None, device: torch.device,
        data: Data | None = None, workers: int = 0,
    ):  # fmt: skip
        self.dev, self.valid, self.device = dev, valid, device
        listed = read_trials(trials)
        self.utts, self.rows = look_up(listed, dev, trials)
        self.target = listed.target
        self.data, self.workers = data or Data(), workers
        self.unreadable: list[str] = []  # messages: utterances of ``valid`` for which others stood in

    def __call__(self, network: Backbone, head: Head, phase: Phase, processes: Processes) -> dict[str, float]:
        """The numbers."""
        network.eval()
        head.eval()
        torch.backends.cudnn.benchmark = False  # each utterance has another length, and kernels would be tried anew
        numbers = self._error_rates(network, processes)
        if self.valid is not None:
            numbers |= self._losses(network, head, phase, processes)
        if phase.result.by not in numbers:
            raise InputError(
                f"phase {phase.name}: result.by {phase.result.by} needs held-out utterances (--valid-dir) of speakers "
                "that have a row in its head"
            )
        return numbers

    def _error_rates(self, network: Backbone, processes: Processes) -> dict[str, float]:
        matrix = torch.zeros(len(self.utts), network.embedding_dim)
        for k in range(processes.rank, len(self.utts), processes.count):
            processes.beat("embeddings of dev utterances")
            matrix[k] = torch.from_numpy(embed(network, self.dev, self.utts[k], self.device))
        embeddings = Embeddings(self.utts, processes.sum(matrix).numpy())
        scores = Cosine(CosineArguments()).score(embeddings, embeddings, self.rows)
        return {"dev_eer": eer(scores, self.target), "dev_min_dcf": min_dcf(scores, self.target, _PRIOR)}

    @torch.no_grad()
    def _losses(self, network: Backbone, head: Head, phase: Phase, processes: Processes) -> dict[str, float]:
        place = {name: k for k, name in enumerate(head.speakers)}
        places = torch.tensor([place.get(name, -1) for name in self.valid.speakers])
        head.loss.set_margins(1.0, **phase.margins)  # those of training are set in every step
        rows = np.flatnonzero(places.numpy()[self.valid.table.speaker] >= 0)
        if not len(rows):
            return {}
        batches = StillBatches(self.valid, phase, self.data, rows, np.zeros(len(rows), np.uint8))
        embeddings = torch.zeros(len(rows), network.head_dim, dtype=next(network.parameters()).dtype)
        labels = torch.zeros(len(rows), dtype=torch.int64)
        what = "loss on utterances held out"
        shares = project(network, batches, self.device, processes, self.workers, self.unreadable, what)
        for share, of_share, labels_of_share in shares:
            embeddings[share], labels[share] = of_share.to(embeddings), labels_of_share
        processes.sum(embeddings)
        processes.sum(labels)
        sums = torch.zeros(2, dtype=torch.float64)  # a divided head wants equal batches of all: each takes all crops
        for part, wanted in zip(embeddings.split(phase.micro_size), labels.split(phase.micro_size), strict=True):
            processes.beat(what)
            loss, correct = head(part.to(self.device), places[wanted].to(self.device))
            sums += torch.stack((loss.double() * len(part), correct.double().sum())).cpu()
        if not processes.first:
            sums.zero_()  # GPUs may differ in the last bits, and processes must not in whether a phase is over
        loss, accuracy = (processes.sum(sums) / len(rows)).tolist()
        return {"valid_loss": loss, "valid_accuracy": accuracy}
