"""The data-dir tools: utils/*data*.sh, utils/filter_scp.sh and the two converters of utt2spk and spk2utt."""

import argparse
import gc
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from sv_py.cli import InputError, Parser, command
from sv_py.io.atomic import replace_file
from sv_py.io.data_dir import check, listing, load, save, validate
from sv_py.io.data_dir_edit import choose, choose_speakers, combine, read_ids, rename, split, take, utterances_of
from sv_py.io.data_dir_mend import fix, mend
from sv_py.io.data_tables import Table, scan_bytes
from sv_py.io.text import decode_lines, invert

_VALIDATE_FLAGS = {
    "--no-wav": "wav.scp may be missing, and the files that it names are not looked for",
    "--no-feats": "do not look at feats.scp, vad.scp and utt2num_frames",
    "--no-shards": "do not look at audio.scp and utt2num_samples",
    "--no-text": "do not look at text",
    "--check-audio": "open every audio file",
    "--allow-pipes": "allow commands in wav.scp",
}
_SUBSET_FLAGS = {
    "--per-spk": "<n> utterances of each speaker, or all if it has fewer",
    "--speakers": "speakers as a whole, in an order chosen by --seed, until there are <n> utterances",
    "--shortest": "the <n> shortest utterances",
    "--first": "the first <n> utterances",
    "--last": "the last <n> utterances",
}
_FLAGS = {*_VALIDATE_FLAGS, *_SUBSET_FLAGS, "--skip-fix", "--per-utt", "--exclude"}
_AFFIXES = ("--utt-prefix", "--utt-suffix", "--spk-prefix", "--spk-suffix")
_TAKE_ANYTHING = {*_AFFIXES, "--validate-opts"}


def note(message: str) -> None:
    """Tell the user what a result lacks or how it was mended."""
    print(message, file=sys.stderr)


def run_validate(args: argparse.Namespace) -> int:
    """Check a data dir: print every complaint as file:line: message and exit with 1, or say that it is valid."""
    complaints = validate(args.data_dir, **_which(args))
    for line in listing(complaints):
        note(line)
    if complaints:
        return 1
    _report(args.data_dir, "valid")
    return 0


def run_fix(args: argparse.Namespace) -> None:
    """Mend a data dir in place: sort, keep the utterances that all files have, make spk2utt. Saves .backup."""
    changed = fix(args.data_dir, note)
    _report(args.data_dir, f"mended {', '.join(changed)}" if changed else "nothing to mend")


def run_copy(args: argparse.Namespace) -> None:
    """Copy a data dir, with other utterance and speaker ids if asked."""
    _refuse_same(args.dest, [args.src])
    if args.validate_opts:
        options = Parser(prog="--validate-opts")
        _add_flags(options, _VALIDATE_FLAGS)
        check(args.src, **_which(options.parse_args(shlex.split(args.validate_opts))))
    data = load(args.src)
    if any((args.utt_prefix, args.utt_suffix, args.spk_prefix, args.spk_suffix)):
        tables, extras = rename(
            data,
            lambda utt: f"{args.utt_prefix}{utt}{args.utt_suffix}",
            lambda speaker: f"{args.spk_prefix}{speaker}{args.spk_suffix}",
            note,
        )
    else:
        tables, extras = data.tables, data.extras
    save(tables, extras, args.dest)
    _report(args.dest, f"copied from {args.src}")


def run_combine(args: argparse.Namespace) -> None:
    """Combine data dirs: all of their utterances, with the files that every one of them has."""
    _refuse_same(args.dest, args.src)
    sources = [load(src) if args.skip_fix else mend(src, note) for src in args.src]
    save(*combine(sources, note), args.dest)
    _report(args.dest, f"combined from {len(sources)} data dirs")


