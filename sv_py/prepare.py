"""From a corpus as it is distributed to Lhotse manifests and Kaldi data dirs; nothing is written before all is checked.

A set NAME becomes <data-root>/NAME and <data-root>/manifests/NAME_{recordings,supervisions}.jsonl.gz.
Lhotse takes a second to import, so that happens late: a mistake in the corpus is told before.
"""

import argparse
import hashlib
import os
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.corpora import CORPORA
from sv_py.corpora.completeness import compare
from sv_py.corpora.folder import scan_tree, scan_tsv
from sv_py.corpora.voxceleb_package import published
from sv_py.data.channels import first_channel
from sv_py.data.utterance import Utterance, check_consistent, check_id, probe
from sv_py.io.text import write_lines


def main() -> None:
    """Run the subcommand."""
    log.setup()
    arguments = _parser().parse_args()
    arguments.run(arguments)


def _parser() -> Parser:
    parser = Parser(prog="sv_py.prepare", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    root = argparse.ArgumentParser(add_help=False)
    root.add_argument("--data-root", type=Path, required=True, metavar="DIR", help="where data dirs and manifests go")

    for name, corpus in CORPORA.items():
        sub = commands.add_parser(name, parents=[root], help=f"{corpus.title}, {corpus.source}")
        sub.add_argument("--corpus-dir", default="", metavar="DIR", help="the corpus's folder")
        sub.add_argument("--skip-bad", choices=("true", "false"), default="false", help="leave out and count bad files")
        if corpus.sizes:
            sub.add_argument("--lists-dir", type=Path, metavar="DIR", help="what sv_py.voxceleb_lists has fetched")
            sub.add_argument("--missing-list", type=Path, metavar="FILE", help="write the published ids that lack here")
            sub.add_argument("--allow-incomplete", choices=("true", "false"), default="false", help="of whatever size")
        sub.set_defaults(run=_prepare_corpus, corpus=corpus)

    sub = commands.add_parser(
        "dir", parents=[root], help="any folder speaker/[session/]utterance.ext, or one with a TSV"
    )
    sub.add_argument("--corpus-dir", type=Path, required=True, metavar="DIR", help="the folder")
    sub.add_argument("--tsv", type=Path, help="table with columns utt-id, speaker, file; also session, gender, part")
    sub.add_argument("--name", help="name of the set; default: that of the folder")
    sub.add_argument("--spk-prefix", default="", help="put before every speaker id, and so every utterance id")
    sub.add_argument("--skip-bad", action="store_true", help="leave out files that cannot be used, and count them")
    sub.set_defaults(run=_prepare_dir)

    sub = commands.add_parser("manifests", parents=[root], help="your own Lhotse manifests -> data dir")
    sub.add_argument("--recordings", type=Path, required=True, metavar="JSONL")
    sub.add_argument("--supervisions", type=Path, required=True, metavar="JSONL")
    sub.add_argument("--name", required=True, help="name of the set")
    sub.set_defaults(run=_manifests)

    sub = commands.add_parser("data-dir-to-manifests", parents=[root], help="data dir -> Lhotse manifests")
    sub.add_argument("--data-dir", type=Path, required=True, metavar="DIR")
    sub.add_argument("--name", help="name of the set; default: that of the data dir")
    sub.set_defaults(run=_data_dir_to_manifests)
    return parser


def _prepare_corpus(arguments: argparse.Namespace) -> None:
    corpus = arguments.corpus
    folder = corpus.find(arguments.corpus_dir)
    if corpus.sizes:
        utterances = list(corpus.scanner.scan(folder, arguments.lists_dir))
        _check_sizes(corpus.scanner.split(utterances), arguments)
    else:
        utterances = corpus.scanner.scan(folder)
    notes = _notes(arguments.data_root, folder)
    checked = _check(utterances, folder, notes, arguments.skip_bad == "true", mono=not corpus.first_channel)
    sets = corpus.scanner.split(checked)
    lists = corpus.trials(folder, sets)
    for read in lists.values():  # once to be checked, once to be written: there may be millions of lines
        deque(read(), maxlen=0)
    root = arguments.data_root
    _write({name: [first_channel(u, root / f"{name}_wav") for u in own] for name, own in sets.items() if own}, root)
    for name, read in lists.items():
        write_lines(root / name, read())
    notes.unlink(missing_ok=True)


def _check_sizes(sets: Mapping[str, list[Utterance]], arguments: argparse.Namespace) -> None:
    """Say what the sets lack of what was published; InputError unless that is allowed. Before any file is opened."""
    lists, corpus = arguments.lists_dir, arguments.corpus
    if lists and not lists.is_dir():
        raise InputError("no such folder", lists)
    sizes = {name: size for name, size in corpus.sizes.items() if sets[name] or name not in corpus.optional}
    differences, missing = [], set()
    for name, size in sizes.items():
        found, names = {u.id for u in sets[name]}, published(lists, name)
        if names is not None:
            names = set(names)
            missing |= names - found
        elif arguments.missing_list:
            raise InputError("--missing-list needs the published names: local/fetch_voxceleb_lists.sh, --lists-dir")
        differences += filter(None, [compare(name, found, size, names)])
    if arguments.missing_list:
        write_lines(arguments.missing_list, sorted(missing))
    if differences and arguments.allow_incomplete == "false":
        raise InputError("\n".join(["not as published (--allow-incomplete true accepts it):", *differences]))
    for difference in differences:
        log.logger.warning("not as published: %s", difference)


def _prepare_dir(arguments: argparse.Namespace) -> None:
    folder = arguments.corpus_dir.absolute()
    if not folder.is_dir():
        raise InputError("no such folder", arguments.corpus_dir)
    name = check_id("name of the set", arguments.name or folder.name)
    if arguments.tsv:
        utterances = scan_tsv(folder, arguments.tsv, arguments.spk_prefix)
    else:
        utterances = scan_tree(folder, arguments.spk_prefix)
    notes = _notes(arguments.data_root, folder)
    _write({name: _check(utterances, folder, notes, arguments.skip_bad)}, arguments.data_root)
    notes.unlink(missing_ok=True)


def _manifests(arguments: argparse.Namespace) -> None:
    from sv_py.data.manifests import manifests_to_data_dir

    data_dir = arguments.data_root / check_id("name of the set", arguments.name)
    count = manifests_to_data_dir(arguments.recordings, arguments.supervisions, data_dir)
    log.logger.info("%s: %d utterances", data_dir, count)


def _data_dir_to_manifests(arguments: argparse.Namespace) -> None:
    from sv_py.data.manifests import data_dir_to_manifests

    name = check_id("name of the set", arguments.name or arguments.data_dir.absolute().name)
    paths = data_dir_to_manifests(arguments.data_dir, arguments.data_root / "manifests", name)
    log.logger.info("%s, %s", *paths)


def _notes(data_root: Path, folder: Path) -> Path:
    """Where the headers of the files in ``folder`` are noted until its data dirs are written."""
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()
    return data_root / f"manifests/.headers.{digest[:16]}"


def _check(
    utterances: Iterable[Utterance], folder: Path, notes: Path, skip_bad: bool, mono: bool = True
) -> list[Utterance]:
    """The utterances with what their files' headers say; InputError for whatever is wrong with them."""
    utterances = list(utterances)
    if not utterances:
        raise InputError("no audio files found in the layout that docs/corpora.md tells", folder)
    found = probe(utterances, skip_bad, mono, notes)
    check_consistent(found)
    return found


def _write(sets: Mapping[str, list[Utterance]], data_root: Path) -> None:
    from sv_py.data.manifests import manifests_to_data_dir, write_manifests

    manifests = data_root / "manifests"
    manifests.mkdir(parents=True, exist_ok=True)
    for name, utterances in sets.items():
        count = manifests_to_data_dir(*write_manifests(utterances, manifests, name), data_root / name)
        speakers = len({u.speaker for u in utterances})
        log.logger.info("%s: %d utterances of %d speakers", data_root / name, count, speakers)


if __name__ == "__main__":
    command(main)
