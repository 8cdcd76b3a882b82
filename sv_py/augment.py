"""Augmented copies of a data dir as audio shards (steps/augment_data_dir.sh): `prepare` it, then make its shards."""

import argparse
import hashlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.augmentation.arguments import parse_bindings, roles_of, speed_ratio
from sv_py.cli import InputError, Parser, command
from sv_py.config import load_section
from sv_py.data.audio import to_int16
from sv_py.data.pool import open_pools
from sv_py.data.shard_job import make_shards
from sv_py.data.store import AudioStore
from sv_py.data.table import UtteranceTable
from sv_py.io.audio_ark import ENCODINGS, write_audio_ark
from sv_py.io.current import file_states
from sv_py.io.data_dir import load, save
from sv_py.io.data_dir_edit import rename
from sv_py.io.data_tables import Table, key_kind
from sv_py.schema import Augment

FULL_SCALE = 32767
# What belongs to the audio of the source, and not to that of its copies.
_OF_THE_SOURCE = ("feats.scp", "vad.scp", "utt2num_frames", "audio.scp", "utt2num_samples", "utt2dur")


class Augmenter:
    """What the command line asks for. Raises InputError for what cannot be done."""

    def __init__(self, args: argparse.Namespace):
        if args.augment is None and args.speed is None:
            raise InputError("nothing to do: neither --augment nor --speed")
        if (args.augment is None) != (args.suffix is None):
            raise InputError("--augment and --suffix, which marks the ids of what is augmented, go together")
        self.augment = load_section(args.augment, Augment) if args.augment is not None else Augment()
        if args.augment is not None and not self.augment.waveform:
            raise InputError("has nothing under waveform; --speed asks for another speed", args.augment)
        self.speed = args.speed
        if self.speed is not None:
            speed_ratio(self.speed)
        self.prefix = "" if self.speed is None else f"sp{self.speed:g}-"
        self.suffix = "" if args.suffix is None else f"-{args.suffix}"
        self.rate, self.seed, self.encoding = args.sample_frequency, args.seed, args.encoding
        if self.rate < 1:
            raise InputError(f"--sample-frequency must be at least 1, not {self.rate}")
        roles = roles_of(self.augment.waveform)
        train = AudioStore(args.data_dir) if "train" in roles else None
        self.pools = open_pools(parse_bindings(args.augment_set), roles, self.rate, train)
        self._train = train

    def identity(self) -> str:
        """What decides the result beside the audio: of sounds the contents, whatever their folder is called."""
        sounds = {role: _contents(pool.store.table) for role, pool in self.pools.items()}
        return f"{self.augment.waveform} {self.speed} {self.seed} {self.encoding} {sounds}"

    def computation(self) -> Callable[[str, np.ndarray], np.ndarray]:
        """A function of a new utterance id and the old one's samples, which gives its own, int16."""
        import torch

        from sv_py.augmentation.chain import build_chain
        from sv_py.augmentation.speed import speed, speed_output_samples

        torch.set_num_threads(1)  # jobs are the parallelism
        chain = build_chain(self.augment.waveform, self.pools, self.rate)

        @torch.inference_mode()
        def compute(utt: str, samples: np.ndarray) -> np.ndarray:
            waveforms = torch.from_numpy(samples)[None]
            if self.speed is not None:
                waveforms = speed(waveforms, self.speed, speed_output_samples(len(samples), self.speed))
            original = utt.removeprefix(self.prefix).removesuffix(self.suffix)
            row = self._train.table.row(original) if self._train else None
            try:
                drawn = chain.draw(self._generator(utt), waveforms.shape[1], row)
            except InputError as error:  # of a sound
                raise InputError(f"'{utt}': {error}") from None
            waveform = chain.apply(waveforms, [drawn])[0]
            peak = float(waveform.abs().max())
            return to_int16((waveform * min(1.0, FULL_SCALE / max(peak, 1.0))).numpy())[0]

        return compute

    def _generator(self, utt: str) -> np.random.Generator:
        """Of an utterance alone, so that neither jobs nor shards decide what is drawn."""
        digest = hashlib.sha256(f"{self.seed} {utt}".encode()).digest()
        return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], np.uint64)))


