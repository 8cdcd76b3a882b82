"""One job of a step that turns the audio of a data dir into an ark: resumable, and strict about bad utterances."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sv_py.cli import InputError
from sv_py.data.audio import utterances
from sv_py.io.ark import write_ark
from sv_py.io.current import Done, file_states
from sv_py.io.text import read_table, write_table
from sv_py.log import logger, progress


def make_shard(
    data_dir: Path, ark: Path, scp: Path, rate: int, identity: str, compute: Callable[[str, np.ndarray], np.ndarray],
    pipes: bool = False, skip_bad: bool = False,
) -> None:  # fmt: skip
    """Write ``compute(utt, samples)`` of every utterance to ``ark`` and ``scp``; beside it utt2num_frames and utt2dur.

    ``identity`` describes the computation; a shard whose inputs and identity are unchanged is left alone. Utterances
    that cannot be read or have no frame are all listed, and nothing is written, unless ``skip_bad``.
    """
    total = len(read_table(data_dir / "utt2spk"))
    frames_table, durations_table = scp.with_suffix(".utt2num_frames"), scp.with_suffix(".utt2dur")
    audio = file_states(read_table(data_dir / "wav.scp").values())
    done = Done(
        scp.with_suffix(".done"), [identity, data_dir / "wav.scp", data_dir / "segments", audio],
        [ark, scp, frames_table, durations_table],
    )  # fmt: skip
    if done and (skip_bad or len(read_table(scp)) == total):  # an earlier run may have been allowed to skip
        logger.info("%s is there already", ark)
        return
    done.begin()
    frames: dict[str, int] = {}
    durations: dict[str, str] = {}
    bad: list[str] = []

    def items():
        for utt, load in progress(utterances(data_dir, rate, pipes), total, ark.name):
            try:
                samples = load()
                array = compute(utt, samples)
                if len(array) == 0:
                    raise InputError(f"'{utt}': {len(samples)} samples are too short for a frame")
            except InputError as error:
                bad.append(str(error))
                continue
            frames[utt] = len(array)
            durations[utt] = f"{len(samples) / rate:.3f}"
            yield utt, array
        for message in bad:
            logger.warning("%s: %s", "left out" if skip_bad else "bad", message)
        if bad and not skip_bad:
            raise InputError(f"{len(bad)} of {total} utterances cannot be used, all named above", data_dir)
        if not frames:
            raise InputError("not one utterance can be used", data_dir)

    write_ark(ark, scp, items())
    write_table(frames_table, frames)
    write_table(durations_table, durations)
    done.end()
