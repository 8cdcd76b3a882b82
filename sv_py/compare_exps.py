"""Compare experiments: one table of their error rates, data, size, time, and the keys in which they differ."""

from pathlib import Path

from sv_py.cli import Parser, command
from sv_py.config import read_values
from sv_py.report.comparison import compare, read_experiment, render


def main() -> None:
    """Parse the command line and print the table."""
    parser = Parser(prog="compare_exps.sh", description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="a table for a README")
    parser.add_argument("exp", type=Path, nargs="+", help="experiments' folders, e.g. exp/ecapa")
    args = parser.parse_args()
    experiments = [read_experiment(folder, read_values(folder / "config.yaml")) for folder in args.exp]
    print(render([e.name for e in experiments], compare(experiments), args.markdown))


if __name__ == "__main__":
    command(main)
