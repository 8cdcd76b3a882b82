"""Convert a job's share of listed audio files to 16-bit mono WAV, each whole or not at all (steps/convert_audio.sh)."""

import io
import struct
from pathlib import Path

import numpy as np
import soundfile

from sv_py import log
from sv_py.cli import InputError, Parser, command, first_few
from sv_py.data.ffmpeg import decode, find_ffmpeg
from sv_py.io.atomic import replace_file
from sv_py.io.text import read_lines, write_lines


def main() -> int:
    """Parse the command line and convert; status 1 if some file could not be."""
    parser = Parser(prog="python -m sv_py.convert_audio", description=__doc__)
    parser.add_argument("--sample-frequency", type=int, default=16000, help="of the WAVs, Hz")
    parser.add_argument("--job", type=int, default=1, help="1 to --nj: takes each nj-th line")
    parser.add_argument("--nj", type=int, default=1, help="number of jobs")
    parser.add_argument("list", type=Path, help="file names below <src>, one a line")
    parser.add_argument("src", type=Path)
    parser.add_argument("dest", type=Path, help="gets the same tree with the extension .wav")
    parser.add_argument("failures", type=Path, help="table of the files that cannot be converted, and why")
    args = parser.parse_args()
    log.setup()
    find_ffmpeg()  # or say at once that there is none
    failures: list[str] = []
    names = read_lines(args.list)[args.job - 1 :: args.nj]
    done = 0
    for name in log.progress(names, what=f"job {args.job}", unit="file"):
        target = (args.dest / name).with_suffix(".wav")
        if is_whole(target, args.sample_frequency):
            done += 1
            continue
        try:
            samples = decode(args.src / name, args.sample_frequency)
            if len(samples) == 0:
                raise InputError("has no samples", args.src / name)
        except InputError as error:
            failures.append(f"{name} {error.message}")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        write_wav(target, samples, args.sample_frequency)
    write_lines(args.failures, failures)
    converted = len(names) - done - len(failures)
    log.logger.info("%d converted, %d were there, %d cannot be converted", converted, done, len(failures))
    if failures:
        log.logger.error("cannot be converted: %s", first_few(failures))
    return 1 if failures else 0


def is_whole(path: Path, rate: int) -> bool:
    """Whether ``path`` is a mono 16-bit WAV of ``rate`` Hz as long as its header says."""
    try:
        header = soundfile.info(path)
        with path.open("rb") as file:
            kind, size = struct.unpack("<4sI", file.read(8))
        complete = kind == b"RIFF" and size + 8 == path.stat().st_size and header.frames > 0
    except (OSError, struct.error, soundfile.LibsndfileError):
        return False
    return complete and (header.samplerate, header.channels, header.subtype) == (rate, 1, "PCM_16")


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write int16 samples (N,) so that ``path`` appears whole."""
    wav = io.BytesIO()  # a full disk is an error of our file, which libsndfile would not tell
    soundfile.write(wav, samples, rate, format="WAV", subtype="PCM_16")
    with replace_file(path, "wb") as file:
        file.write(wav.getbuffer())


if __name__ == "__main__":
    command(main)
