"""Write the audio of a data dir to arks (a job of steps/make_shards.sh)."""

from functools import partial
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.data.audio import to_int16
from sv_py.data.shard_job import make_shards
from sv_py.data.vad import describe, read_detector, speech_samples
from sv_py.io.audio_ark import ENCODINGS, write_audio_ark
from sv_py.log import logger


def main() -> None:
    """Parse the command line and write the job's shards."""
    parser = Parser(prog="python -m sv_py.make_shards", description=__doc__)
    switch = {"choices": ("true", "false"), "default": "false"}
    parser.add_argument("--sample-frequency", type=int, default=16000, help="of the shards, in Hz")
    parser.add_argument("--encoding", choices=ENCODINGS, default="pcm16", help="pcm16 can be sliced; flac is small")
    parser.add_argument("--resample", **switch, help="convert audio of other rates")
    parser.add_argument("--mixdown", **switch, help="take the mean of several channels")
    parser.add_argument("--vad-config", type=Path, help="keep only what this detector takes for speech")
    parser.add_argument("--allow-pipes", **switch, help="run commands in wav.scp")
    parser.add_argument("--skip-bad", **switch, help="leave bad utterances out")
    parser.add_argument("--utts-per-shard", type=int, default=1000, help="bound on the size of an ark")
    parser.add_argument("--job", default="1/1", help="N/J: make the shards of the N-th of J jobs")
    parser.add_argument("--print-id", action="store_true", help="only print the text that identifies these shards")
    parser.add_argument("data_dir", type=Path, nargs="?")
    parser.add_argument("prefix", type=Path, nargs="?", help="shard K becomes <prefix>.K.ark")
    args = parser.parse_args()
    log.setup()
    if args.sample_frequency < 1 or args.utts_per_shard < 1:
        parser.error("--sample-frequency and --utts-per-shard are at least 1")
    detector = read_detector(args.vad_config) if args.vad_config else None
    identity = f"--sample-frequency={args.sample_frequency}\n--encoding={args.encoding}\n"
    if detector:
        if detector[1].sample_frequency != args.sample_frequency:
            what = f"the detector is for {detector[1].sample_frequency} Hz, the shards have {args.sample_frequency} Hz"
            raise InputError(what, args.vad_config)
        identity += describe(*detector)
    if args.print_id:
        print(identity, end="")
        return
    if args.prefix is None:
        parser.error("data_dir and prefix are needed")
    clipped: dict[str, int] = {}

    def compute(utt: str, samples: np.ndarray) -> np.ndarray:
        if detector:
            samples = speech_samples(samples, *detector, utt)
        rounded, beyond = to_int16(samples)
        if beyond:
            clipped[utt] = beyond
        return rounded

    try:
        make_shards(
            args.data_dir, args.prefix, args.job, args.utts_per_shard,
            rate=args.sample_frequency, identity=identity, compute=compute, lengths="utt2num_samples",
            write=partial(write_audio_ark, rate=args.sample_frequency, encoding=args.encoding),
            pipes=args.allow_pipes == "true", resample=args.resample == "true", mixdown=args.mixdown == "true",
            skip_bad=args.skip_bad == "true",
        )  # fmt: skip
    finally:
        if clipped:
            logger.warning("samples clipped at full scale: %d, in %d utterances", sum(clipped.values()), len(clipped))


if __name__ == "__main__":
    command(main)
