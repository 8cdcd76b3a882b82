"""Makes data dirs with stored features and with audio shards for the tests of the loader."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from sv_py.io.ark import write_ark
from sv_py.io.audio_ark import write_audio_ark
from sv_py.io.text import write_table

LENGTHS = {f"{spk}-{n}": 20 + 25 * n + i for i, spk in enumerate(("ann", "bob", "cy")) for n in range(4)}


def write_shards(folder: Path, name: str, items: Mapping[str, np.ndarray], shards: int, write) -> None:
    """``items`` by ``write(ark, scp, items)`` to ``shards`` arks, and one scp of all, `<name>.scp`."""
    lines = []
    for k, part in enumerate(np.array_split(np.arange(len(items)), shards)):
        scp = folder / f"{name}.{k}.scp"
        write(folder / f"{name}.{k}.ark", scp, [list(items.items())[i] for i in part])
        lines.append(scp.read_text())
    (folder / f"{name}.scp").write_text("".join(lines))


def make_features(folder: Path, lengths: Mapping[str, int] = LENGTHS, shards: int = 3) -> Path:
    """Features of 6 dimensions: [t, 0] is the frame's number t, [t, 1] the number of the utterance, from 1 on."""
    folder.mkdir(parents=True, exist_ok=True)
    feats = {
        utt: np.stack([np.arange(length), np.full(length, 1 + i), *np.random.default_rng(i).normal(size=(4, length))]).T
        for i, (utt, length) in enumerate(lengths.items())
    }
    write_shards(folder, "feats", feats, shards, write_ark)
    write_shards(folder, "vad", {utt: np.arange(length) % 2 for utt, length in lengths.items()}, shards, write_ark)
    write_table(folder / "utt2spk", {utt: utt.split("-")[0] for utt in lengths})
    write_table(folder / "utt2num_frames", lengths)
    (folder / "feats.id").write_text("frontend=test\n")
    return folder


def make_audio(
    folder: Path, audio: Mapping[str, np.ndarray], shards: int = 3, speech: str = "", encoding: str = "pcm16"
) -> Path:
    """Audio shards of int16 samples at 16 kHz; ``speech``: lines of audio.id that say how silence was dropped."""
    folder.mkdir(parents=True, exist_ok=True)
    write_shards(folder, "audio", audio, shards, lambda *where: write_audio_ark(*where, 16000, encoding))
    write_table(folder / "utt2spk", {utt: utt.split("-")[0] for utt in audio})
    write_table(folder / "utt2num_samples", {utt: len(samples) for utt, samples in audio.items()})
    (folder / "audio.id").write_text(f"--sample-frequency=16000\n--encoding={encoding}\n{speech}")
    return folder


def read_wavs(folder: Path) -> dict[str, np.ndarray]:
    """The samples of all recordings of a folder, by name."""
    return {wav.stem: soundfile.read(wav, dtype="int16")[0] for wav in sorted(folder.glob("*.wav"))}
