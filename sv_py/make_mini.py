"""Makes the mini corpus: synthetic voices in several sessions, with lists of utterances and trials.

    <corpus-dir>/<speaker>/<session>/<utterance>.wav
    <corpus-dir>/mini_train.tsv, mini_test.tsv    utt, speaker, session, gender, file
    <corpus-dir>/mini_test.trials                 Kaldi trials: targets across sessions, non-targets of one gender
    <corpus-dir>/mini.json                        the parameters that every file follows from

A run that was killed is continued by the next one; a corpus of other parameters is made anew.
"""

import argparse
import json
import math
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations, product
from pathlib import Path

import numpy as np
import soundfile as sf

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.data import synthetic
from sv_py.io.atomic import replace_file
from sv_py.io.text import write_lines

_SETS = ("mini_train", "mini_test")
_TARGETS, _NONTARGETS = 1000, 10_000  # trials, at most
_SECONDS = (2.0, 4.0)  # length of an utterance


@dataclass(frozen=True)
class Corpus:
    """Everything that the corpus follows from; field names and meanings are those of the options."""

    seed: int
    num_train_speakers: int
    num_test_speakers: int
    num_sessions: int
    num_utts: int
    speaker_spread: float
    snr_low: float
    snr_high: float
    version: int = synthetic.VERSION


@dataclass(frozen=True)
class Utterance:
    """One recording; the numbers count from 0, ``part`` is an index into the sets."""

    part: int
    speaker: int
    session: int
    number: int

    @property
    def speaker_id(self) -> str:
        """Such as mini-train-007: the sets share no speaker."""
        return f"{_SETS[self.part].replace('_', '-')}-{self.speaker + 1:03d}"

    @property
    def id(self) -> str:
        """Such as mini-train-007-s1-u02."""
        return f"{self.speaker_id}-s{self.session + 1}-u{self.number + 1:02d}"

    @property
    def gender(self) -> str:
        """Speakers alternate."""
        return "fm"[self.speaker % 2]

    @property
    def file(self) -> str:
        """Path within the corpus."""
        return f"{self.speaker_id}/s{self.session + 1}/u{self.number + 1:02d}.wav"


def utterances(corpus: Corpus, part: int) -> list[Utterance]:
    """All utterances of a set, sorted by id."""
    speakers = (corpus.num_train_speakers, corpus.num_test_speakers)[part]
    numbers = product(range(speakers), range(corpus.num_sessions), range(corpus.num_utts))
    return [Utterance(part, *triple) for triple in numbers]


def synthesise(corpus: Corpus, utterance: Utterance) -> np.ndarray:
    """The samples of one utterance: a function of the seed and of who speaks, when and what, and of nothing else."""

    def stream(*key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(corpus.seed, spawn_key=key))

    who = (utterance.part, utterance.speaker)
    voice = synthetic.draw_voice(stream(*who), utterance.gender, corpus.speaker_spread)
    session = stream(*who, utterance.session)
    voice = synthetic.another_day(voice, session)
    channel = synthetic.draw_channel(session, (corpus.snr_low, corpus.snr_high))
    rng = stream(*who, utterance.session, utterance.number)
    return synthetic.record(synthetic.speak(voice, rng.uniform(*_SECONDS), rng), channel, rng)


def trials(corpus: Corpus, part: int = 1) -> list[str]:
    """Kaldi trials, sorted: samples of the pairs across a speaker's sessions and of those of two of one gender."""
    table = np.array(utterances(corpus, part), object).reshape(-1, corpus.num_sessions, corpus.num_utts)
    within = [pair for speaker in table for pair in combinations(speaker, 2)]
    across = [(a.ravel(), b.ravel()) for a, b in combinations(table, 2) if a[0, 0].gender == b[0, 0].gender]
    rng = np.random.default_rng(np.random.SeedSequence(corpus.seed, spawn_key=(part,)))
    kinds = ("target", within, _TARGETS), ("nontarget", across, _NONTARGETS)
    return sorted(f"{a.id} {b.id} {kind}" for kind, groups, count in kinds for a, b in _sample(groups, count, rng))


def _sample(
    groups: list[tuple[np.ndarray, np.ndarray]], count: int, rng: np.random.Generator
) -> Iterator[tuple[Utterance, Utterance]]:
    """At most ``count`` different pairs: one utterance of a group's left array with one of its right array.

    All these arrays have the same length.
    """
    shape = (len(groups), len(groups[0][0]), len(groups[0][1]))
    total = math.prod(shape)
    chosen = rng.choice(total, min(total, count), replace=False)
    for group, left, right in np.transpose(np.unravel_index(chosen, shape)):
        yield groups[group][0][left], groups[group][1][right]


