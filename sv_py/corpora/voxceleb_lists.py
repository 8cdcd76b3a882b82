"""VoxCeleb1's trial lists: which one a file is, by its digest or by its counts.

SHA-256 is that of the raw lists' copies in `voxceleb_package`, whose MD5 is the published one. Of the cleaned lists
only MD5 sums are public (PaddleSpeech, examples/dataset/voxceleb); the counts are in its table of trial lists.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sv_py.io.download import matches
from sv_py.io.trials import Trials, read_trials


@dataclass(frozen=True)
class TrialList:
    """A published list: its ``name`` here and there (``file``), trials and target trials, and `algorithm:digest`."""

    name: str
    file: str
    trials: int
    targets: int
    digest: str


LISTS = (
    TrialList(
        "O", "veri_test.txt", 37_720, 18_860,
        "sha256:303b2b657042a27bf465d4c8aa84e12765373cdc01046665241ccd5783bd5976",
    ),
    TrialList(
        "E", "list_test_all.txt", 581_480, 290_743,
        "sha256:9048088123377f652694679df99ec3282939f2b7ef6d299b20f410df7051b20b",
    ),
    TrialList(
        "H", "list_test_hard.txt", 552_536, 276_270,
        "sha256:33271aa73d7d4ad049d1703d261c6229b2860b358cec466cdbde5a3e02ceb59c",
    ),
    TrialList("O_cleaned", "veri_test2.txt", 37_611, 18_802, "md5:b73110731c9223c1461fe49cb48dddfc"),
    TrialList("E_cleaned", "list_test_all2.txt", 579_818, 289_921, "md5:a53e059deb562ffcfc092bf5d90d9f3a"),
    TrialList("H_cleaned", "list_test_hard2.txt", 550_894, 275_488, "md5:857790e09d579a68eb2e339a090343c8"),
)  # fmt: skip


@dataclass(frozen=True)
class Recognised:
    """A trial list with what it is: ``known`` is None for another list; ``exact``: byte for byte as published."""

    trials: Trials
    known: TrialList | None
    exact: bool

    def describe(self) -> str:
        """In words: counts, which list it is, and what is odd about it."""
        trials, targets = len(self.trials), int(self.trials.target.sum())
        text = f"{trials:,} trials, {targets:,} of them targets: "
        if self.exact:
            text += f"Vox1-{self.known.name}, byte for byte as published"
        elif self.known:
            text += f"the counts of Vox1-{self.known.name}, but not its bytes (converted, sorted or altered)"
        else:
            text += "none of the published lists of VoxCeleb1"
        mirrored, same = _oddities(self.trials)
        for count, what in (
            (self.trials.repeated, "repeated"),
            (mirrored, "repeated the other way round"),
            (same, "of an utterance with itself"),
        ):
            if count:
                text += f"; {count:,} {what}"
        return text


def recognise(path: Path) -> Recognised:
    """Read a trial list of either format and say which it is. Raises InputError as `read_trials` does."""
    trials = read_trials(path)
    counts = len(trials), int(trials.target.sum())
    known = next((known for known in LISTS if (known.trials, known.targets) == counts), None)
    return Recognised(trials, known, known is not None and matches(path.read_bytes(), known.digest))


def _oddities(trials: Trials) -> tuple[int, int]:
    """Pairs of which the mirror image is there, too, and trials of an utterance with itself."""
    size = len(trials.ids)
    enrol, test = trials.enrol.astype(np.int64), trials.test.astype(np.int64)
    different = enrol != test
    pairs, mirrors = enrol * size + test, test * size + enrol
    both = np.intersect1d(pairs[different], mirrors[different])
    return len(both) // 2, int((~different).sum())
