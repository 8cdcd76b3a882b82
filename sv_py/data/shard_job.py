"""One job of a step that turns the audio of a data dir into arks: resumable, and strict about bad utterances."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from glob import escape
from pathlib import Path

import numpy as np

from sv_py.cli import InputError, share_of_job
from sv_py.data.audio import Conversion, Source, load, sources
from sv_py.io.ark import follow_ark, write_ark
from sv_py.io.current import Done, file_states
from sv_py.io.places import ark_of
from sv_py.io.shard_index import Shard, read_index, sha256_of
from sv_py.io.text import read_table, write_lines, write_table
from sv_py.log import logger, progress

_BLOCK = 1 << 22  # samples read in a row: 16 MiB

Compute = Callable[[str, np.ndarray], np.ndarray]
Write = Callable[[Path, Path, Iterable[tuple[str, np.ndarray]]], object]


def make_shards(data_dir: Path, prefix: Path, job: str, utts_per_shard: int, **options) -> None:
    """Make the shards `<prefix>.K.ark` that are the job's, each by `make_shard` with its ``options``.

    ``job`` is the text 'N/J', the N-th of J jobs. Shards hold about equally many utterances, ``utts_per_shard`` at
    most, whatever the number of jobs: that decides nothing but the time. Utterances are dealt to the shards like cards,
    so that each shard has some of all speakers and a few shards may be shuffled together; only segments, of which those
    of a recording are decoded together, stay in their order. Raises InputError after the last shard if one could not be
    made, so that all bad utterances are named.
    """
    mine = _shards_of_job(job, data_dir, utts_per_shard)
    bad = 0
    for number, rows in mine.items():
        todo = sources(data_dir, rows)
        try:
            make_shard(data_dir, Path(f"{prefix}.{number}.ark"), Path(f"{prefix}.{number}.scp"), todo=todo, **options)
        except InputError as error:
            logger.error("%s", error)
            bad += 1
    if bad:
        raise InputError(f"{bad} of {len(mine)} shards could not be made, for the reasons above", data_dir)


def _shards_of_job(job: str, data_dir: Path, size: int) -> dict[int, range]:
    """number (from 1) -> lines of utt2spk (from 0) of the job's shards."""
    with (data_dir / "utt2spk").open("rb") as file:
        total = sum(1 for _ in file)
    count = -(-total // size)
    mine = share_of_job(job, count)
    if (data_dir / "segments").exists():
        return {shard + 1: range(total * shard // count, total * (shard + 1) // count) for shard in mine}
    return {shard + 1: range(shard, total, count) for shard in mine}


def make_shard(
    data_dir: Path, ark: Path, scp: Path, rate: int, identity: str, compute: Compute,
    write: Write = write_ark, lengths: str = "utt2num_frames", todo: list[Source] | None = None,
    pipes: bool = False, resample: bool = False, mixdown: bool = False, skip_bad: bool = False,
) -> None:  # fmt: skip
    """Write ``compute(utt, samples)`` of every utterance to ``ark`` and ``scp`` by ``write``.

    Beside the scp appear the table ``lengths`` of the results' lengths, utt2dur, the seconds of audio, and the ark's
    line of the index, `.shard`. ``todo``: these utterances instead of all. ``rate``, ``pipes``, ``resample``,
    ``mixdown``: see `Conversion`.

    ``identity`` describes the computation: a shard that is whole and whose inputs and identity are unchanged is left
    alone; what may be converted counts only where something was. Utterances that cannot be read or have no result are
    all named, and nothing is written, unless ``skip_bad``.
    """
    todo = sources(data_dir) if todo is None else todo
    conversion = Conversion(rate, pipes, resample, mixdown)
    tables = {name: scp.with_suffix(f".{name}") for name in (lengths, "utt2dur", "shard")}
    inputs, outputs = _inputs(identity, todo), [ark, scp, *tables.values()]
    plain, done = (
        Done(scp.with_suffix(".done"), [repr(allowed), *inputs], outputs) for allowed in (Conversion(rate), conversion)
    )
    # An earlier run may have been allowed to skip, and a disk may have lost the end of a file.
    if (
        (plain or done)
        and (skip_bad or len(read_table(scp)) == len(todo))
        and not any(_row(tables["shard"]).faults(False))
    ):
        follow_ark(ark, scp)
        logger.info("%s is there already", ark)
        return
    done.begin()
    for leftover in ark.parent.glob(f".{escape(ark.stem)}.*.tmp"):  # of a run that was killed
        leftover.unlink(missing_ok=True)
    job = _Job(conversion, compute, skip_bad, data_dir)
    write(ark, scp, job.items(todo, ark.name))
    speakers = len({source.speaker for source in todo if source.utt in job.lengths})
    row = Shard(ark, ark.stat().st_size, sha256_of(ark), len(job.lengths), sum(job.seconds.values()), speakers)
    write_table(tables[lengths], job.lengths)
    write_table(tables["utt2dur"], {utt: f"{seconds:.3f}" for utt, seconds in job.seconds.items()})
    write_lines(tables["shard"], [row.line()])
    (done if job.converted else plain).end()


def _inputs(identity: str, todo: list[Source]) -> list[str]:
    """What decides the bytes of a shard, beside the conversion of its audio."""
    files = dict.fromkeys(ark_of(source.place) or source.place for source in todo)
    return [identity, *map(repr, todo), file_states(files)]


def _row(path: Path) -> Shard:
    (shard,) = read_index(path).values()
    return shard


def _in_blocks(
    utterances: Iterable[tuple[str, Callable[[], np.ndarray]]],
) -> Iterator[tuple[str, np.ndarray | InputError]]:
    """(utterance, samples or the reason why there are none), many read in a row.

    To decode and to compute in turns costs a fifth more: each finds the caches of the core full of the other's.
    """
    block: list[tuple[str, np.ndarray | InputError]] = []
    size = 0
    for utt, samples_of in utterances:
        try:
            samples = samples_of()
            size += len(samples)
        except InputError as error:
            samples = error
        block.append((utt, samples))
        if size > _BLOCK:
            yield from block
            block, size = [], 0
    yield from block


class _Job:
    """Runs through utterances; ``lengths`` and ``seconds`` of those that went well, ``converted``: see `load`."""

    def __init__(self, conversion: Conversion, compute: Compute, skip_bad: bool, data_dir: Path):
        self._conversion, self._compute, self._skip_bad, self._data_dir = conversion, compute, skip_bad, data_dir
        self.lengths: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.converted: Counter[str] = Counter()

    def items(self, todo: list[Source], name: str) -> Iterable[tuple[str, np.ndarray]]:
        """(utterance, result); raises InputError at the end if utterances were bad."""
        bad = []
        for utt, samples in progress(_in_blocks(load(todo, self._conversion, self.converted)), len(todo), name):
            try:
                if isinstance(samples, InputError):
                    raise samples
                result = self._compute(utt, samples)
                if len(result) == 0:
                    raise InputError(f"'{utt}': {len(samples)} samples are too short for a frame")
            except InputError as error:
                bad.append(str(error))
                continue
            self.lengths[utt] = len(result)
            self.seconds[utt] = len(samples) / self._conversion.rate
            yield utt, result
        for what, count in sorted(self.converted.items()):
            logger.info("%s: recordings %s: %d", name, what, count)
        for message in bad:
            logger.warning("%s: %s", "left out" if self._skip_bad else "bad", message)
        if bad and not self._skip_bad:
            raise InputError(f"{len(bad)} of {len(todo)} utterances cannot be used, all named above", self._data_dir)
        if not self.lengths:
            raise InputError("not one utterance can be used", self._data_dir)
