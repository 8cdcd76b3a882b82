"""Draw how trainings went: loss, accuracy, error rates of held-out speakers, learning rate and margin by epoch."""

from pathlib import Path

from sv_py.cli import InputError, Parser, command
from sv_py.config import read_values
from sv_py.report.curves import FORMATS, draw, read_epochs


def main() -> None:
    """Parse the command line and draw."""
    parser = Parser(prog="python -m sv_py.plot_training", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help=f"the figure, ending in {', '.join(FORMATS)}")
    parser.add_argument("exp", type=Path, nargs="+", help="experiments' folders, e.g. exp/ecapa; each has a colour")
    args = parser.parse_args()
    if args.out.suffix not in FORMATS:
        parser.error(f"--out ends in {', '.join(FORMATS)}, not '{args.out.suffix}'")
    trainings = {}
    for folder in args.exp:
        phases = read_values(folder / "config.yaml").get("phases", [])
        epochs = read_epochs(folder, [phase["name"] for phase in phases])
        if not epochs:
            raise InputError("no epoch has been finished there", folder)
        if folder.name in trainings:
            raise InputError(f"two experiments are called {folder.name}", folder)
        trainings[folder.name] = epochs
    draw(trainings, args.out)


if __name__ == "__main__":
    command(main)
