"""Check the trial lists of test sets before anything is trained: known utterances, no speaker of the training data."""

from pathlib import Path

from sv_py import log
from sv_py.cli import InputError, Parser, command, first_few
from sv_py.io.text import read_table
from sv_py.io.trials import look_up, read_models, read_trials


def main() -> None:
    """Parse the command line and check."""
    parser = Parser(prog="python -m sv_py.check_trials", description=__doc__)
    parser.add_argument("--allow-train-speakers", choices=("true", "false"), default="false", help="accept overlap")
    parser.add_argument(
        "--train-dir", type=Path, action="append", default=[], help="none of whose speakers may be tested; repeatable"
    )
    parser.add_argument("test_dir", type=Path, nargs="+", help="with trials or trials_<name>")
    args = parser.parse_args()
    log.setup()
    trained = {path: set(read_table(path / "utt2spk", columns=2).values()) for path in args.train_dir}
    for test_dir in args.test_dir:
        utt2spk = read_table(test_dir / "utt2spk", columns=2)
        lists = sorted([*test_dir.glob("trials"), *test_dir.glob("trials_*")])
        if not lists:
            raise InputError("has neither trials nor trials_<name>", test_dir)
        models = read_models(test_dir)
        for path in lists:
            trials = read_trials(path)
            names = look_up(trials, utt2spk.keys() | models, path)[0]
            tested = {utt2spk[utt] for name in names for utt in models.get(name, [name])}
            for train_dir, speakers in trained.items() if args.allow_train_speakers == "false" else ():
                if both := sorted(tested & speakers):
                    raise InputError(
                        f"{len(both)} of its speakers are in the training data {train_dir}: {first_few(both)}; "
                        "error rates of known speakers say nothing (--allow-train-speakers true accepts them)",
                        path,
                    )
            targets = int(trials.target.sum())
            if targets in (0, len(trials.target)):
                raise InputError("needs target and non-target trials", path)
            log.logger.info("%s: %d target, %d non-target trials", path, targets, len(trials.target) - targets)


if __name__ == "__main__":
    command(main)
