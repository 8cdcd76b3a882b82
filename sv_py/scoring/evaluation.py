"""All that results.json says of a score file: metrics, intervals, breakdowns, and which trials they are of."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from sv_py.io.scores import Scores
from sv_py.scoring.bootstrap import intervals, metric_replicates, speakers_by_table, speakers_by_trials
from sv_py.scoring.breakdown import Attribute, break_down
from sv_py.scoring.metrics import summarise

_BLOCK = 1 << 16  # trials digested at once


def evaluate(
    trials: Scores, utt2spk: Mapping[str, str], attributes: Sequence[Attribute] = (), calibrated: bool = False,
    replicates: int = 0, seed: int = 0,
) -> dict:  # fmt: skip
    """What results.json has of labelled scores; ``intervals`` and ``bootstrap`` are None without replicates.

    ``utt2spk`` may be empty: then ids that target trials connect are one speaker. ``calibrated`` scores are natural-log
    likelihood ratios. Raises InputError for one kind of trials only, ids without speaker or without an attribute.
    """
    result = summarise(trials.scores, trials.target, calibrated)
    speakers = find_speakers(trials, utt2spk)
    found = metric_replicates(trials, speakers, replicates, seed, calibrated)
    result |= {"intervals": intervals(found), "bootstrap": None}
    if replicates:
        result["bootstrap"] = {
            "unit": "speaker",
            "speakers": int(speakers.max()) + 1,
            "speakers_from": "utt2spk" if utt2spk else "target trials",
            "replicates": len(found),
            "seed": seed,
        }
    by = {
        attribute.name: break_down(
            trials, attribute.groups(trials, utt2spk), result["eer_threshold"], speakers, replicates, seed, calibrated
        )
        for attribute in attributes
    }
    result["by"] = {name: groups for name, groups in by.items() if groups}
    result["trials_sha256"] = trials_digest(trials)
    return result


def find_speakers(trials: Scores, utt2spk: Mapping[str, str]) -> np.ndarray:
    """Speaker index of each id, of ``utt2spk`` or, where that is empty, of the target trials."""
    return speakers_by_table(trials, utt2spk) if utt2spk else speakers_by_trials(trials, trials.target)


def trials_digest(trials: Scores) -> str:
    """SHA-256 of the trials as Kaldi writes them: results are comparable if these are equal."""
    digest = hashlib.sha256()
    names = np.array(trials.ids, dtype=object)
    words = np.array(["nontarget", "target"], dtype=object)
    for start in range(0, len(trials), _BLOCK):
        part = slice(start, start + _BLOCK)
        columns = (names[trials.enrol[part]], names[trials.test[part]], words[trials.target[part].astype(int)])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        digest.update("".join([f"{enrol} {test} {label}\n" for enrol, test, label in rows]).encode())
    return digest.hexdigest()
