"""How many augmented training crops of 2 s does one core make: read, speed, noise and reverberation, filter banks?

The loader of a training, with the preset `wespeaker` (a third at each of three speeds, noise or reverberation with
probability 0.6), beside a data set written the usual way, in WeSpeaker's order, item by item: soundfile reads a
recording, torchaudio changes its speed, a crop is taken, scipy convolves it, torchaudio makes the filter banks. Where
there is a GPU, also with augmentation and features on it.
Recordings are those of the folder SV_SHARED, else synthetic. Prints one JSON line per figure.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import torch
import torchaudio

from sv_py.config import load_section
from sv_py.data import synthetic
from sv_py.data.batches import Preparation, RawBatch, TrainingBatches
from sv_py.data.dataset import AudioSet
from sv_py.data.pool import open_pools
from sv_py.data.read_ahead import ReadAhead
from sv_py.features import FRONTENDS
from sv_py.io.audio_ark import write_audio_ark
from sv_py.io.text import write_table
from sv_py.registry import Part
from sv_py.schema import Augment, Data, Features, Phase

RATE, FRAMES, BATCH, SHARDS, PASSES = 16000, 200, 64, 16, 5
SAMPLES = 32240  # of a crop
LENGTH = 8 * RATE  # of an utterance: the mean of VoxCeleb
UTTERANCES, SOUNDS = 400, 100
PRESET = Path(__file__).resolve().parents[1] / "conf/augment/wespeaker.yaml"


def recordings(kind: str) -> Iterator[np.ndarray]:
    """int16 samples, of speech LENGTH long: real ones where there are some, then synthetic ones."""
    folder = Path(os.environ.get("SV_SHARED", "/none"), "corpora", {"speech": "libri"}.get(kind, kind))
    for path in sorted([*folder.rglob("*.flac"), *folder.rglob("*.wav"), *folder.rglob("*.opus")]):
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
        if rate == RATE and kind != "speech":
            yield samples[:, 0].copy()
        elif rate == RATE:
            yield from samples[: len(samples) // LENGTH * LENGTH, 0].reshape(-1, LENGTH)
    for seed in range(UTTERANCES):
        rng = np.random.default_rng(seed)
        samples = rng.standard_normal(LENGTH)
        if kind == "rir":
            samples = samples[:8000] * np.exp(-np.arange(8000) / 1500)
        if kind == "speech":
            samples = synthetic.speak(synthetic.draw_voice(rng, "f"), LENGTH / RATE + 0.1, rng)[:LENGTH]
        yield np.rint(8000 * samples / np.abs(samples).max()).astype(np.int16)


def make_data(folder: Path, kind: str, count: int) -> list[Path]:
    """A data dir with audio shards, and the same recordings as FLACs; the paths of these."""
    (folder / "flac").mkdir(parents=True)
    items = {f"s{i % 40:02d}-{i:04d}": samples for i, samples in enumerate(islice(recordings(kind), count))}
    names, lines = sorted(items), []
    for k, part in enumerate(np.array_split(names, SHARDS)):
        scp = folder / f"audio.{k}.scp"
        write_audio_ark(folder / f"audio.{k}.ark", scp, [(name, items[name]) for name in part.tolist()], RATE)
        lines.append(scp.read_text())
    (folder / "audio.scp").write_text("".join(lines))
    (folder / "audio.id").write_text(f"--sample-frequency={RATE}\n--encoding=pcm16\n")
    write_table(folder / "utt2spk", {name: name.split("-")[0] for name in names})
    write_table(folder / "utt2num_samples", {name: len(items[name]) for name in names})
    for name in names:
        soundfile.write(folder / "flac" / f"{name}.flac", items[name], RATE)
    return sorted((folder / "flac").iterdir())


class Usual(torch.utils.data.Dataset):
    """The usual way: everything for each item alone."""

    def __init__(self, speech: list[Path], noise: list[Path], rir: list[Path]):
        self.speech, self.noise, self.rir = speech, noise, rir
        self.resamplers = {9: torchaudio.transforms.Resample(9, 10), 11: torchaudio.transforms.Resample(11, 10)}

    def __len__(self) -> int:
        return len(self.speech)

    def __getitem__(self, i: int) -> torch.Tensor:
        rng = np.random.default_rng(i)
        tenths = int(rng.choice([9, 10, 11]))
        crop, _ = soundfile.read(self.speech[i], dtype="float32")
        if tenths != 10:
            crop = self.resamplers[tenths](torch.from_numpy(crop)).numpy()
        start = int(rng.integers(max(1, len(crop) - SAMPLES + 1)))
        crop = np.resize(crop[start : start + SAMPLES], SAMPLES)
        if rng.random() < 0.6:
            if rng.random() < 0.5:
                response, _ = soundfile.read(self.rir[rng.integers(len(self.rir))], dtype="float32")
                crop = scipy.signal.fftconvolve(crop, response / np.sqrt((response**2).sum()))[:SAMPLES]
            else:
                path = self.noise[rng.integers(len(self.noise))]
                start = int(rng.integers(max(1, soundfile.info(path).frames - SAMPLES + 1)))
                noise = np.resize(soundfile.read(path, SAMPLES, start, dtype="float32")[0], SAMPLES)
                decibels = 10 * np.log10(((crop**2).mean() + 1e-4) / ((noise**2).mean() + 1e-4)) - rng.uniform(0, 15)
                crop = crop + 10 ** (decibels / 20) * noise
        waveform = torch.from_numpy(np.ascontiguousarray(crop, np.float32))[None] * 32768
        feats = torchaudio.compliance.kaldi.fbank(waveform, num_mel_bins=80, dither=0.0, window_type="hamming")
        return feats - feats.mean(dim=0)


def per_second(function: Callable[[], object], crops: int) -> float:
    """Crops per second of processor time: the best of several passes."""
    best = float("inf")
    for _ in range(PASSES):
        start = time.process_time()
        function()
        best = min(best, time.process_time() - start)
    return crops / best


def report(figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": "loader", "figure": figure, "value": round(value, 3), "unit": unit}), flush=True)


def measure_gpu(batches: TrainingBatches, raws: list[RawBatch], name: str) -> None:
    """Crops per second of a GPU alone, and of it with reading processes."""
    prepare = Preparation(batches.utterances.frames, batches.chain, batches.phase.mask, torch.device("cuda"))
    rounds = 10
    for _ in range(2):  # the first time to warm up
        start = time.perf_counter()
        for raw in raws * rounds:
            prepare(raw)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    report(f"augmentation and features on {name}", rounds * BATCH * len(raws) / seconds, "crops/s")
    workers = len(os.sched_getaffinity(0))
    with ReadAhead(batches, prepare, workers) as ahead:
        start = time.perf_counter()
        for _ in ahead:
            pass
        torch.cuda.synchronize()
        report(
            f"the same with {workers} reading processes", BATCH * len(ahead) / (time.perf_counter() - start), "crops/s"
        )


def main() -> None:
    """Measure."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = {"speech": UTTERANCES, "noise": SOUNDS, "rir": SOUNDS}
        files = {kind: make_data(folder / kind, kind, count) for kind, count in counts.items()}
        phase = Phase("p", 1, BATCH, FRAMES, augment=load_section(PRESET, Augment))
        frontend = Part("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")())
        utterances = AudioSet(folder / "speech", Features(frontend=frontend))
        bindings = {
            "noise": folder / "noise",
            "music": folder / "noise",
            "speech": folder / "speech",
            "rir": folder / "rir",
        }
        pools = open_pools(bindings, bindings, RATE, utterances.store)
        batches = TrainingBatches(utterances, phase, Data(source="audio"), 0, 0, pools)
        prepare = Preparation(utterances.frames, batches.chain, phase.mask, torch.device("cpu"))
        usual = Usual(files["speech"], files["noise"], files["rir"])
        crops = BATCH * len(batches)
        raws = [batches[step] for step in range(len(batches))]
        ours = per_second(lambda: [prepare(batches[step]) for step in range(len(batches))], crops)
        peer = per_second(lambda: [usual[i] for i in range(crops)], crops)
        reading = per_second(lambda: [batches[step] for step in range(len(batches))], crops)
        features = per_second(lambda: [prepare.frames(prepare._at_speed(raw)) for raw in raws], crops)
        report("augmented crops per second and core", ours, "crops/s")
        report("the usual way", peer, "crops/s")
        report("ratio to the usual way", ours / peer, "1")
        report("reading and drawing, of a crop", 1e3 / reading, "ms")
        report("speed and features, of a crop", 1e3 / features, "ms")
        report("all of a crop", 1e3 / ours, "ms")
        if torch.cuda.is_available():
            measure_gpu(batches, raws, torch.cuda.get_device_name())


if __name__ == "__main__":
    main()
