"""From trials and embeddings to the two projected sides: what every command that scores begins with."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sv_py.cli import InputError, first_few
from sv_py.config import load
from sv_py.io.conf import parse_part
from sv_py.io.embeddings import average, group_rows, load_embeddings
from sv_py.io.text import read_table, require_keys
from sv_py.io.trials import Trials, look_up
from sv_py.registry import Part
from sv_py.scoring import BACKENDS
from sv_py.scoring.arguments import MODELS
from sv_py.scoring.backend import Backend, Side, load_backend


@dataclass(frozen=True)
class Sides:
    """Both sides of N trials: trial k is row ``rows[0, k]`` of ``enrol`` against row ``rows[1, k]`` of ``test``.

    Row i of a side is of ``enrol_ids[i]`` and ``test_ids[i]``. Where models are utterances, both sides are one and the
    same object, with all ids of the trials.
    """

    enrol: Side
    test: Side
    rows: np.ndarray
    enrol_ids: list[str]
    test_ids: list[str]


def add_backend_options(parser: argparse.ArgumentParser) -> None:
    """Options that choose a back end; `choose_part` reads them."""
    known = ", ".join(BACKENDS.entries)
    parser.add_argument("--config", help="experiment whose `scoring` is taken, with the back end's arguments")
    parser.add_argument("--backend", help=f"without --config: one of {known} (default: cosine)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="argument of --backend")


def add_side_options(parser: argparse.ArgumentParser) -> None:
    """Options that say what the two sides of trials are; `load_backend_of` and `load_sides` read them."""
    add_backend_options(parser)
    parser.add_argument("--fitted", metavar="NPZ", help="back end that sv_py.fit_backend has fitted")
    parser.add_argument("--models", choices=MODELS, help="a model scores as the mean of these (default: embeddings)")
    enrolment = parser.add_mutually_exclusive_group()
    enrolment.add_argument("--enrol-scp", help="embeddings of the enrolled models, where those are not utterances")
    enrolment.add_argument("--enrol-spk2utt", help="`model utt...`: the enrolled models' utterances")
    parser.add_argument("--utt2domain", help="domain of every embedding, for means by domain")


def choose_part(args: argparse.Namespace) -> Part:
    """Name and arguments of the back end that the options say. Raises InputError."""
    if args.config:
        if args.backend or args.set:
            raise InputError("--config has the back end and its arguments: neither --backend nor --set beside it")
        return load(args.config).scoring.backend
    options = [f"--{name.replace('_', '-')}={value}" for name, _, value in (text.partition("=") for text in args.set)]
    return Part(*parse_part("\n".join([f"backend={args.backend or 'cosine'}", *options]), "--set", "backend", BACKENDS))


def load_backend_of(args: argparse.Namespace) -> Backend:
    """The back end, ready to score. Raises InputError if it has yet to be fitted, or was fitted as another one."""
    if not args.fitted:
        part = choose_part(args)
        backend = BACKENDS.build(part.name, part.args)
        if backend.needs_fit:
            raise InputError(f"the back end {part.name} is to be fitted first, by sv_py.fit_backend: --fitted NPZ")
        return backend
    if args.backend or args.set:
        raise InputError("--fitted has the back end and its arguments: neither --backend nor --set beside it")
    name, backend = load_backend(args.fitted)
    if args.config and choose_part(args) != Part(name, backend.arguments):
        raise InputError(f"was fitted as {name} with other arguments than are wanted now: fit it anew", args.fitted)
    return backend


def load_sides(args: argparse.Namespace, trials: Trials, backend: Backend) -> Sides:
    """The sides of ``trials``. Raises InputError that names an unknown id, or what is wrong with an embedding."""
    if args.models and not args.enrol_spk2utt:
        raise InputError("--models is for --enrol-spk2utt FILE: elsewhere a model has one embedding")
    places = read_table(args.embeddings)
    if not args.enrol_scp and not args.enrol_spk2utt:
        names, rows = look_up(trials, places, args.trials)
        both = backend.side(load_embeddings(places, names), domains_of(args.utt2domain, names, backend))
        return Sides(both, both, rows, names, names)
    names, rows = look_up(trials, places, args.trials, ["test"])
    test = load_embeddings(places, names)
    models, enrol, enrol_rows = _load_models(args, trials, backend, places, test.matrix.shape[1])
    side = backend.side(test, domains_of(args.utt2domain, names, backend))
    return Sides(enrol, side, np.concatenate([enrol_rows, rows]), models, names)


def _load_models(
    args: argparse.Namespace, trials: Trials, backend: Backend, places: Mapping[str, str], dimension: int
) -> tuple[list[str], Side, np.ndarray]:
    """Names and side of the models on the enrolment side, and their rows (1, N) of the trials."""
    if args.enrol_scp:
        places = read_table(args.enrol_scp)
        names, rows = look_up(trials, places, args.trials, ["enrol"])
        models = load_embeddings(places, names, dimension)
        return names, backend.side(models, domains_of(args.utt2domain, names, backend)), rows
    listed = {model: utts.split() for model, utts in read_table(args.enrol_spk2utt).items()}
    names, rows = look_up(trials, listed, args.trials, ["enrol"])
    models = {name: listed[name] for name in names}
    utts = sorted({utt for utts in models.values() for utt in utts})
    unknown = [utt for utt in utts if utt not in places]
    if unknown:
        raise InputError(f"not in {args.embeddings}: {first_few(unknown)}", args.enrol_spk2utt)
    embeddings, domains = load_embeddings(places, utts, dimension), domains_of(args.utt2domain, utts, backend)
    if models_of(args) == "scores":
        return names, backend.side(embeddings, domains).average(*group_rows(utts, models)), rows
    return names, backend.project(average(backend.centre(embeddings, domains), models)), rows


def models_of(args: argparse.Namespace) -> str:
    """What a model of several utterances is the mean of, one of MODELS."""
    return args.models or (load(args.config).scoring.models if args.config else MODELS[0])


def domains_of(path: str | None, ids: Sequence[str], backend: Backend) -> list[str] | None:
    """The domains of ``ids`` in an utt2domain file, or None without one. Raises InputError that names who lacks one."""
    if path is None:
        return None
    if backend.arguments.mean != "domain":
        raise InputError("the back end has no means by domain (mean: domain), so what are the domains for?", path)
    table = read_table(path, columns=2)
    require_keys(table, ids, path)
    return [table[name] for name in ids]
