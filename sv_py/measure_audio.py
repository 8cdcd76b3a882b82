"""Measure the audio of a trial list's utterances: speech_duration in s and snr in dB (a job of compute_quality.sh)."""

from collections.abc import Container
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import Parser, command, share_of_job
from sv_py.compute_quality import add_id_options, read_ids
from sv_py.data.audio import Conversion, Source, load, sources
from sv_py.data.quality import estimate_snr, speech_seconds
from sv_py.data.vad import read_detector
from sv_py.io.quality import write_quality
from sv_py.io.text import read_table, require_keys
from sv_py.io.trials import match_ids

_BLOCK = 100_000  # lines of a data dir that are in memory at once


def wanted_sources(data_dir: Path, total: int, wanted: Container[str]) -> list[Source]:
    """Those of the ``total`` utterances of a data dir that are ``wanted``, in its order."""
    blocks = (sources(data_dir, range(start, min(start + _BLOCK, total))) for start in range(0, total, _BLOCK))
    return [source for block in blocks for source in block if source.utt in wanted]


def main() -> None:
    """Parse the command line, measure, write the quality table."""
    parser = Parser(prog="python -m sv_py.measure_audio", description=__doc__)
    parser.add_argument("--vad-config", type=Path, default="conf/vad.conf", help="options of the detector of speech")
    parser.add_argument("--allow-pipes", choices=("true", "false"), default="false", help="run commands in wav.scp")
    parser.add_argument("--job", default="1/1", metavar="N/J", help="only the N-th of J parts of the utterances")
    parser.add_argument("data_dir", type=Path)
    add_id_options(parser)
    parser.add_argument("out", type=Path, help="the quality table")
    args = parser.parse_args()
    log.setup()
    name, arguments = read_detector(args.vad_config)
    utt2spk = read_table(args.data_dir / "utt2spk", columns=2)
    utts = match_ids(read_ids(args.trials, args.enrol_spk2utt).utts, utt2spk)
    require_keys(utt2spk, utts, args.data_dir / "utt2spk")
    distinct = sorted(set(utts))
    mine = {distinct[k] for k in share_of_job(args.job, len(distinct))}
    todo = wanted_sources(args.data_dir, len(utt2spk), mine)
    conversion = Conversion(arguments.sample_frequency, args.allow_pipes == "true")
    found = np.empty((len(todo), 2))
    for row, (utt, samples_of) in enumerate(log.progress(load(todo, conversion), len(todo), args.out.name)):
        samples = samples_of()
        found[row] = speech_seconds(samples, name, arguments, utt), estimate_snr(samples, arguments)
    columns = dict(zip(("speech_duration", "snr"), found.T, strict=True))
    write_quality(args.out, [source.utt for source in todo], columns)


if __name__ == "__main__":
    command(main)
