"""Mean embedding of each speaker: spk_xvector.ark and .scp, and num_utts."""

from pathlib import Path

import numpy as np

from sv_py.cli import InputError, Parser, command
from sv_py.io.ark import ArkReader, write_ark
from sv_py.io.text import invert, read_table, write_table


def main() -> None:
    """Parse the command line and write the means."""
    parser = Parser(prog="python -m sv_py.speaker_means", description=__doc__)
    parser.add_argument("utt2spk", type=Path)
    parser.add_argument("xvector_scp", type=Path)
    parser.add_argument("out_dir", type=Path)
    args = parser.parse_args()
    places, reader = read_table(args.xvector_scp), ArkReader()
    spk2utt = invert(read_table(args.utt2spk, columns=2))
    lacking = next((u for utts in spk2utt.values() for u in utts if u not in places), None)
    if lacking is not None:
        raise InputError(f"lacks '{lacking}'", args.xvector_scp)
    means = ((spk, np.mean([reader.read(places[u], key=u) for u in utts], axis=0)) for spk, utts in spk2utt.items())
    write_ark(args.out_dir / "spk_xvector.ark", args.out_dir / "spk_xvector.scp", means)
    write_table(args.out_dir / "num_utts", {spk: len(utts) for spk, utts in spk2utt.items()})


if __name__ == "__main__":
    command(main)
