"""Write the configuration that a model was trained with, which its file holds."""

from pathlib import Path

from sv_py.cli import Parser, command
from sv_py.config import dump, from_dict
from sv_py.io.atomic import replace_file
from sv_py.train import checkpoint


def main() -> None:
    """Parse the command line and write the YAML."""
    parser = Parser(prog="python -m sv_py.model_config", description=__doc__)
    parser.add_argument("model", type=Path, help="final.pt, another checkpoint or an imported model")
    parser.add_argument("out", type=Path, help="the YAML")
    args = parser.parse_args()
    text = dump(from_dict(checkpoint.load(args.model)["config"], str(args.model)))
    with replace_file(args.out) as file:
        file.write(text)


if __name__ == "__main__":
    command(main)
