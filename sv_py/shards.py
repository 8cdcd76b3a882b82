"""The tools for shards: utils/validate_shards.sh and utils/relocate_shards.sh."""

import argparse
import sys
from pathlib import Path

from sv_py.cli import Parser, command
from sv_py.io.data_dir import listing
from sv_py.io.shard_checks import check_shards, relocate


def run_validate(args: argparse.Namespace) -> int:
    """Check shards against their index: missing, truncated or altered ones are named, with exit status 1."""
    faults, count = check_shards(args.path, args.checksums == "true")
    for line in listing(faults):
        print(line, file=sys.stderr)
    if faults:
        return 1
    how = "checksums" if args.checksums == "true" else "sizes"
    print(f"{args.path}: {count} shards whole, by their {how}")
    return 0


def run_relocate(args: argparse.Namespace) -> None:
    """Rewrite the places of a data dir after its arks were copied or moved, once all of them are there."""
    for name, count in relocate(args.data_dir, args.old_prefix, args.new_prefix).items():
        print(f"{args.data_dir / name}: {count} lines now in {args.new_prefix}")


def _parser() -> Parser:
    parser = Parser(prog="python -m sv_py.shards", description=__doc__)
    tools = parser.add_subparsers(metavar="<tool>", required=True)
    validate = tools.add_parser("validate", prog="utils/validate_shards.sh", description=run_validate.__doc__)
    validate.add_argument("--checksums", choices=("true", "false"), default="true", help="false: compare sizes only")
    validate.add_argument("path", type=Path, help="an index, a folder with indexes, or a data dir")
    validate.set_defaults(run=run_validate, parser=validate)
    move = tools.add_parser("relocate", prog="utils/relocate_shards.sh", description=run_relocate.__doc__)
    move.add_argument("data_dir", type=Path, help="with audio.scp, feats.scp, vad.scp or arks in wav.scp")
    move.add_argument("old_prefix", help="the folder that the places begin with")
    move.add_argument("new_prefix", help="the folder that the arks are in now, with their index")
    move.set_defaults(run=run_relocate, parser=move)
    return parser


def main() -> int | None:
    """Run the tool that the first argument names."""
    args, unknown = _parser().parse_known_args()
    if unknown:
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return args.run(args)


if __name__ == "__main__":
    command(main)
