"""Make the utterance table of a data dir, <data-dir>/.table, which training would make when it starts.

Prints its size: <utterances> <speakers> <shards> <frames or samples in all>.
"""

from pathlib import Path

from sv_py.cli import InputError, Parser, command
from sv_py.data.table import SOURCES, open_table


def main() -> None:
    """Parse the command line and make the table."""
    parser = Parser(prog="python -m sv_py.make_table", description=__doc__)
    parser.add_argument("--source", choices=list(SOURCES), default="audio", help="what the table is of")
    parser.add_argument("data_dir", type=Path)
    args = parser.parse_args()
    table = open_table(args.data_dir, args.source)
    if table.path.parent != args.data_dir / ".table":
        raise InputError("cannot be written: no room, or somebody else's", args.data_dir / ".table")
    print(len(table), len(table.speakers), len(table.shards), int(table.length.sum()))


if __name__ == "__main__":
    command(main)
