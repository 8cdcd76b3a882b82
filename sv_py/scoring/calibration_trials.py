"""Trials for calibration: target and non-target, of short and of long utterances, drawn by a seed.

Kinds are those of Thienpondt et al. (2021): both sides short, one of each, both long. A kind has as many non-target as
target trials: otherwise the durations alone would tell targets from non-targets, and a regression would learn that.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sv_py.cli import InputError

KINDS = (("short", "short"), ("short", "long"), ("long", "long"))
_ALL = 4  # where so many times the wanted trials are possible, drawing finds them soon; else all are written down


@dataclass(frozen=True)
class Drawn:
    """``lines`` of a trial list, and of each kind how many trials there are of each label, and of how many possible."""

    lines: list[str]
    found: dict[str, int]
    possible: dict[str, tuple[int, int]]


class _Pool:
    """Utterances sorted by speaker; ``first[s]`` to ``first[s + 1]`` are those of speaker s."""

    def __init__(self, utts: np.ndarray, speakers: np.ndarray, count: int):
        order = np.argsort(speakers, kind="stable")
        self.utts, self.speakers = utts[order], speakers[order]
        self.sizes = np.bincount(speakers, minlength=count)
        self.first = np.cumsum(self.sizes) - self.sizes


def draw_trials(
    utt2spk: Mapping[str, str], seconds: Mapping[str, float], short: tuple[float, float], long: float, per_kind: int,
    seed: int, groups: Mapping[str, str] | None = None,
) -> Drawn:  # fmt: skip
    """Trials `enrol test target|nontarget` of the utterances of ``utt2spk``, shuffled.

    A short one lasts ``short[0]`` to ``short[1]`` ``seconds``, a long one more than ``long``; others are not used.
    There are ``per_kind`` of each kind and label, or as many as both labels can have. No utterance meets itself and no
    two meet twice, in either order. Target trials are spread over the speakers as evenly as these allow. Non-target
    trials are of one group, such as a gender, where ``groups`` tells that of each speaker. Raises InputError where no
    kind has any.
    """
    names = sorted(utt2spk)
    known = sorted(set(utt2spk.values()))
    index = {speaker: k for k, speaker in enumerate(known)}
    speakers = np.array([index[utt2spk[name]] for name in names])
    group_names = sorted(set(groups[speaker] for speaker in known)) if groups else [""]
    group = np.array([group_names.index(groups[speaker]) if groups else 0 for speaker in known])
    lasting = np.array([seconds[name] for name in names])
    chosen = {"short": (lasting >= short[0]) & (lasting <= short[1]), "long": lasting > long}
    pools = {kind: _Pool(np.flatnonzero(mask), speakers[mask], len(known)) for kind, mask in chosen.items()}

    random = np.random.default_rng(seed)
    lines: list[str] = []
    found, possible = {}, {}
    for one, other in KINDS:
        sides = pools[one], pools[other]
        counts = _count_targets(*sides), _count_nontargets(*sides, group)
        number = min(per_kind, int(counts[0].sum()), counts[1])
        targets = _draw_targets(*sides, counts[0], number, random)
        nontargets = _draw_nontargets(*sides, group, counts[1], number, random)
        for pairs, label in ((targets, "target"), (nontargets, "nontarget")):
            swapped = random.random(number) < 0.5  # so that neither side is always the shorter
            pairs = np.where(swapped, pairs[::-1], pairs)
            lines += [f"{names[a]} {names[b]} {label}" for a, b in pairs.T.tolist()]
        found[f"{one}-{other}"], possible[f"{one}-{other}"] = number, (int(counts[0].sum()), counts[1])
    if not lines:
        raise InputError(
            f"no trials: of {len(names)} utterances of {len(known)} speakers, {chosen['short'].sum()} last "
            f"{short[0]:g} to {short[1]:g} s and {chosen['long'].sum()} more than {long:g} s: no speaker has two; "
            "choose other limits, or keep more utterances of each speaker"
        )
    return Drawn([lines[k] for k in random.permutation(len(lines))], found, possible)


def _count_targets(one: _Pool, other: _Pool) -> np.ndarray:
    """Possible target trials of each speaker."""
    return one.sizes * (one.sizes - 1) // 2 if one is other else one.sizes * other.sizes


def _count_nontargets(one: _Pool, other: _Pool, group: np.ndarray) -> int:
    """Possible non-target trials, those within groups."""
    totals = [np.bincount(group, pool.sizes).astype(np.int64) for pool in (one, other)]
    pairs = int((totals[0] * totals[1]).sum() - (one.sizes * other.sizes).sum())
    return pairs // 2 if one is other else pairs


def _draw_targets(one: _Pool, other: _Pool, counts: np.ndarray, number: int, random: np.random.Generator) -> np.ndarray:
    """(2, number) utterances; each speaker has as many trials as the others, as far as his utterances allow."""
    if not number:
        return np.empty((2, 0), np.int64)
    most = 1 + bisect_left(range(1, int(counts.max())), number, key=lambda q: int(np.minimum(counts, q).sum()))
    able = np.flatnonzero(counts)
    drawn = [random.choice(counts[s], min(counts[s], most), replace=False) for s in able]
    speaker = np.repeat(able, [len(ranks) for ranks in drawn])
    is_last = np.concatenate([np.arange(len(ranks)) == most - 1 for ranks in drawn])
    rank = np.concatenate(drawn)
    surplus = random.choice(np.flatnonzero(is_last), len(rank) - number, replace=False)
    speaker, rank = np.delete(speaker, surplus), np.delete(rank, surplus)
    if one is other:  # the pairs i < j of a speaker in the order 01 02 12 03 13 23 ...
        j = ((1 + np.sqrt(1 + 8 * rank)) / 2).astype(np.int64)
        i = rank - j * (j - 1) // 2
    else:
        i, j = np.divmod(rank, other.sizes[speaker])
    return np.stack([one.utts[one.first[speaker] + i], other.utts[other.first[speaker] + j]])


def _draw_nontargets(
    one: _Pool, other: _Pool, group: np.ndarray, possible: int, number: int, random: np.random.Generator
) -> np.ndarray:
    """(2, number) utterances of different speakers of one group, each pair once."""
    if possible <= _ALL * number:
        pairs = _all_nontargets(one, other, group)
        return pairs[:, random.choice(possible, number, replace=False)]
    able = [np.flatnonzero(pool.sizes) for pool in (one, other)]
    total = len(one.utts) + len(other.utts)
    keys = np.empty(0, np.int64)
    while len(keys) < number:
        a, b = (random.choice(speakers, 2 * number) for speakers in able)
        rows = [pool.first[s] + random.integers(pool.sizes[s]) for pool, s in ((one, a), (other, b))]
        rows = np.stack(rows)[:, (a != b) & (group[a] == group[b])]
        if one is other:
            rows.sort(axis=0)
        keys = np.concatenate([keys, rows[0] * total + rows[1]])
        keys = keys[np.sort(np.unique(keys, return_index=True)[1])]
    i, j = np.divmod(keys[:number], total)
    return np.stack([one.utts[i], other.utts[j]])


def _all_nontargets(one: _Pool, other: _Pool, group: np.ndarray) -> np.ndarray:
    """(2, n): every pair of different speakers of one group, once."""
    found = [np.empty((2, 0), np.int64)]
    for speaker in np.flatnonzero(one.sizes):
        mine = one.utts[one.first[speaker] :][: one.sizes[speaker]]
        others = other.speakers > speaker if one is other else other.speakers != speaker
        theirs = other.utts[others & (group[other.speakers] == group[speaker])]
        found.append(np.stack([np.repeat(mine, len(theirs)), np.tile(theirs, len(mine))]))
    return np.concatenate(found, axis=1)
