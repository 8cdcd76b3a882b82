"""What train.py and train_size.py measure: a training on shards of noise, with the preset `wespeaker`."""

import json
import time
from pathlib import Path

import numpy as np
import torch

from sv_py.config import load
from sv_py.data.dataset import AudioSet
from sv_py.data.pool import Pool
from sv_py.io.audio_ark import write_audio_ark
from sv_py.io.text import write_lines, write_table
from sv_py.train.loop import Resources, Trainer

ROOT = Path(__file__).resolve().parents[1]
RATE, LENGTH, RECORDINGS, SHARDS = 16000, 4 * 16000, 256, 4
PRESET = (ROOT / "conf/augment/wespeaker.yaml").read_text()


def make_data_dir(folder: Path, speakers: int, utterances: int) -> Path:
    """A data dir with audio shards: the same recordings of noise under so many names."""
    folder.mkdir()
    rng, places = np.random.default_rng(0), []
    for shard in range(SHARDS):
        scp = folder / f"{shard}.scp"
        names = (f"{i:03d}" for i in range(RECORDINGS // SHARDS))
        noise = ((name, rng.normal(0, 1000, LENGTH).astype(np.int16)) for name in names)
        write_audio_ark(folder / f"{shard}.ark", scp, noise, RATE)
        places += [line.split()[1] for line in scp.read_text().splitlines()]
    utts = [f"id{i % speakers:06d}-{i // speakers:06d}" for i in range(utterances)]
    where = dict(zip(utts, (places[i % RECORDINGS] for i in range(utterances)), strict=True))
    utts.sort()
    for name in ("audio.scp", "wav.scp"):
        write_table(folder / name, {utt: where[utt] for utt in utts})
    write_table(folder / "utt2spk", {utt: utt.split("-")[0] for utt in utts})
    write_table(folder / "utt2num_samples", dict.fromkeys(utts, LENGTH))
    write_lines(folder / "audio.id", [f"--sample-frequency={RATE}", "--encoding=pcm16"])
    return folder


class Job(Trainer):
    """A training without validation. ``ends``: the time when each step ended."""

    def __init__(self, data_dir: Path, folder: Path, overrides: list[str], device: torch.device, workers: int = 0):
        folder.mkdir()
        preset = "\n".join(f"      {line}" for line in PRESET.splitlines())
        yaml = folder / "config.yaml"
        yaml.write_text(
            "model: {name: resnet, args: {width: 32}}\n"
            "data: {source: audio}\n"
            "features: {frontend: {name: kaldi_fbank, args: {window_type: hamming}}}\n"
            f"phases:\n  - name: only\n    epochs: 1\n    crop: 200\n    augment:\n{preset}\n"
        )
        config = load(yaml, overrides)
        utterances = AudioSet(data_dir, config.features)
        pools = dict.fromkeys(("noise", "music", "speech", "rir"), Pool(utterances.store))
        self.ends: list[float] = []
        super().__init__(
            config, {"train": utterances}, folder, Resources(device, workers), lambda *_: {"dev_eer": 0.5}, pools
        )

    def _train_step(self, *batch):
        outcome = super()._train_step(*batch)
        self.ends.append(time.perf_counter())
        return outcome


def report(bench: str, figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": bench, "figure": figure, "value": round(value, 4), "unit": unit}), flush=True)
