"""Compute the front end's features of one split of a data dir (a job of steps/make_fbank.sh)."""

import dataclasses
from functools import partial
from pathlib import Path

from sv_py import log
from sv_py.cli import Parser, command
from sv_py.data.memory import keep_freed_memory
from sv_py.data.shard_job import make_shard
from sv_py.features import FRONTENDS
from sv_py.features.arguments import FrameArguments, describe, read_frontend
from sv_py.io.ark import write_ark


def read_options(conf: Path) -> tuple[str, FrameArguments]:
    """Name and arguments of the front end as they hold for stored features, which have no dither."""
    name, arguments = read_frontend(conf)
    if getattr(arguments, "dither", 0.0):
        log.logger.warning("%s: stored features have no dither; it is for training on audio", conf)
        arguments = dataclasses.replace(arguments, dither=0.0)
    return name, arguments


def main() -> None:
    """Parse the command line and write the shard."""
    parser = Parser(prog="python -m sv_py.compute_fbank", description=__doc__)
    switch = {"choices": ("true", "false"), "default": "false"}
    parser.add_argument("--config", type=Path, default="conf/fbank.conf", help="Kaldi-style options of the front end")
    parser.add_argument("--compress", **switch, help="write Kaldi's compressed matrices: a byte per value")
    parser.add_argument("--allow-pipes", **switch, help="run commands in wav.scp")
    parser.add_argument("--skip-bad", **switch, help="leave bad utterances out")
    parser.add_argument("--print-id", action="store_true", help="only print the text that identifies these features")
    parser.add_argument("data_dir", type=Path, nargs="?")
    parser.add_argument("ark", type=Path, nargs="?")
    parser.add_argument("scp", type=Path, nargs="?")
    args = parser.parse_args()
    log.setup()
    name, arguments = read_options(args.config)
    identity = describe(name, arguments)
    if args.print_id:
        print(identity, end="")
        return
    if args.scp is None:
        parser.error("data_dir, ark and scp are needed")
    import torch  # three seconds that --print-id does without

    torch.set_num_threads(1)  # jobs are the parallelism
    keep_freed_memory()
    frontend = FRONTENDS.build(name, arguments).eval()

    @torch.inference_mode()
    def compute(_: str, samples):
        return frontend(torch.from_numpy(samples)[None])[0].numpy()

    make_shard(
        args.data_dir, args.ark, args.scp, frontend.sample_frequency, f"{identity}--compress={args.compress}\n",
        compute, write=partial(write_ark, compress=args.compress == "true"),
        pipes=args.allow_pipes == "true", skip_bad=args.skip_bad == "true",
    )  # fmt: skip


if __name__ == "__main__":
    command(main)
