"""Choose the cohort of score normalisation, and the utterances that are kept out of it for calibration.

Writes cohort.scp (mean embeddings of speakers, or utterances), cohort_utt2spk (the speaker of each of its vectors) and
utts (`utt spk` of all utterances in it); with a share kept out calibration_utt2spk; with domains cohort_utt2domain.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.config import load
from sv_py.hold_out import choose_utts
from sv_py.io.ark import write_ark
from sv_py.io.data_dir_edit import read_ids
from sv_py.io.embeddings import average, load_embeddings
from sv_py.io.text import invert, read_table, require_keys, write_table
from sv_py.scoring.arguments import COHORTS

_BLOCK = 256  # speakers averaged at once


def choose(args: argparse.Namespace) -> tuple[str, float, int]:
    """Kind of the cohort's vectors, share of the utterances kept out of it, seed. Raises InputError."""
    kind, share, seed = args.cohort or COHORTS[0], args.share or 0.0, args.seed or 0
    if args.config:
        if (args.cohort, args.share, args.seed) != (None, None, None):
            raise InputError("--config has the cohort and the share: neither --cohort, --share nor --seed beside it")
        scoring = load(args.config).scoring
        if scoring.norm is None and scoring.calibration is None:
            raise InputError("neither scoring.norm nor scoring.calibration is set: no cohort is needed", args.config)
        kind = scoring.norm.args.cohort if scoring.norm else kind
        if scoring.calibration:
            share, seed = scoring.calibration.args.share, scoring.calibration.args.seed
    if not 0 <= share < 1 or seed < 0:
        raise InputError(f"--share is at least 0 and below 1, --seed at least 0, not {share} and {seed}")
    return kind, share, seed


def keep_out(utt2spk: Mapping[str, str], share: float, seed: int) -> dict[str, str]:
    """Of each speaker's utterances that ``share``, rounded up, but never his last one; with their speakers."""
    spk2utt = invert(utt2spk)
    if not any(len(utts) > 1 for utts in spk2utt.values()):
        raise InputError(f"no speaker has two utterances, to keep {share} of them out of the cohort")
    kept = choose_utts(spk2utt, share, seed)
    return {utt: speaker for utt, speaker in utt2spk.items() if utt in kept}


def speaker_means(utt2spk: Mapping[str, str], places: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
    """The mean embedding of each speaker; some speakers' embeddings at a time are in memory."""
    speakers = list(invert(utt2spk).items())
    dimension = None
    for start in range(0, len(speakers), _BLOCK):
        models = dict(speakers[start : start + _BLOCK])
        embeddings = load_embeddings(places, [utt for utts in models.values() for utt in utts], dimension)
        dimension = embeddings.matrix.shape[1]
        yield from zip(models, average(embeddings, models).matrix, strict=True)


def domains_of(cohort: Mapping[str, str], utt2spk: Mapping[str, str], path: str) -> dict[str, str]:
    """The domain of each vector of the cohort. Raises InputError where that of a speaker is not clear."""
    utt2domain = read_table(path, columns=2)
    require_keys(utt2domain, utt2spk, path)
    found: dict[str, str] = {}
    for utt, speaker in utt2spk.items():
        name, domain = utt if utt in cohort else speaker, utt2domain[utt]
        if found.setdefault(name, domain) != domain:
            raise InputError(f"{speaker} is of {found[name]} and of {domain}: only a cohort of utterances can be", path)
    return found


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(
        prog="python -m sv_py.make_cohort", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", help="experiment whose scoring.norm and scoring.calibration are taken")
    parser.add_argument("--cohort", choices=COHORTS, help="without --config: what its vectors are (speakers)")
    parser.add_argument("--share", type=float, help="share of each speaker's utterances to keep for calibration (0)")
    parser.add_argument("--seed", type=int, help="which of them (0)")
    parser.add_argument("--utt-list", type=Path, help="take these utterances only")
    parser.add_argument("--utt2domain", help="domain of every utterance, for means by domain")
    parser.add_argument("utt2spk", help="speakers of the cohort: none of them is to be in the trials")
    parser.add_argument("embeddings", help="their xvector.scp")
    parser.add_argument("out_dir", type=Path)
    return parser.parse_args()


def main() -> None:
    """Choose, average, then write; cohort.scp comes last."""
    args = parse_arguments()
    log.setup()
    kind, share, seed = choose(args)
    utt2spk, places = read_table(args.utt2spk, columns=2), read_table(args.embeddings)
    if args.utt_list:
        utt2spk = {utt: utt2spk[utt] for utt in sorted(read_ids(args.utt_list, utt2spk, "utterance"))}
    require_keys(places, utt2spk, args.embeddings)
    kept = keep_out(utt2spk, share, seed) if share else {}
    utt2spk = {utt: speaker for utt, speaker in utt2spk.items() if utt not in kept}
    cohort = utt2spk if kind == "utterances" else {speaker: speaker for speaker in utt2spk.values()}
    if len(cohort) < 2:
        raise InputError(f"a cohort has at least two {kind}, not {len(cohort)}", args.utt2spk)
    tables = {"utts": utt2spk, "cohort_utt2spk": cohort, "calibration_utt2spk": kept}
    tables["cohort_utt2domain"] = domains_of(cohort, utt2spk, args.utt2domain) if args.utt2domain else {}
    means = None if kind == "utterances" else list(speaker_means(utt2spk, places))

    args.out_dir.mkdir(parents=True, exist_ok=True)
    ark, scp = args.out_dir / "cohort.ark", args.out_dir / "cohort.scp"
    for path in (scp, ark, *(args.out_dir / name for name in tables)):
        path.unlink(missing_ok=True)  # may be of another choice
    for name, table in tables.items():
        if table:
            write_table(args.out_dir / name, table)
    if means:
        write_ark(ark, scp, means)
    else:
        write_table(scp, {utt: places[utt] for utt in utt2spk})
    log.logger.info("%d %s of %d utterances; %d kept for calibration", len(cohort), kind, len(utt2spk), len(kept))


if __name__ == "__main__":
    command(main)
