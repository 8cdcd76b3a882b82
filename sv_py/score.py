"""Score a trial list: trials and embeddings in, `enrol test score target|nontarget` lines out."""

import time
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import InputError, Parser, command, first_few
from sv_py.config import load
from sv_py.io.embeddings import Embeddings, average, load_embeddings, mean_embedding
from sv_py.io.scores import write_scores
from sv_py.io.text import read_table
from sv_py.io.trials import Trials, look_up, read_trials
from sv_py.registry import Part
from sv_py.scoring import BACKENDS


def load_sides(args, trials: Trials) -> tuple[Embeddings, Embeddings, np.ndarray]:
    """Embeddings of the enrolment and the test side, and the trials' rows in them, (2, N)."""
    places = read_table(args.embeddings)
    if not args.enrol_scp and not args.enrol_spk2utt:
        names, rows = look_up(trials, places, args.trials)
        both = load_embeddings(places, names)
        return both, both, rows
    names, test_rows = look_up(trials, places, args.trials, ["test"])
    test = load_embeddings(places, names)
    enrol, enrol_rows = load_models(args, trials, places, test.matrix.shape[1])
    return enrol, test, np.concatenate([enrol_rows, test_rows])


def load_models(args, trials: Trials, places: dict[str, str], dimension: int) -> tuple[Embeddings, np.ndarray]:
    """Embeddings of the enrolment side, where those ids are models: read, or averaged over their utterances."""
    if args.enrol_scp:
        places = read_table(args.enrol_scp)
        names, rows = look_up(trials, places, args.trials, ["enrol"])
        return load_embeddings(places, names, dimension), rows
    models = {model: utts.split() for model, utts in read_table(args.enrol_spk2utt).items()}
    names, rows = look_up(trials, models, args.trials, ["enrol"])
    models = {name: models[name] for name in names}
    utts = sorted({utt for utts in models.values() for utt in utts})
    unknown = [utt for utt in utts if utt not in places]
    if unknown:
        raise InputError(f"not in {args.embeddings}: {first_few(unknown)}", args.enrol_spk2utt)
    return average(load_embeddings(places, utts, dimension), models), rows


def main() -> None:
    """Read, score, write; log how long each took."""
    parser = Parser(description=__doc__)
    parser.add_argument("trials", help="trial list, Kaldi's or VoxCeleb's format")
    parser.add_argument("embeddings", help="xvector.scp")
    parser.add_argument("scores", help="score file to write, in the order of the trials")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--backend", default="cosine", help="one of: " + ", ".join(BACKENDS.entries))
    choice.add_argument("--config", help="experiment whose scoring.backend, with its arguments, is to be taken")
    enrolment = parser.add_mutually_exclusive_group()
    enrolment.add_argument("--enrol-scp", help="embeddings of the enrolled models, where those are not utterances")
    enrolment.add_argument("--enrol-spk2utt", help="`model utt...`: a model's embedding is the mean of its utterances'")
    parser.add_argument("--subtract-mean", metavar="SCP", help="subtract the mean of these embeddings from all")
    args = parser.parse_args()
    log.setup()
    part = load(args.config).scoring.backend if args.config else Part(args.backend, BACKENDS.arguments(args.backend)())
    backend = BACKENDS.build(part.name, part.args)

    clock = [time.perf_counter()]
    trials = read_trials(args.trials)
    enrol, test, rows = load_sides(args, trials)
    if args.subtract_mean:
        mean = mean_embedding(read_table(args.subtract_mean), test.matrix.shape[1])
        for side in {id(side): side for side in (enrol, test)}.values():  # may be one and the same
            np.subtract(side.matrix, mean, out=side.matrix, casting="same_kind")
    clock.append(time.perf_counter())
    scores = backend.score(enrol, test, rows)
    clock.append(time.perf_counter())
    Path(args.scores).parent.mkdir(parents=True, exist_ok=True)
    write_scores(args.scores, trials, scores, trials.target)
    clock.append(time.perf_counter())
    reading, scoring, writing = np.diff(clock)
    repeated = f" ({trials.repeated} repeated)" if trials.repeated else ""
    log.logger.info(
        "%d trials%s, %d enrolment and %d test embeddings: read in %.2f s, scored in %.2f s, written in %.2f s",
        len(trials), repeated, len(enrol.ids), len(test.ids), reading, scoring, writing,
    )  # fmt: skip


if __name__ == "__main__":
    command(main)
