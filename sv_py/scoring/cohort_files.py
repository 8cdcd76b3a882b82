"""What files say of a cohort: its vectors, and which of them are of speakers of the trials."""

import argparse
from collections.abc import Sequence

import numpy as np

from sv_py.cli import InputError, first_few
from sv_py.io.embeddings import load_embeddings
from sv_py.io.pairs import IdTable
from sv_py.io.text import read_table, require_keys
from sv_py.scoring.backend import Backend, Side
from sv_py.scoring.cohort import own_pairs
from sv_py.scoring.sides import Sides, domains_of

OWN_SPEAKER = ("error", "leave_out", "allow")
_BLOCK = 8192  # vectors projected at once


def load_cohort(args: argparse.Namespace, backend: Backend) -> tuple[list[str], Side]:
    """Ids and side of the cohort; only a block of its embeddings as they were is in memory beside it."""
    places = read_table(args.cohort)
    ids = list(places)
    if backend.arguments.mean == "domain" and not args.cohort_utt2domain:
        raise InputError("mean: domain needs to know the cohort's domains, too: --cohort-utt2domain FILE")
    domains = domains_of(args.cohort_utt2domain, ids, backend)
    side, dimension = None, None
    for start in range(0, len(ids), _BLOCK):
        block = slice(start, start + _BLOCK)
        embeddings = load_embeddings(places, ids[block], dimension)
        part = backend.side(embeddings, domains and domains[block])
        if side is None:
            dimension, kind = embeddings.matrix.shape[1], part.vectors.dtype
            offsets = None if part.offsets is None else np.empty(len(ids), kind)
            side = Side(np.empty((len(ids), part.vectors.shape[1]), kind), offsets)
        side.vectors[block] = part.vectors
        if part.offsets is not None:
            side.offsets[block] = part.offsets
    return ids, side


def own_speakers(args: argparse.Namespace, sides: Sides, cohort_ids: Sequence[str]) -> list[np.ndarray | None]:
    """For each side of the trials the pairs of an embedding and a cohort vector that do not count, or None.

    Raises InputError if speakers of the trials are in the cohort and nothing was said about that.
    """
    if args.own_speaker == "allow":
        return [None, None]
    if not args.utt2spk or not args.cohort_utt2spk:
        raise InputError(
            "are speakers of the trials in the cohort? --utt2spk and --cohort-utt2spk say whose each one is"
        )
    cohort_utt2spk = read_table(args.cohort_utt2spk, columns=2)
    require_keys(cohort_utt2spk, cohort_ids, args.cohort_utt2spk)
    utt2spk = read_table(args.utt2spk, columns=2)
    known = {speaker: speaker for speaker in utt2spk.values()} | utt2spk  # a model may be called as its speaker
    table = IdTable()
    cohort_speakers = table.indices([cohort_utt2spk[name] for name in cohort_ids])
    found = []
    for ids in (sides.enrol_ids, sides.test_ids):
        require_keys(known, ids, args.utt2spk)
        found.append(own_pairs(table.indices([known[name] for name in ids]), cohort_speakers))
    if args.own_speaker == "leave_out":
        return found
    own = sorted({cohort_utt2spk[cohort_ids[k]] for pairs in found for k in np.unique(pairs[1]).tolist()})
    if own:
        raise InputError(
            f"{len(own)} speakers of the cohort are in the trials: {first_few(own)}; "
            "take others, or --own-speaker leave_out or allow",
            args.cohort_utt2spk,
        )
    return [None, None]
