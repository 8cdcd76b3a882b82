"""Train an experiment, or go on with it (the command behind steps/train.sh)."""

import json
import re
import shutil
from pathlib import Path

import torch

from sv_py import log
from sv_py.augmentation.arguments import parse_bindings, roles_of
from sv_py.cli import InputError, Parser, command
from sv_py.config import check_sets, load
from sv_py.data.dataset import AudioSet
from sv_py.data.pool import open_pools
from sv_py.describe import describe
from sv_py.io.atomic import replace_file
from sv_py.train.distributed import connect
from sv_py.train.loop import Resources, Trainer
from sv_py.train.model import open_set
from sv_py.train.stopping import Stopping
from sv_py.train.validation import Validation


def main() -> None:
    """Parse the command line and train."""
    parser = Parser(prog="python -m sv_py.train", description=__doc__)
    parser.add_argument("--num-threads", type=int, default=0, help="CPU threads; 0: PyTorch's choice")
    parser.add_argument("--num-workers", type=int, default=0, help="processes that read and augment ahead")
    parser.add_argument(
        "--augment-set", action="append", default=[], metavar="ROLE=DIR", help="sounds for augmentation"
    )
    parser.add_argument("--extra-dir", type=Path, default=None, help="data dir of phases whose sets have extra")
    parser.add_argument("--valid-dir", type=Path, default=None, help="utterances of training speakers, to see the loss")
    parser.add_argument("--init", type=Path, default=None, help="the model to start from")
    parser.add_argument("--checkpoint-minutes", type=float, default=10.0, help="time between checkpoints in an epoch")
    parser.add_argument("--max-hours", type=float, default=0.0, help="save a checkpoint and end then; 0: never")
    parser.add_argument("--timeout-minutes", type=float, default=30.0, help="how long processes wait for each other")
    parser.add_argument("--device", default=None, help="cpu, cuda or cuda:N; default: cuda where there is one")
    parser.add_argument("--restart", choices=("true", "false"), default="false", help="discard what there is")
    parser.add_argument("config", type=Path, help="the resolved YAML")
    parser.add_argument("train_dir", type=Path)
    parser.add_argument("dev_dir", type=Path, help="held-out speakers, with trials")
    parser.add_argument("exp_dir", type=Path)
    args = parser.parse_args()
    if min(args.num_threads, args.num_workers, args.checkpoint_minutes, args.max_hours) < 0:
        parser.error("--num-threads, --num-workers, --checkpoint-minutes and --max-hours are not negative")
    if args.timeout_minutes <= 0:
        parser.error("--timeout-minutes is positive")
    log.setup()
    if args.num_threads:
        torch.set_num_threads(args.num_threads)
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    with Stopping(args.max_hours) as stopping, connect(device, args.timeout_minutes) as processes:
        _train(args, processes, stopping)


def _train(args, processes, stopping: Stopping) -> None:
    device, config = processes.device, load(args.config)
    bindings = parse_bindings(args.augment_set)
    dirs = {"train": args.train_dir} | ({"extra": args.extra_dir} if args.extra_dir else {})
    check_sets(config, dirs, str(args.config))
    if args.restart == "true" and args.init and args.init.resolve().is_relative_to(args.exp_dir.resolve()):
        raise InputError("--restart true would discard it: --init takes a copy that lies elsewhere", args.init)
    if not args.valid_dir and any(phase.result.by == "valid_loss" for phase in config.phases):
        raise InputError("phases.N.result.by: valid_loss needs utterances held out: --valid-dir", args.config)
    sets = {role: open_set(folder, config) for role, folder in dirs.items()}
    pools, utterances = {}, sets["train"]
    if isinstance(utterances, AudioSet):
        roles = roles_of(part for phase in config.phases for part in phase.augment.waveform)
        pools = open_pools(bindings, roles, utterances.store.rate, utterances.store)
    valid = open_set(args.valid_dir, config) if args.valid_dir else None
    dev, trials = open_set(args.dev_dir, config), args.dev_dir / "trials"
    validate = Validation(dev, trials, valid, device, config.data, args.num_workers)
    resources = Resources(device, args.num_workers, args.checkpoint_minutes, args.init)
    trainer = Trainer(config, sets, args.exp_dir, resources, validate, pools, processes)
    if processes.first:
        if args.restart == "true":  # now that nothing can be wrong any more with what takes its place
            for name in ("final.pt", "curves.svg", "unfinished"):
                (args.exp_dir / name).unlink(missing_ok=True)
            for name in ("phases", "tensorboard"):
                shutil.rmtree(args.exp_dir / name, ignore_errors=True)
        args.exp_dir.mkdir(parents=True, exist_ok=True)
        with replace_file(args.exp_dir / "model.json") as file:
            shift = re.search(r"^--frame-shift=(\S+)$", utterances.id, re.MULTILINE)
            size = describe(config, trainer.feature_dim, float(shift[1]) if shift else 10.0, len(trainer.classes))
            file.write(json.dumps(size, indent=1) + "\n")
    processes.texts([])  # nobody looks for checkpoints before those of an earlier training are gone
    trainer.run(stopping)


if __name__ == "__main__":
    command(main)
