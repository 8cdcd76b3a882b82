"""List the utterances of a data dir that may train: long enough, enough speech, speakers with enough of them.

Speakers of another data dir may be left out, or be an error.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sv_py import log
from sv_py.cli import InputError, Parser, command, first_few
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


def speakers_of(data_dir: Path | None) -> set[str]:
    """The speakers of a data dir; none of none."""
    return set(read_table(data_dir / "utt2spk", columns=2).values()) if data_dir else set()


def main() -> None:
    """Parse the command line and write the list."""
    parser = Parser(prog="python -m sv_py.select_utts", description=__doc__)
    parser.add_argument("--min-frames", type=int, default=0, help="shortest utterance, in frames (of audio: of 10 ms)")
    parser.add_argument("--source", choices=("feats", "audio"), default="feats", help="what is to train")
    parser.add_argument("--min-voiced-frames", type=int, default=0, help="least speech, in frames of vad.scp")
    parser.add_argument("--min-utts", type=int, default=1, help="fewest such utterances of a speaker")
    parser.add_argument("--exclude-speakers", type=Path, metavar="DIR", help="data dir whose speakers are left out")
    parser.add_argument("--forbid-speakers", type=Path, metavar="DIR", help="data dir whose speakers are an error")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("out", type=Path, help="the list, one utterance a line")
    args = parser.parse_args()
    log.setup()
    utt2spk = read_table(args.data_dir / "utt2spk", columns=2)
    num_frames = count_frames(args.data_dir, args.source, utt2spk)
    if shared := sorted(speakers_of(args.forbid_speakers) & set(utt2spk.values())):
        raise InputError(
            f"{len(shared)} of its speakers are in {args.forbid_speakers}, too: {first_few(shared)}; "
            "data.shared_speakers: merge makes one class of each",
            args.data_dir,
        )
    excluded = speakers_of(args.exclude_speakers)
    kept = [u for u, spk in utt2spk.items() if num_frames[u] >= args.min_frames and spk not in excluded]
    if args.min_voiced_frames:
        vad, reader = read_table(args.data_dir / "vad.scp"), ArkReader()
        require_keys(vad, kept, args.data_dir / "vad.scp")
        kept = [u for u in kept if reader.read(vad[u], key=u).sum() >= args.min_voiced_frames]
    counts = Counter(utt2spk[u] for u in kept)
    kept = [u for u in kept if counts[utt2spk[u]] >= args.min_utts]
    if not kept:
        also = f", of a speaker who is not in {args.exclude_speakers}" if excluded else ""
        raise InputError(f"none of {len(utt2spk)} utterances is long enough{also}", args.data_dir)
    speakers = len({utt2spk[u] for u in kept})
    log.logger.info("keeping %d of %d utterances, %d speakers", len(kept), len(utt2spk), speakers)
    write_lines(args.out, kept)


if __name__ == "__main__":
    command(main)