def run_subset(args: argparse.Namespace) -> None:
    """Take a part of a data dir: by default <n> utterances at even distances."""
    _refuse_same(args.dest, [args.src])
    counted = not (args.spk_list or args.utt_list or args.num_speakers)
    if counted != (args.n is not None):
        args.parser.error("<n> is needed" if counted else "<n> has no meaning with a list or --num-speakers")
    data = load(args.src)
    if args.spk_list:
        speakers = read_ids(args.spk_list, data.tables["utt2spk"].entries.values(), "speaker")
        utts = utterances_of(data, speakers)
    elif args.num_speakers:
        utts = utterances_of(data, choose_speakers(data, args.num_speakers, args.seed))
    elif args.utt_list:
        utts = read_ids(args.utt_list, data.tables["utt2spk"].entries, "utterance")
    else:
        utts = choose(data, args.n, args.how, args.seed or 0)
    save(*take(data, utts, note), args.dest)
    _report(args.dest, f"taken from {args.src}")


def run_split(args: argparse.Namespace) -> None:
    """Split a data dir into <data-dir>/splitN/1 to N by speaker; done anew only if the data dir has changed."""
    folder, made = split(args.data_dir, args.n, args.per_utt)
    _report(args.data_dir, f"split in {folder}" if made else f"was split in {folder} before")


def run_filter(args: argparse.Namespace) -> None:
    """Keep the lines of a table whose id is in a list (its first column)."""
    ids = {line.split()[0] for line in decode_lines(*_read(args.id_list)) if line.strip()}
    data, path = _read(args.input)
    kept = []
    for number, line in enumerate(decode_lines(data, path) if data else (), 1):
        columns = line.split(None, args.field)
        if len(columns) < args.field:
            raise InputError(f"has no column {args.field}: {line[:80]!r}", path, number)
        if (columns[args.field - 1] in ids) != args.exclude:
            kept.append(line)
    _write(kept, args.output)


def run_to_spk2utt(args: argparse.Namespace) -> None:
    """Turn utt2spk, sorted or not, into spk2utt."""
    table = _read_table(args.input, columns=2)
    _write((f"{speaker} {' '.join(utts)}" for speaker, utts in invert(table.entries).items()), None)


def run_to_utt2spk(args: argparse.Namespace) -> None:
    """Turn spk2utt, sorted or not, into utt2spk."""
    table = _read_table(args.input, columns=None)
    utt2spk: dict[str, str] = {}
    for speaker, utts in table.entries.items():
        for utt in utts.split():
            if utt in utt2spk:
                what = f"'{utt}' of '{speaker}' was listed before, for '{utt2spk[utt]}'"
                raise InputError(what, table.path, 1 + list(table.entries).index(speaker))
            utt2spk[utt] = speaker
    _write((f"{utt} {utt2spk[utt]}" for utt in sorted(utt2spk)), None)


def _which(args: argparse.Namespace) -> dict[str, bool]:
    return {
        "wav": not args.no_wav,
        "feats": not args.no_feats,
        "shards": not args.no_shards,
        "text": not args.no_text,
        "audio": args.check_audio,
        "pipes": args.allow_pipes,
    }


def _report(path: Path, what: str) -> None:
    speakers = [line.split(b" ")[1] for line in (path / "utt2spk").read_bytes().splitlines()]  # valid: just counted
    print(f"{path}: {what}; {len(speakers)} utterances of {len(set(speakers))} speakers")


def _refuse_same(dest: Path, sources: Iterable[Path]) -> None:
    for src in sources:
        if src.resolve() == dest.resolve():
            raise InputError("is both source and destination", dest)


def _read(source: str) -> tuple[bytes, Path]:
    """The bytes of a file, pipe or, for '-', of stdin, and their name in messages."""
    if source == "-":
        return sys.stdin.buffer.read(), Path("stdin")
    return Path(source).read_bytes(), Path(source)


def _read_table(source: str, columns: int | None) -> Table:
    data, path = _read(source)
    table, complaints = scan_bytes(data, path, columns, ordered=False)
    if complaints:
        raise InputError("\n".join([f"{len(complaints)} complaints", *listing(complaints)]), path)
    return table


def _write(lines: Iterable[str], output: Path | None) -> None:
    contents = "".join(f"{line}\n" for line in lines).encode()
    if output is None:
        sys.stdout.buffer.write(contents)
        return
    with replace_file(output, "wb") as file:
        file.write(contents)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return int(text)


def _add_flags(parser: Parser, flags: dict[str, str]) -> None:
    for name, what in flags.items():
        parser.add_argument(name, action="store_true", help=what)


