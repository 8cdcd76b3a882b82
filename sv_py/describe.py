"""How large and how costly an experiment's network is."""

import json
from pathlib import Path

import torch

from sv_py.cli import Parser, command
from sv_py.config import load
from sv_py.features import FRONTENDS
from sv_py.features.arguments import FrameArguments, read_frontend
from sv_py.io.atomic import replace_file
from sv_py.losses import LOSSES
from sv_py.models import BACKBONES
from sv_py.models.complexity import count
from sv_py.schema import Config


def describe(config: Config, feature_dim: int, frame_shift: float, num_classes: int) -> dict:
    """Sizes and costs; ``frame_shift`` in ms.

    The multiply-adds of a second are those of ten seconds divided by ten: pooling and the embedding layer
    are spent once per utterance.
    """
    with torch.device("meta"):
        network = BACKBONES.build(config.model.name, config.model.args, feature_dim=feature_dim)
        head = LOSSES.build(config.loss.name, config.loss.args, embedding_dim=network.head_dim, num_classes=num_classes)
    frames = round(10_000 / frame_shift)
    parameters, multiply_adds = count(network, frames, feature_dim)
    return {
        "model": config.model.name,
        "parameters": parameters,
        "parameters_with_head": parameters + sum(p.numel() for p in head.parameters()),
        "classes": num_classes,
        "multiply_adds_per_second": round(multiply_adds / 10),
        "embedding_dim": network.embedding_dim,
        "feature_dim": feature_dim,
    }


def front_end(config: Config, conf: str | None) -> tuple[str, FrameArguments]:
    """The front end of a conf file, else that of the YAML, else the default one: name and arguments."""
    if conf:
        return read_frontend(conf)
    if config.features.frontend is not None:
        return config.features.frontend.name, config.features.frontend.args
    return "kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")()


def main() -> None:
    """Parse the command line and print."""
    parser = Parser(prog="python -m sv_py.describe", description=__doc__)
    parser.add_argument("yaml", help="the experiment")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. seed=1")
    parser.add_argument("--fbank-config", default=None, help="front end; default: the YAML's, or 80 bins every 10 ms")
    parser.add_argument("--classes", type=int, default=5994, help="speakers of the head")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("--out", type=Path, help="write the JSON here")
    args = parser.parse_args()
    config = load(args.yaml, args.set)
    name, arguments = front_end(config, args.fbank_config)
    found = describe(config, FRONTENDS.build(name, arguments).feature_dim, arguments.frame_shift, args.classes)
    if args.out:
        with replace_file(args.out) as file:
            file.write(json.dumps(found, indent=1) + "\n")
    elif args.json:
        print(json.dumps(found))
    else:
        for key, value in found.items():
            print(f"{key:25} {value:,}" if isinstance(value, int) else f"{key:25} {value}")


if __name__ == "__main__":
    command(main)
