"""How large and how costly an experiment's network is."""

import itertools
import json
import math
import re
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
from sv_py.report.comparison import render
from sv_py.schema import Config


def describe(config: Config, feature_dim: int, frame_shift: float, num_classes: int) -> dict:
    """Sizes and costs; ``frame_shift`` in ms.

    The multiply-adds of a second are those of ten seconds divided by ten: pooling and the embedding layer
    are spent once per utterance.
    """
    with torch.device("meta"):
        network = BACKBONES.build(config.model.name, config.model.args, feature_dim=feature_dim)
        loss = LOSSES.build(config.loss.name, config.loss.args)
    frames = round(10_000 / frame_shift)
    parameters, multiply_adds = count(network, frames, feature_dim)
    head = num_classes * math.prod(loss.row_shape(network.head_dim)) + sum(p.numel() for p in loss.parameters())
    return {
        "model": config.model.name,
        "parameters": parameters,
        "parameters_with_head": parameters + head,
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


def compare(paths: list[str], overrides: list[str], conf: str | None, num_classes: int, markdown: bool) -> str:
    """A table of several experiments' networks; the comment at a YAML's head says where a layout is from."""
    rows = []
    for path in paths:
        found, frontend = describe_file(path, overrides, conf, num_classes)
        rows.append((Path(path).stem, [
            f"{found['parameters']:,}", f"{found['multiply_adds_per_second'] / 1e9:.2f} G",
            str(found["embedding_dim"]), f"{frontend}, {found['feature_dim']}", origin(Path(path).read_text()),
        ]))  # fmt: skip
    return render(["parameters", "multiply-adds per s", "embedding", "features", "layout"], rows, markdown)


def origin(text: str) -> str:
    """The first clause of the comment at a YAML's head."""
    comment = " ".join(line[1:].strip() for line in itertools.takewhile(lambda x: x.startswith("#"), text.splitlines()))
    return re.split(r"[:.](?: |$)", comment)[0]


def describe_file(path: str, overrides: list[str], conf: str | None, num_classes: int) -> tuple[dict, str]:
    """What `describe` gives for a YAML, and the name of its front end."""
    config = load(path, overrides)
    name, arguments = front_end(config, conf)
    feature_dim = FRONTENDS.build(name, arguments).feature_dim
    return describe(config, feature_dim, arguments.frame_shift, num_classes), name


def main() -> None:
    """Parse the command line and print."""
    parser = Parser(prog="python -m sv_py.describe", description=__doc__)
    parser.add_argument("yaml", nargs="+", help="the experiment; of several, a table")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. seed=1")
    parser.add_argument("--fbank-config", default=None, help="front end; default: the YAML's, or 80 bins every 10 ms")
    parser.add_argument("--classes", type=int, default=5994, help="speakers of the head")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON instead of a table, one line for each experiment")
    form.add_argument("--markdown", action="store_true", help="the table in Markdown")
    form.add_argument("--out", type=Path, help="write the JSON here")
    args = parser.parse_args()
    if args.out and len(args.yaml) > 1:
        parser.error("--out takes one experiment")
    options = args.set, args.fbank_config, args.classes
    if args.markdown or (len(args.yaml) > 1 and not args.json):
        print(compare(args.yaml, *options, args.markdown))
        return
    for path in args.yaml:
        found, _ = describe_file(path, *options)
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
