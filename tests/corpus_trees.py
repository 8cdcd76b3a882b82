"""Files of small copies of corpora."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile


def tone(path: Path, samples: int = 800, channels: int = 1, **kind: str) -> None:
    """A short audio file; channels are 1, 2... times as loud."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.sin(np.arange(samples) / 5.0)
    with open(path, "wb") as file:  # a name that is not UTF-8 is beyond soundfile
        kind = {"format": path.suffix[1:].upper(), **kind}
        soundfile.write(file, np.stack([wave * (k + 1) for k in range(channels)], axis=1), 16000, **kind)


def copy(source: Path, path: Path) -> None:
    """A real recording, in the format of ``path``'s extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == path.suffix:
        shutil.copy(source, path)
    else:
        samples, rate = soundfile.read(source, dtype="int16")
        soundfile.write(path, samples, rate)


def text(path: Path, contents: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contents.encode() if isinstance(contents, str) else contents)


def spoil(build: Callable[[Path], None], path: str, contents: str | bytes | None = None) -> Callable[[Path], None]:
    """As ``build``, a good corpus, with one file replaced, or one file or folder removed."""

    def spoilt(folder: Path) -> None:
        build(folder)
        if contents is not None:
            text(folder / path, contents)
        elif (folder / path).is_dir():
            shutil.rmtree(folder / path)
        else:
            (folder / path).unlink()

    return spoilt
