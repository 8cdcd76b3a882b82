"""A folder with wav.scp and trials, as VoxBlink2's evaluation has it -> a data dir to evaluate a model on.

Nobody knows the speakers, so every utterance is its own.
"""

from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import InputError, Parser, command, first_few
from sv_py.data.utterance import check_id
from sv_py.io.places import ark_of
from sv_py.io.text import read_table, write_lines, write_table
from sv_py.io.trials import as_utterance, match_ids, read_trials


def main() -> None:
    """Parse the command line and write the data dir."""
    parser = Parser(prog="python -m sv_py.prepare_wav_list", description=__doc__)
    parser.add_argument("--corpus-dir", type=Path, required=True, help="the folder with wav.scp and trials")
    parser.add_argument("--name", default="wav_list", help="name of the data dir")
    parser.add_argument(
        "--drop-unknown", choices=("true", "false"), default="false", help="leave out trials of unknown utterances"
    )
    parser.add_argument("--data-root", type=Path, required=True, help="where the data dir goes")
    args = parser.parse_args()
    log.setup()
    check_id("--name", args.name)
    places = read_places(args.corpus_dir / "wav.scp")
    trials = known_trials(args.corpus_dir / "trials", places, args.drop_unknown == "true")
    out = args.data_root / args.name
    out.mkdir(parents=True, exist_ok=True)
    write_lines(out / "trials", trials)
    for name in ("utt2spk", "spk2utt"):
        write_table(out / name, {utt: utt for utt in places})
    write_table(out / "wav.scp", places)
    log.logger.info("%s: %d utterances, %d trials", out, len(places), len(trials))


def read_places(path: Path) -> dict[str, str]:
    """Utterance -> absolute place of its audio; relative ones start at the folder of the wav.scp.

    Utterances that are called like a file in folders are renamed as `as_utterance` does. Raises InputError for an id
    that is none or occurs twice, and for files that do not exist.
    """
    places: dict[str, str] = {}
    missing = []
    for line, (name, place) in enumerate(read_table(path, ordered=False).items(), 1):
        utt = check_id("utterance id", as_utterance(name) if "/" in name else name, path, line)
        if utt in places:
            raise InputError(f"'{utt}', as '{name}' is called here, a second time", path, line)
        places[utt] = place
        if place.endswith("|"):  # a command, which stage 2 runs with --allow-pipes only
            continue
        places[utt] = str((path.parent / place).absolute())
        if not Path(ark_of(places[utt]) or places[utt]).is_file():
            missing.append(place)
    if missing:
        raise InputError(f"{len(missing)} of {len(places)} audio files are not there: {first_few(missing)}", path)
    return places


def known_trials(path: Path, known: dict[str, str], drop: bool) -> list[str]:
    """The trials as Kaldi writes them. Raises InputError if some name utterances that are not ``known``, unless these
    are to be dropped, and if no target or no non-target trial is left.
    """
    trials = read_trials(path)
    names = [as_utterance(name) if "/" in name else name for name in match_ids(trials.ids, known)]
    there = np.array([name in known for name in names])
    kept = there[trials.enrol] & there[trials.test]
    dropped = int(len(kept) - kept.sum())
    if dropped:
        unknown = first_few(name for name, found in zip(trials.ids, there, strict=True) if not found)
        what = f"{dropped} of {len(kept)} trials name utterances that are not in wav.scp: {unknown}"
        if not drop:
            line = int(np.flatnonzero(~kept)[0]) + 1
            raise InputError(f"{what} (local/prepare_wav_list.sh --drop-unknown true leaves them out)", path, line)
        log.logger.warning("%s: left out: %s", path, what)
    targets = int(trials.target[kept].sum())
    if targets in (0, kept.sum()):
        raise InputError(f"{targets} target trials of {kept.sum()}: both kinds are needed", path)
    rows = zip(trials.enrol[kept], trials.test[kept], trials.target[kept], strict=True)
    return [f"{names[i]} {names[j]} {'target' if same else 'nontarget'}" for i, j, same in rows]


if __name__ == "__main__":
    command(main)
