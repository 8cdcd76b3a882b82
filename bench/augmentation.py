"""What augmentation costs: milliseconds of one core per crop of 2 s, of each kind, each preset and a change of speed.

Prints one JSON line per figure. Sounds are made in a temporary folder first; reading them is part of the time.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.signal import fftconvolve

from sv_py.augmentation import AUGMENTATIONS
from sv_py.augmentation.chain import build_chain
from sv_py.augmentation.speed import speed, speed_input_samples
from sv_py.config import load_section
from sv_py.data.pool import Pool
from sv_py.data.store import AudioStore
from sv_py.io.audio_ark import write_audio_ark
from sv_py.io.text import write_lines, write_table
from sv_py.registry import Part
from sv_py.schema import Augment

PRESETS = Path(__file__).resolve().parents[1] / "conf/augment"
RATE, COUNT, BATCH, ROUNDS = 16000, 32240, 64, 5


def make_pool(folder: Path, sounds: list[np.ndarray]) -> Pool:
    """A data dir of these sounds, each of a speaker of its own."""
    folder.mkdir()
    named = {f"s{n:03d}": sound.astype(np.int16) for n, sound in enumerate(sounds)}
    write_table(folder / "utt2spk", {name: name for name in named})
    write_audio_ark(folder / "a.ark", folder / "audio.scp", named.items(), RATE)
    write_table(folder / "utt2num_samples", {name: len(sound) for name, sound in named.items()})
    write_lines(folder / "audio.id", [f"--sample-frequency={RATE}", "--encoding=pcm16"])
    return Pool(AudioStore(folder))


def make_pools(folder: Path) -> dict[str, Pool]:
    """Noise of 3 to 30 s, and responses that decay by 60 dB in 0.2 to 1 s."""
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, 1000, int(RATE * seconds)) for seconds in rng.uniform(3, 30, 40)]
    decays = [np.arange(int(RATE * seconds)) / (RATE * seconds) for seconds in rng.uniform(0.2, 1, 40)]
    responses = [rng.normal(0, 3000, len(decay)) * 10 ** (-3 * decay) for decay in decays]
    pools = {role: make_pool(folder / role, noise) for role in ("noise", "music", "speech", "train")}
    return pools | {"rir": make_pool(folder / "rir", responses)}


def milliseconds(run: Callable[[], object], count: int) -> float:
    """Of the fastest round, for each of ``count`` crops."""
    run()
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()  # what else the machine does hardly counts
        run()
        times.append(time.process_time() - start)
    return 1000 * min(times) / count


def report(figure: str, value: float, unit: str = "ms/crop") -> None:
    """One line of JSON."""
    print(json.dumps({"bench": "augmentation", "figure": figure, "value": round(value, 3), "unit": unit}), flush=True)


def main() -> None:
    """Measure all of them."""
    torch.set_num_threads(1)
    waveforms = 1000 * torch.randn(BATCH, COUNT, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        pools = make_pools(Path(folder))

        def cost(parts: tuple[Part, ...]) -> float:
            chain = build_chain(parts, pools, RATE)

            def run():
                drawn = [chain.draw(np.random.default_rng(i), COUNT, i % 40) for i in range(BATCH)]
                chain.apply(waveforms, drawn)

            return milliseconds(run, BATCH)

        costs = {
            name: cost((Part(name, arguments()),))
            for name, (arguments, _) in AUGMENTATIONS.entries.items()
            if name not in ("one_of", "all_of")
        }
        for name, value in costs.items():
            report(name, value)
        for preset in sorted(PRESETS.glob("*.yaml")):
            report(f"preset {preset.stem}, without speed", cost(load_section(preset, Augment).waveform))
        for factor in (0.9, 1.1):
            longer = torch.randn(BATCH, speed_input_samples(COUNT, factor))
            report(f"speed {factor}", milliseconds(lambda w=longer, f=factor: speed(w, f, COUNT), BATCH))
        responses = [pools["rir"].whole(np.random.default_rng(i)).astype(np.float32) for i in range(BATCH)]
        pairs = list(zip(waveforms.numpy(), responses, strict=True))
        usual = milliseconds(lambda: [fftconvolve(wave, response)[:COUNT] for wave, response in pairs], BATCH)
        report("reverb, ratio to scipy.signal.fftconvolve", usual / costs["reverb"], "times faster")


if __name__ == "__main__":
    main()
