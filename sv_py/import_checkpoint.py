"""Others' trained network -> a model as training leaves it in final.pt, for every tool that takes one.

Every tensor of the file is accounted for and printed; nothing is written unless all of ours are filled.
"""

from pathlib import Path
from typing import Any

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.config import from_dict, to_dict
from sv_py.features import FRONTENDS
from sv_py.features.arguments import describe
from sv_py.models import BACKBONES
from sv_py.pretrained.files import read_weights
from sv_py.pretrained.folded import check_onnx, read_onnx
from sv_py.pretrained.kinds import KINDS
from sv_py.pretrained.layout import Layout, Transfer, transfer
from sv_py.schema import Config
from sv_py.train import checkpoint


def main() -> None:
    """Parse the command line, print the table of tensors and write the model."""
    parser = Parser(prog="python -m sv_py.import_checkpoint", description=__doc__)
    parser.add_argument("--kind", required=True, choices=tuple(KINDS), help="whose layout the file has")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what weights do not tell, if not as assumed",
    )
    parser.add_argument("file", type=Path, help="their checkpoint: a state_dict, or ONNX for ResNets of wespeaker")
    parser.add_argument("out", type=Path, help="the model")
    args = parser.parse_args()
    log.setup()
    if args.out.is_dir():
        raise InputError("is a folder; name the file that the model becomes", args.out)
    if args.out.exists() and args.out.samefile(args.file):
        raise InputError("is the file that is read; the model needs another name", args.out)
    state, layout, found = import_weights(args.kind, args.file, args.set)
    print(found.table())
    for assumption in layout.assumed:
        log.logger.info("assumed: %s", assumption)
    checkpoint.save(args.out, state)
    log.logger.info("%s: %s", args.out, state["config"]["model"]["name"])


def import_weights(kind: str, file: Path, overrides: list[str]) -> tuple[dict[str, Any], Layout, Transfer]:
    """The contents of a model file, what the weights are, and what became of each. Raises InputError."""
    folded = kind == "wespeaker" and file.suffix == ".onnx"
    weights = read_onnx(file) if folded else read_weights(file)
    try:
        layout = KINDS[kind](weights)
        values = {"model": layout.model, "features": layout.features, "data": {"source": "audio"}}
        config = from_dict(values, str(file), overrides)
        if config.features.vad:
            raise InputError(
                "--set features.vad: steps/extract_embeddings.sh --apply-vad true does that with any model"
            )
        frontend = config.features.frontend
        feature_dim = FRONTENDS.build(frontend.name, frontend.args).feature_dim
        network = BACKBONES.build(config.model.name, config.model.args, feature_dim=feature_dim)
        found = transfer(weights, layout, network)
        if folded:
            check_onnx(file, network, feature_dim)
    except InputError as error:
        raise error if error.path else InputError(str(error), file) from None
    return _state(config, feature_dim) | {"model": network.state_dict()}, layout, found


def _state(config: Config, feature_dim: int) -> dict[str, Any]:
    frontend = config.features.frontend
    return {
        "config": to_dict(config), "speakers": [], "feats_id": describe(frontend.name, frontend.args),
        "feature_dim": feature_dim, "head": {},
    }  # fmt: skip


if __name__ == "__main__":
    command(main)
