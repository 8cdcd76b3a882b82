"""Do memory and time per utterance stay the same when a corpus grows from 1,000 to 10,000 and 100,000 utterances?

A thousand utterances of half a second are repeated, under other names, in shards of their own. Measured are an epoch
of training batches from audio, with the preset `wespeaker`, and one of the four jobs that steps/make_fbank.sh makes of
a corpus by default; each in a process of its own, on one core, start-up left out. Few mel bins keep the features small.
Prints one JSON line per figure.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from sv_py.data import synthetic
from sv_py.io.audio_ark import write_audio_ark
from sv_py.io.text import write_lines, write_table

ROOT = Path(__file__).resolve().parents[1]
RATE, LENGTH, FRAMES, BATCH = 16000, 8000, 48, 64
UTTERANCES, SHARDS, SIZES = 1000, 4, (1_000, 10_000, 100_000)
JOBS_OF_A_STEP = 4


def speech() -> Iterator[np.ndarray]:
    """int16 samples (LENGTH,): real speech where there is some, then synthetic."""
    for path in sorted(Path(os.environ.get("SV_SHARED", "/none"), "corpora/libri").rglob("*.opus")):
        samples, rate = soundfile.read(path, dtype="int16")
        if rate == RATE:
            yield samples[RATE : RATE + LENGTH]
    for seed in range(UTTERANCES):
        rng = np.random.default_rng(seed)
        samples = synthetic.speak(synthetic.draw_voice(rng, "f"), LENGTH / RATE + 0.1, rng)[:LENGTH]
        yield np.rint(8000 * samples / np.abs(samples).max() + rng.normal(0, 30, LENGTH)).astype(np.int16)


def make_shards(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """The thousand utterances in arks; ark -> name and offset of its utterances."""
    folder.mkdir()
    names = np.array_split([f"{i:04d}" for i in range(UTTERANCES)], SHARDS)
    samples = (one for one in speech() if len(one) == LENGTH)
    places = {}
    for k, part in enumerate(names):
        scp = folder / f"{k}.scp"
        write_audio_ark(folder / f"{k}.ark", scp, ((name, next(samples)) for name in part.tolist()), RATE)
        lines = [line.split() for line in scp.read_text().splitlines()]
        places[f"{k}.ark"] = [(name, int(place.rpartition(":")[2])) for name, place in lines]
    return places


def make_data_dir(folder: Path, shards: Path, places: dict[str, list[tuple[str, int]]], size: int) -> Path:
    """A data dir of ``size`` utterances: every thousand of them lies in links to the shards."""
    folder.mkdir()
    lines = []
    for copy in range(size // UTTERANCES):
        for ark, entries in places.items():
            link = folder / f"audio.{copy}.{ark}"
            link.symlink_to(shards / ark)
            lines += [f"c{copy:03d}s{int(name) % 20:02d}-{name} {link}:{offset}" for name, offset in entries]
    lines.sort()
    utts = [line.split()[0] for line in lines]
    for name in ("audio.scp", "wav.scp"):
        write_lines(folder / name, lines)
    write_table(folder / "utt2spk", {utt: utt.split("-")[0] for utt in utts})
    write_table(folder / "utt2num_samples", dict.fromkeys(utts, LENGTH))
    write_lines(folder / "audio.id", [f"--sample-frequency={RATE}", "--encoding=pcm16"])
    return folder


def load_epoch(folder: Path) -> int:
    """Prepare the batches of an epoch; number of its crops."""
    import torch

    from sv_py.config import load_section
    from sv_py.data.batches import Preparation, TrainingBatches
    from sv_py.data.dataset import AudioSet
    from sv_py.data.pool import Pool
    from sv_py.data.read_ahead import ReadAhead
    from sv_py.features import FRONTENDS
    from sv_py.registry import Part
    from sv_py.schema import Augment, Data, Features, Phase

    frontend = Part("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")())
    phase = Phase("p", 1, BATCH, FRAMES, augment=load_section(ROOT / "conf/augment/wespeaker.yaml", Augment))
    utterances = AudioSet(folder, Features(frontend=frontend))
    pools = dict.fromkeys(("noise", "music", "speech", "rir"), Pool(utterances.store))
    batches = TrainingBatches(utterances, phase, Data(source="audio"), 0, 0, pools)
    prepare = Preparation(utterances.frames, batches.chain, phase.mask, torch.device("cpu"))
    with ReadAhead(batches, prepare) as ahead:
        return sum(len(labels) for _, labels in ahead)


def make_features(folder: Path) -> int:
    """Run a job of steps/make_fbank.sh on the first of its parts; number of its utterances."""
    from sv_py import compute_fbank

    size = sum(1 for _ in (folder / "utt2spk").open()) // JOBS_OF_A_STEP
    part = folder / "part"
    part.mkdir()
    for table in ("utt2spk", "wav.scp"):
        write_lines(part / table, (folder / table).read_text().splitlines()[:size])
    (part / "fbank.conf").write_text("--num-mel-bins=8\n")
    sys.argv = ["", "--config", *(str(part / name) for name in ("fbank.conf", ".", "feats.ark", "feats.scp"))]
    compute_fbank.main()
    return size


JOBS = {"loader": load_epoch, "features": make_features}


def run_job(job: str, folder: Path) -> None:
    """In a process of its own: print seconds of processor time for 1,000 utterances, and peak memory in MiB."""
    import torch

    for name in ("compute_fbank", "data.batches"):
        importlib.import_module(f"sv_py.{name}")
    torch.set_num_threads(1)
    start = time.process_time()
    count = JOBS[job](folder)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([1000 * seconds / count, peak]))


def report(figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": "growth", "figure": figure, "value": round(value, 3), "unit": unit}), flush=True)


def main() -> None:
    """Measure."""
    if len(sys.argv) == 3:
        run_job(sys.argv[1], Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = make_shards(folder / "shards")
        dirs = [make_data_dir(folder / str(size), folder / "shards", places, size) for size in SIZES]
        for job in JOBS:
            found = []
            for size, data_dir in zip(SIZES, dirs, strict=True):
                command = [sys.executable, __file__, job, str(data_dir)]
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
                found.append(json.loads(done.stdout))
                report(f"{job}: per 1,000 of {size} utterances", found[-1][0], "s")
                report(f"{job}: peak memory, {size} utterances", found[-1][1], "MiB")
            report(f"{job}: time of {SIZES[-1]} over {SIZES[0]}", found[-1][0] / found[0][0], "1")
            report(f"{job}: memory of {SIZES[-1]} over {SIZES[0]}", found[-1][1] / found[0][1], "1")


if __name__ == "__main__":
    main()
