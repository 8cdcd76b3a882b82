"""Decide which frames of one split of a data dir are speech (a job of steps/compute_vad.sh)."""

from pathlib import Path

from sv_py import log
from sv_py.cli import InputError, Parser, command, first_few
from sv_py.data.shard_job import make_shard
from sv_py.data.vad import DetectorArguments, decide, describe, read_detector
from sv_py.io.text import read_counts, read_lines


def check_front_end(arguments: DetectorArguments, feats_id: Path) -> None:
    """Raise InputError if the decisions would not fall on the frames of the features that ``feats_id`` describes."""
    theirs = dict(line.partition("=")[::2] for line in read_lines(feats_id)) if feats_id.exists() else {}
    if "frontend" in theirs:
        theirs.setdefault("--snip-edges", "false")  # the front ends without this option centre their frames
    for name, value in (line.partition("=")[::2] for line in describe("", arguments).splitlines()[1:]):
        if theirs.get(name, value) != value:
            raise InputError(f"{name} is {theirs[name]} for the features and {value} for the detector", feats_id)


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
    name, arguments = read_detector(args.config)
    check_front_end(arguments, args.data_dir / "feats.id")
    num_frames = read_counts(args.data_dir / "utt2num_frames")
    identity = describe(name, arguments) + "".join(f"{utt} {count}\n" for utt, count in num_frames.items())
    silent: list[str] = []

    def compute(utt, samples):
        if utt not in num_frames:
            raise InputError(f"'{utt}' has no features: run steps/make_fbank.sh first", args.data_dir)
        decisions = decide(samples, num_frames[utt], name, arguments, utt)
        if not decisions.any():
            silent.append(utt)
        return decisions

    make_shard(
        args.data_dir, args.ark, args.scp, arguments.sample_frequency, identity, compute,
        pipes=args.allow_pipes == "true",
    )  # fmt: skip
    if silent:
        log.logger.warning("no speech at all in %d utterances: %s", len(silent), first_few(silent))


if __name__ == "__main__":
    command(main)