def _parser() -> Parser:
    parser = Parser(prog="python -m sv_py.data_dir", description=__doc__)
    tools = parser.add_subparsers(metavar="<tool>", required=True)

    def tool(name: str, script: str, run: Callable[[argparse.Namespace], int | None]) -> Parser:
        added = tools.add_parser(name, prog=f"utils/{script}", description=run.__doc__, help=run.__doc__)
        added.set_defaults(run=run, parser=added)
        return added

    one = tool("validate", "validate_data_dir.sh", run_validate)
    _add_flags(one, _VALIDATE_FLAGS)
    one.add_argument("data_dir", type=Path)

    one = tool("fix", "fix_data_dir.sh", run_fix)
    one.add_argument("data_dir", type=Path)

    one = tool("copy", "copy_data_dir.sh", run_copy)
    for name in _AFFIXES:
        one.add_argument(name, default="", metavar="TEXT", help="put before or behind every id of this kind")
    one.add_argument("--validate-opts", default="", metavar="OPTIONS", help="check the source with these options, too")
    one.add_argument("src", type=Path)
    one.add_argument("dest", type=Path)

    one = tool("combine", "combine_data.sh", run_combine)
    one.add_argument("--skip-fix", action="store_true", help="do not mend the sources: refuse them unless valid")
    one.add_argument("dest", type=Path)
    one.add_argument("src", type=Path, nargs="+")

    one = tool("subset", "subset_data_dir.sh", run_subset)
    one.set_defaults(how="evenly")
    how = one.add_mutually_exclusive_group()
    for name, what in _SUBSET_FLAGS.items():
        value = name[2:].replace("-", "_")
        how.add_argument(name, dest="how", action="store_const", const=value, default=argparse.SUPPRESS, help=what)
    how.add_argument("--spk-list", type=Path, metavar="FILE", help="the speakers of a list")
    how.add_argument("--utt-list", type=Path, metavar="FILE", help="the utterances of a list")
    how.add_argument("--num-speakers", type=_count, metavar="N", help="N whole speakers; without --seed evenly")
    one.add_argument("--seed", type=int, metavar="S", help="choose the speakers by this seed")
    one.add_argument("src", type=Path)
    one.add_argument("n", type=_count, nargs="?")
    one.add_argument("dest", type=Path)

    one = tool("split", "split_data.sh", run_split)
    one.add_argument("--per-utt", action="store_true", help="split by utterance, into <data-dir>/splitNutt")
    one.add_argument("data_dir", type=Path)
    one.add_argument("n", type=_count)

    one = tool("filter", "filter_scp.sh", run_filter)
    one.add_argument("--exclude", action="store_true", help="keep the lines whose id is not in the list")
    one.add_argument("-f", dest="field", type=_count, default=1, metavar="N", help="column of the id, from 1")
    one.add_argument("id_list")
    one.add_argument("input", nargs="?", default="-", help="table to filter; '-' is stdin")
    one.add_argument("output", nargs="?", type=Path, help="file to write instead of stdout")

    one = tool("to-spk2utt", "utt2spk_to_spk2utt.sh", run_to_spk2utt)
    one.add_argument("input", nargs="?", default="-", help="utt2spk; '-' is stdin")

    one = tool("to-utt2spk", "spk2utt_to_utt2spk.sh", run_to_utt2spk)
    one.add_argument("input", nargs="?", default="-", help="spk2utt; '-' is stdin")
    return parser


def _as_in_kaldi(words: list[str]) -> list[str]:
    """Allow `--skip-fix true` beside `--skip-fix`, and values that look like options: `--utt-suffix -noise`."""
    words, result = list(reversed(words)), []
    while words:
        word = words.pop()
        if word in _FLAGS and words and words[-1] in ("true", "false"):
            result += [word] if words.pop() == "true" else []
        elif word in _TAKE_ANYTHING and words:
            result.append(f"{word}={words.pop()}")
        else:
            result.append(word)
    return result


def main() -> int | None:
    """Run one tool."""
    gc.disable()  # millions of strings and no cycles: the collector only costs, half of the time
    args, unknown = _parser().parse_known_args(_as_in_kaldi(sys.argv[1:]))
    if unknown:
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return args.run(args)


if __name__ == "__main__":
    command(main)
