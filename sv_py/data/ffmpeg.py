"""Audio that libsndfile cannot read (m4a, mp4, ...), through the program ffmpeg where there is one."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from sv_py.cli import InputError
from sv_py.io.places import FFMPEG_SUFFIXES


def find_ffmpeg() -> str:
    """The program: $SV_FFMPEG, else that of PATH, else that of the package imageio-ffmpeg; else InputError."""
    named = os.environ.get("SV_FFMPEG")
    if named:
        if shutil.which(named) is None:
            raise InputError(f"SV_FFMPEG is not a program that can be run: {named}")
        return named
    found = shutil.which("ffmpeg")
    if found is None and find_spec("imageio_ffmpeg"):
        from imageio_ffmpeg import get_ffmpeg_exe  # looks for the program when it is imported

        found = get_ffmpeg_exe()
    if found is None:
        raise InputError(f"{', '.join(FFMPEG_SUFFIXES)} need ffmpeg: put it into PATH, or its path into SV_FFMPEG")
    return found


def to_wav(path: str | Path) -> bytes:
    """The first audio stream of a file as a WAV of 32-bit floats, at its own rate and with its own channels.

    Raises InputError for what ffmpeg cannot decode from the first to the last byte.
    """
    return _run(path, "-c:a", "pcm_f32le", "-f", "wav")


def decode(path: str | Path, rate: int) -> np.ndarray:
    """The first audio stream of a file, resampled to ``rate`` Hz and mixed down: int16 (N,). Errors as `to_wav`."""
    return np.frombuffer(_run(path, "-ac", "1", "-ar", str(rate), "-f", "s16le"), "<i2")


def _run(path: str | Path, *options: str) -> bytes:
    program = find_ffmpeg()
    if not os.path.exists(path):
        raise InputError("no such file", path)
    # The file itself and nothing that it may point to: a playlist must open neither addresses nor other files.
    source = ("-protocol_whitelist", "file,pipe", "-i", f"file:{path}", "-map", "0:a:0")
    done = subprocess.run(
        [program, "-nostdin", "-v", "error", "-xerror", "-err_detect", "explode", *source, *options, "-"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode or done.stderr:
        reason = (done.stderr.decode(errors="replace").splitlines() or [f"exit status {done.returncode}"])[0]
        raise InputError(f"ffmpeg cannot decode it: {reason[:200]}", path)
    return done.stdout