def claim(folder: Path, corpus: Corpus) -> None:
    """Make ``folder`` hold nothing but files of ``corpus``: what other parameters left there is removed.

    Raises InputError, and changes nothing, when the folder is not a mini corpus.
    """
    label = folder / "mini.json"
    wanted = json.dumps(asdict(corpus), indent=2) + "\n"
    if label.is_file() and label.read_bytes() == wanted.encode():
        return
    foreign = folder.exists() and any(not old.name.endswith(".tmp") for old in folder.iterdir())
    if foreign and not label.is_file():
        raise InputError("is not empty and has no mini.json: not a mini corpus, left as it is", folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():  # the label goes last: a kill in between leaves a folder that is still ours
        if old.is_dir():
            shutil.rmtree(old)
        elif old != label:
            old.unlink()
    with replace_file(label) as file:
        file.write(wanted)


def make_audio(corpus: Corpus, folder: Path, share: list[Utterance], parent: int | None = None) -> None:
    """Write those files of ``share`` that are missing. A worker ends with its ``parent``, however that ends."""
    for utterance in log.progress(share, what="voices") if parent is None else share:
        if parent is not None and os.getppid() != parent:
            sys.exit(1)
        path = folder / utterance.file
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(path, "wb") as file:
                sf.write(file, synthesise(corpus, utterance), synthetic.RATE, "PCM_16", format="WAV")


def make(corpus: Corpus, folder: Path, jobs: int = 1) -> None:
    """Make the corpus in ``folder`` with ``jobs`` processes, whose number changes no byte."""
    claim(folder, corpus)
    everything = [utterance for part in range(len(_SETS)) for utterance in utterances(corpus, part)]
    context = multiprocessing.get_context("spawn")
    shares = (everything[job::jobs] for job in range(1, jobs))
    workers = [context.Process(target=make_audio, args=(corpus, folder, share, os.getpid())) for share in shares]
    for worker in workers:
        worker.start()
    make_audio(corpus, folder, everything[::jobs])
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise InputError("a worker failed; its error is above", folder)
    for part, name in enumerate(_SETS):
        rows = (f"{u.id}\t{u.speaker_id}\ts{u.session + 1}\t{u.gender}\t{u.file}" for u in utterances(corpus, part))
        write_lines(folder / f"{name}.tsv", ["utt\tspeaker\tsession\tgender\tfile", *rows])
    write_lines(folder / "mini_test.trials", trials(corpus))


def _whole(low: int, high: int):
    def parse(text: str) -> int:
        if not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return int(text)

    parse.__name__ = "int"  # what argparse calls a wrong type
    return parse


def main() -> None:
    """Parse the command line and make the corpus. The defaults stand in local/prepare_mini.sh."""
    parser = Parser(prog="make_mini", description="Makes the mini corpus of synthetic voices.")
    add = partial(parser.add_argument, required=True)
    add("--seed", type=_whole(0, 2**63), help="another seed, another corpus")
    add("--nj", type=_whole(1, 256), help="number of processes; changes no byte")
    add("--num-train-speakers", type=_whole(1, 999), help="speakers of mini_train")
    add("--num-test-speakers", type=_whole(4, 999), help="speakers of mini_test, half of each gender")
    add("--num-sessions", type=_whole(2, 9), help="recording sessions of a speaker")
    add("--num-utts", type=_whole(1, 99), help="utterances of a session")
    add("--speaker-spread", type=float, help="how much speakers differ; less is harder")
    add("--snr-low", type=float, help="signal-to-noise ratio of the noisiest session, dB")
    add("--snr-high", type=float, help="and of the cleanest")
    parser.add_argument("corpus_dir", type=Path, metavar="corpus-dir", help="folder to make")
    options = vars(parser.parse_args())
    folder, jobs = options.pop("corpus_dir"), options.pop("nj")
    if not 0 < options["speaker_spread"] <= 2:
        raise InputError(f"--speaker-spread must be above 0 and at most 2, not {options['speaker_spread']}")
    if not -20 <= options["snr_low"] <= options["snr_high"] <= 100:
        raise InputError("--snr-low and --snr-high must satisfy -20 <= low <= high <= 100 (dB)")
    make(Corpus(**options), folder, jobs)


if __name__ == "__main__":
    command(main)
