"""Fit a scoring back end, its means or PLDA, to embeddings of known speakers: one .npz file for `sv_py.score`."""

import time
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.io.embeddings import StoredEmbeddings
from sv_py.io.text import read_table, require_keys
from sv_py.scoring import BACKENDS
from sv_py.scoring.backend import save_backend
from sv_py.scoring.sides import add_backend_options, choose_part, domains_of


def main() -> None:
    """Read, fit, write; log how long it took."""
    parser = Parser(prog="python -m sv_py.fit_backend", description=__doc__)
    add_backend_options(parser)
    parser.add_argument("--utt2domain", help="domain of every utterance, for means by domain")
    parser.add_argument("--adapt-embeddings", metavar="SCP", help="embeddings of the domain that is adapted to")
    parser.add_argument("utt2spk", help="speaker of every utterance that is fitted to")
    parser.add_argument("embeddings", help="xvector.scp")
    parser.add_argument("out", help=".npz file to write")
    args = parser.parse_args()
    log.setup()
    part = choose_part(args)
    backend = BACKENDS.build(part.name, part.args)
    if not backend.needs_fit:
        raise InputError(f"the back end {part.name} has nothing to fit: no mean is subtracted (mean: none)")
    if backend.adapts != bool(args.adapt_embeddings):
        raise InputError("adaptation takes both: adapt: scaling or coral, and --adapt-embeddings SCP")

    start = time.perf_counter()
    utt2spk, places = read_table(args.utt2spk, columns=2), read_table(args.embeddings)
    utts = list(utt2spk)
    require_keys(places, utts, args.embeddings)
    domains = domains_of(args.utt2domain, utts, backend)
    embeddings = StoredEmbeddings(places, utts)
    speakers = np.unique(list(utt2spk.values()), return_inverse=True)[1]
    adaptation = None
    if args.adapt_embeddings:
        places = read_table(args.adapt_embeddings)
        adaptation = StoredEmbeddings(places, list(places), embeddings.dimension)
    backend.fit(embeddings, speakers, domains, adaptation)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    save_backend(args.out, part.name, backend)
    seconds = time.perf_counter() - start
    log.logger.info(
        "%s, fitted to %d embeddings of %d speakers in %.2f s", part.name, len(utts), speakers.max() + 1, seconds
    )


if __name__ == "__main__":
    command(main)
