"""Data dirs of audio shards for tests, and the sounds that augmentation mixes in."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from sv_py.data.pool import Pool
from sv_py.data.store import AudioStore
from sv_py.io.audio_ark import write_audio_ark
from sv_py.io.text import invert, write_lines, write_table


def audio_dir(folder: Path, sounds: Mapping[str, np.ndarray], rate: int = 16000) -> Path:
    """A data dir with audio shards of int16 sounds; a speaker is what stands before the first '-' of an id."""
    folder.mkdir(parents=True)
    sounds = dict(sorted(sounds.items()))
    utt2spk = {utt: utt.split("-")[0] for utt in sounds}
    write_table(folder / "utt2spk", utt2spk)
    write_table(folder / "spk2utt", {spk: " ".join(utts) for spk, utts in invert(utt2spk).items()})
    write_audio_ark(folder / "audio.ark", folder / "audio.scp", sounds.items(), rate)
    write_lines(folder / "wav.scp", (folder / "audio.scp").read_text().splitlines())
    write_table(folder / "utt2num_samples", {utt: len(samples) for utt, samples in sounds.items()})
    write_table(folder / "utt2dur", {utt: f"{len(samples) / rate:.3f}" for utt, samples in sounds.items()})
    write_lines(folder / "audio.id", [f"--sample-frequency={rate}", "--encoding=pcm16"])
    return folder


def real_sounds(shared: Path) -> dict[str, dict[str, np.ndarray]]:
    """role -> some real sounds of 16 kHz: noises, music, speakers and room impulse responses."""
    corpora = shared / "corpora"
    files = {
        "noise": [*(corpora / "noise/noise").glob("*/*.flac"), *(corpora / "noise/babble").glob("*/*.flac")][::8],
        "music": sorted((corpora / "noise/music").glob("*/*.flac"))[::6],
        "speech": sorted((corpora / "libri").glob("*/*/*.opus"))[::44],
        "rir": sorted((corpora / "rir").glob("*/*.flac")),
    }
    return {role: {_name(path): soundfile.read(path, dtype="int16")[0] for path in sorted(paths)}
            for role, paths in files.items()}  # fmt: skip


def _name(path: Path) -> str:
    speaker = path.parent.parent.name.replace("-", "")
    return f"{speaker}-{path.parent.name}-{path.stem}"


def real_pools(shared: Path, folder: Path) -> dict[str, Pool]:
    """Every role bound to real sounds; the training set are the speakers of ``speech``."""
    pools = {role: Pool(AudioStore(audio_dir(folder / role, sounds))) for role, sounds in real_sounds(shared).items()}
    return pools | {"train": pools["speech"]}
