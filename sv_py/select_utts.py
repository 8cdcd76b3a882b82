"""List the utterances of a data dir that may train: long enough, enough speech, speakers with enough of them."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.data.store import read_rate
from sv_py.io.ark import ArkReader
from sv_py.io.text import read_counts, read_table, require_keys, write_lines


def count_frames(data_dir: Path, source: str, utts: Iterable[str]) -> dict[str, int]:
    """Length of each utterance: frames of its features, or as many 10 ms as its audio shard holds."""
    path = data_dir / ("utt2num_samples" if source == "audio" else "utt2num_frames")
    counts = read_counts(path)
    require_keys(counts, utts, path)
    if source == "feats":
        return counts
    rate = read_rate(data_dir)
    return {utt: 100 * count // rate for utt, count in counts.items()}


def main() -> None:
    """Parse the command line and write the list."""
    parser = Parser(prog="python -m sv_py.select_utts", description=__doc__)
    parser.add_argument("--min-frames", type=int, default=0, help="shortest utterance, in frames (of audio: of 10 ms)")
    parser.add_argument("--source", choices=("feats", "audio"), default="feats", help="what is to train")
    parser.add_argument("--min-voiced-frames", type=int, default=0, help="least speech, in frames of vad.scp")
    parser.add_argument("--min-utts", type=int, default=1, help="fewest such utterances of a speaker")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("out", type=Path, help="the list, one utterance a line")
    args = parser.parse_args()
    log.setup()
    utt2spk = read_table(args.data_dir / "utt2spk", columns=2)
    num_frames = count_frames(args.data_dir, args.source, utt2spk)
    kept = [u for u in utt2spk if num_frames[u] >= args.min_frames]
    if args.min_voiced_frames:
        vad, reader = read_table(args.data_dir / "vad.scp"), ArkReader()
        require_keys(vad, kept, args.data_dir / "vad.scp")
        kept = [u for u in kept if reader.read(vad[u], key=u).sum() >= args.min_voiced_frames]
    counts = Counter(utt2spk[u] for u in kept)
    kept = [u for u in kept if counts[utt2spk[u]] >= args.min_utts]
    if not kept:
        raise InputError(f"none of {len(utt2spk)} utterances is long enough", args.data_dir)
    speakers = len({utt2spk[u] for u in kept})
    log.logger.info("keeping %d of %d utterances, %d speakers", len(kept), len(utt2spk), speakers)
    write_lines(args.out, kept)


if __name__ == "__main__":
    command(main)