def _contents(table: UtteranceTable) -> str:
    digest = hashlib.sha256()
    for column in (table.speaker, table.shard, table.offset, table.length):
        digest.update(column)
    return f"{digest.hexdigest()} {file_states(table.shards)}"


def prepare(args: argparse.Namespace) -> None:
    """Check everything; write the copy's tables without its audio, and to the staging dir with that of the source."""
    augmenter = Augmenter(args)
    augmenter.computation()
    note = partial(print, file=sys.stderr)
    if augmenter.augment.speed:
        note(f"not applied: speed of {args.augment}; --speed makes the copy of one speed")
    data = load(args.data_dir)
    tables, _ = rename(
        data,
        lambda utt: f"{augmenter.prefix}{utt}{augmenter.suffix}",
        lambda speaker: f"{augmenter.prefix}{speaker}",
        note,
    )
    tables = {name: table for name, table in tables.items() if name not in _OF_THE_SOURCE}
    before = data.tables["utt2uniq"].entries if "utt2uniq" in data.tables else {}
    uniq = {
        new: before.get(old, old)
        for new, old in zip(tables["utt2spk"].entries, data.tables["utt2spk"].entries, strict=True)
    }
    tables["utt2uniq"] = Table(data.path / "utt2uniq", uniq)
    save(
        {name: table for name, table in tables.items() if name != "segments" and key_kind(name) != "reco"},
        {},
        args.copy,
    )
    save(tables, {}, args.staging)


def run_job(args: argparse.Namespace) -> None:
    """Make the shards of one job."""
    log.setup()
    augmenter = Augmenter(args)
    make_shards(
        args.staging, args.prefix, args.job, args.utts_per_shard,
        rate=augmenter.rate, identity=augmenter.identity(), compute=augmenter.computation(),
        lengths="utt2num_samples", write=partial(write_audio_ark, rate=augmenter.rate, encoding=args.encoding),
        pipes=args.allow_pipes == "true", resample=args.resample == "true", mixdown=args.mixdown == "true",
        skip_bad=args.skip_bad == "true",
    )  # fmt: skip


def main() -> None:
    """Parse the command line and do one of the two."""
    common = Parser(add_help=False)
    switch = {"choices": ("true", "false"), "default": "false"}
    common.add_argument("--augment", type=Path, help="YAML with what is done, as a phase's `augment` has it")
    common.add_argument("--suffix", help="put behind the utterances' ids, after a '-'")
    common.add_argument("--speed", type=float, help="factor; a prefix like sp0.9- makes new utterances and speakers")
    common.add_argument("--augment-set", action="append", default=[], metavar="ROLE=DIR", help="sounds of a role")
    common.add_argument("--seed", type=int, default=0, help="of what is drawn")
    common.add_argument("--encoding", choices=ENCODINGS, default="pcm16", help="pcm16 can be sliced; flac is small")
    common.add_argument("--sample-frequency", type=int, default=16000, help="of the audio, in Hz")
    parser = Parser(prog="python -m sv_py.augment", description=__doc__)
    tools = parser.add_subparsers(metavar="<tool>", required=True)

    one = tools.add_parser("prepare", parents=[common], description=prepare.__doc__, help=prepare.__doc__)
    one.add_argument("data_dir", type=Path, help="what is augmented")
    one.add_argument("copy", type=Path, help="the new data dir")
    one.add_argument("staging", type=Path, help="its ids with the source's audio; may be deleted after the jobs")
    one.set_defaults(run=prepare)

    one = tools.add_parser("job", parents=[common], description=run_job.__doc__, help=run_job.__doc__)
    one.add_argument("--resample", **switch, help="convert audio of other rates")
    one.add_argument("--mixdown", **switch, help="take the mean of several channels")
    one.add_argument("--allow-pipes", **switch, help="run commands in wav.scp")
    one.add_argument("--skip-bad", **switch, help="leave bad utterances out")
    one.add_argument("--utts-per-shard", type=int, default=1000, help="bound on the size of an ark")
    one.add_argument("--job", default="1/1", help="N/J: make the shards of the N-th of J jobs")
    one.add_argument("data_dir", type=Path, help="what is augmented")
    one.add_argument("staging", type=Path, help="what `prepare` wrote")
    one.add_argument("prefix", type=Path, help="shard K becomes <prefix>.K.ark")
    one.set_defaults(run=run_job)

    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    command(main)
