"""How fast do FLACs become arks of 80-d filter banks, on one core, and how far is that from the limit?

The job of steps/make_fbank.sh is run over utterances of exactly 3 s and 8 s, cut from real speech where SV_SHARED names
a folder with some. The limit is what decoding, the FFT and the product with the mel filters take, each measured alone.
Peers: Lhotse's compute_and_store_features, and torchaudio.compliance.kaldi called file by file. All files lie in memory
(/dev/shm, where there is one). Times are processor times, the least of several passes. Prints one JSON line per figure.
"""

import functools
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from lhotse import CutSet, Fbank, FbankConfig, NumpyFilesWriter, Recording

from sv_py import log
from sv_py.data import synthetic
from sv_py.data.memory import keep_freed_memory
from sv_py.data.shard_job import make_shard
from sv_py.features import FRONTENDS
from sv_py.features.arguments import KaldiFbankArguments
from sv_py.io.ark import write_ark
from sv_py.io.text import write_table

UTTERANCES, PASSES, RATE, BINS, FFT = 400, 6, 16000, 80, 512


def speech() -> Iterator[np.ndarray]:
    """int16 recordings of 10 s and more."""
    real = sorted(Path(os.environ.get("SV_SHARED", "/none"), "corpora/libri").rglob("*.opus"))
    for path in real:
        samples, rate = soundfile.read(path, dtype="int16")
        if rate == RATE and len(samples) >= 10 * RATE:
            yield samples
    for seed in range(UTTERANCES):
        rng = np.random.default_rng(seed)
        voice = synthetic.speak(synthetic.draw_voice(rng, "f"), 10.0, rng)
        yield np.rint(8000 * voice / abs(voice).max() + rng.normal(0, 30, len(voice))).astype(np.int16)


def make_data(folder: Path, seconds: int) -> list[str]:
    """A data dir of UTTERANCES FLACs; their paths."""
    wavs = {f"utt{i:03d}": folder / f"utt{i:03d}.flac" for i in range(UTTERANCES)}
    for path, samples in zip(wavs.values(), speech(), strict=False):
        soundfile.write(path, samples[: seconds * RATE], RATE)
    write_table(folder / "wav.scp", wavs)
    write_table(folder / "utt2spk", dict.fromkeys(wavs, "spk"))
    return [str(path) for path in wavs.values()]


def processor_time(function: Callable, *args: object) -> float:
    """Seconds of a call, in the process that it runs in."""
    start = time.process_time()
    function(*args)
    return time.process_time() - start


def set_up(keep_memory: bool) -> None:
    """Make a process one that computes with one thread; a job of ours keeps the memory that it frees."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    log.logger.setLevel("ERROR")
    warnings.simplefilter("ignore")  # of the peers
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # progress bars
    if keep_memory:
        keep_freed_memory()


def measure(job: Executor, plain: Executor, ways: dict[str, tuple]) -> dict[str, float]:
    """Processor time of each call in seconds: the least of several, taken in turn so that all are disturbed alike.

    Ours runs in the process ``job``, the others in ``plain``; the first pass warms them up.
    """
    times = {name: [] for name in ways}
    for _ in range(1 + PASSES):
        for name, call in ways.items():
            process = job if name == "ours" else plain
            times[name].append(process.submit(processor_time, *call).result())
    return {name: min(values[1:]) for name, values in times.items()}


def decode(paths: list[str]) -> None:
    """Nothing but FLAC."""
    for path in paths:
        soundfile.read(path, dtype="float32")


def transform(seconds: int) -> None:
    """Nothing but the FFT, of the frames of one utterance after another."""
    for frames in _random(seconds, FFT):
        torch.fft.rfft(frames)


def multiply(seconds: int) -> None:
    """Nothing but the product of power spectra with the filters."""
    filters = _random(seconds, BINS)[0][: 1 + FFT // 2]
    for power in _random(seconds, 1 + FFT // 2):
        power @ filters


@functools.cache
def _random(seconds: int, columns: int) -> list[torch.Tensor]:
    return [torch.rand(1 + (seconds * RATE - 400) // 160, columns) for _ in range(UTTERANCES)]


def ours(folder: Path) -> None:
    """What a job of steps/make_fbank.sh does."""
    frontend = FRONTENDS.build("kaldi_fbank", KaldiFbankArguments()).eval()
    (folder / "ours.done").unlink(missing_ok=True)
    make_shard(
        folder, folder / "ours.ark", folder / "ours.scp", RATE, "bench",
        lambda _, samples: frontend(torch.from_numpy(samples)[None])[0].numpy(),
    )  # fmt: skip


def by_lhotse(folder: Path, paths: list[str]) -> None:
    """Lhotse's way from files to stored features, with the storage that needs no other package."""
    cuts = CutSet.from_cuts(Recording.from_file(path).to_cut() for path in paths)
    extractor = Fbank(FbankConfig(num_mel_bins=BINS))
    cuts.compute_and_store_features(extractor, folder / "lhotse", storage_type=NumpyFilesWriter)


def by_torchaudio(folder: Path, paths: list[str]) -> None:
    """The function that most recipes call, file by file."""

    def items():
        for path in paths:
            samples, _ = soundfile.read(path, dtype="float32")
            waveform = torch.from_numpy(samples)[None] * 32768
            yield Path(path).stem, torchaudio.compliance.kaldi.fbank(waveform, num_mel_bins=BINS).numpy()

    write_ark(folder / "torchaudio.ark", folder / "torchaudio.scp", items())


def figures(folder: Path, seconds: int, job: Executor, plain: Executor) -> Iterator[tuple[str, float, str]]:
    """(figure, value, unit) for utterances of one length."""
    paths = make_data(folder, seconds)
    parts = {
        "decode alone": (decode, paths),
        "FFT alone": (transform, seconds),
        "mel product alone": (multiply, seconds),
    }
    ways = {
        "ours": (ours, folder),
        "Lhotse": (by_lhotse, folder, paths),
        "torchaudio.compliance per file": (by_torchaudio, folder, paths),
    }
    times = measure(job, plain, parts | ways)
    times["limit"] = sum(times[part] for part in parts)
    for name, value in times.items():
        yield name, seconds * len(paths) / value, "x real time"
    yield "share of the limit", times["limit"] / times["ours"], "1"
    for peer in list(ways)[1:]:
        yield f"ratio to {peer}", times[peer] / times["ours"], "1"


def main() -> None:
    """Measure."""
    memory = Path("/dev/shm")
    start = functools.partial(ProcessPoolExecutor, 1, get_context("spawn"), set_up)
    with start([True]) as job, start([False]) as plain:
        for seconds in (3, 8):
            with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
                for figure, value, unit in figures(Path(name), seconds, job, plain):
                    figure = f"{figure}, {seconds} s"
                    line = {"bench": "features", "figure": figure, "value": round(value, 3), "unit": unit}
                    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
