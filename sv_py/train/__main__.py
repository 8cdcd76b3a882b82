"""Train an experiment, or go on with it (the command behind steps/train.sh)."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import torch

from sv_py import log
from sv_py.augmentation.arguments import parse_bindings, roles_of
from sv_py.cli import Parser, command
from sv_py.config import load
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.pool import open_pools
from sv_py.describe import describe
from sv_py.io.atomic import replace_file
from sv_py.io.embeddings import Embeddings
from sv_py.io.trials import look_up, read_trials
from sv_py.scoring.arguments import CosineArguments
from sv_py.scoring.cosine import Cosine
from sv_py.scoring.metrics import eer
from sv_py.train.loop import Resources, Trainer
from sv_py.train.model import embed, open_device, open_set


def main() -> None:
    """Parse the command line and train."""
    parser = Parser(prog="python -m sv_py.train", description=__doc__)
    parser.add_argument("--num-threads", type=int, default=0, help="CPU threads; 0: PyTorch's choice")
    parser.add_argument("--num-workers", type=int, default=0, help="processes that read and augment ahead")
    parser.add_argument(
        "--augment-set", action="append", default=[], metavar="ROLE=DIR", help="sounds for augmentation"
    )
    parser.add_argument("--checkpoint-minutes", type=float, default=10.0, help="time between checkpoints in an epoch")
    parser.add_argument("--device", default=None, help="cpu, cuda or cuda:N; default: cuda where there is one")
    parser.add_argument("--restart", choices=("true", "false"), default="false", help="discard what there is")
    parser.add_argument("config", type=Path, help="the resolved YAML")
    parser.add_argument("train_dir", type=Path)
    parser.add_argument("dev_dir", type=Path, help="held-out speakers, with trials")
    parser.add_argument("exp_dir", type=Path)
    args = parser.parse_args()
    if min(args.num_threads, args.num_workers, args.checkpoint_minutes) < 0:
        parser.error("--num-threads, --num-workers and --checkpoint-minutes are not negative")
    log.setup()
    if args.num_threads:
        torch.set_num_threads(args.num_threads)
    device = open_device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    config = load(args.config)
    bindings = parse_bindings(args.augment_set)
    utterances = open_set(args.train_dir, config)
    pools = {}
    if isinstance(utterances, AudioSet):
        roles = roles_of(part for phase in config.phases for part in phase.augment.waveform)
        pools = open_pools(bindings, roles, utterances.store.rate, utterances.store)
    validate = _validation(open_set(args.dev_dir, config), args.dev_dir / "trials", device)
    trainer = Trainer(
        config, utterances, args.exp_dir, Resources(device, args.num_workers, args.checkpoint_minutes), validate, pools
    )
    if args.restart == "true":  # now that nothing can be wrong any more with what takes its place
        (args.exp_dir / "final.pt").unlink(missing_ok=True)
        if (args.exp_dir / "phases").exists():
            shutil.rmtree(args.exp_dir / "phases")
    log.logger.info(
        "%s on %s, %d threads: %d utterances of %d speakers, %d classes", config.model.name, device,
        torch.get_num_threads(), len(utterances), len(utterances.speakers), len(trainer.classes),
    )  # fmt: skip
    args.exp_dir.mkdir(parents=True, exist_ok=True)
    with replace_file(args.exp_dir / "model.json") as file:
        shift = re.search(r"^--frame-shift=(\S+)$", utterances.id, re.MULTILINE)
        size = describe(config, trainer.feature_dim, float(shift[1]) if shift else 10.0, len(trainer.classes))
        file.write(json.dumps(size, indent=1) + "\n")
    trainer.run()


def _validation(utterances: FeatureSet | AudioSet, trials_path: Path, device: torch.device):
    """A function from a network to its cosine EER on held-out speakers."""
    trials = read_trials(trials_path)
    utts, rows = look_up(trials, utterances, trials_path)
    cosine = Cosine(CosineArguments())

    def validate(network: torch.nn.Module) -> dict[str, float]:
        embeddings = Embeddings(utts, np.stack([embed(network, utterances, utt, device) for utt in utts]))
        return {"dev_eer": eer(cosine.score(embeddings, embeddings, rows), trials.target)}

    return validate


if __name__ == "__main__":
    command(main)
