"""Decide which frames of one split of a data dir are speech (a job of steps/compute_vad.sh)."""

from pathlib import Path

from sv_py import log
from sv_py.cli import InputError, Parser, command, first_few
from sv_py.data.shard_job import make_shard
from sv_py.data.vad import WebrtcArguments, webrtc
from sv_py.features.arguments import describe, read_conf
from sv_py.io.text import read_table


def main() -> None:
    """Parse the command line and write the shard of 0/1 vectors."""
    parser = Parser(prog="python -m sv_py.compute_vad", description=__doc__)
    parser.add_argument("--config", type=Path, default="conf/vad.conf", help="options of the detector")
    parser.add_argument("--allow-pipes", choices=("true", "false"), default="false", help="run commands in wav.scp")
    parser.add_argument("data_dir", type=Path, help="with utt2num_frames: decisions follow the features' frames")
    parser.add_argument("ark", type=Path)
    parser.add_argument("scp", type=Path)
    args = parser.parse_args()
    log.setup()
    options = read_conf(args.config, WebrtcArguments)
    num_frames = {u: int(n) for u, n in read_table(args.data_dir / "utt2num_frames", columns=2).items()}
    silent: list[str] = []

    def compute(utt, samples):
        if utt not in num_frames:
            raise InputError(f"'{utt}' has no features: run steps/make_fbank.sh first", args.data_dir)
        decisions = webrtc(samples, num_frames[utt], options)
        if not decisions.any():
            silent.append(utt)
        return decisions

    make_shard(
        args.data_dir, args.ark, args.scp, options.sample_frequency, describe("webrtc", options), compute,
        pipes=args.allow_pipes == "true",
    )  # fmt: skip
    if silent:
        log.logger.warning("no speech at all in %d utterances: %s", len(silent), first_few(silent))


if __name__ == "__main__":
    command(main)
