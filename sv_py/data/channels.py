"""Recordings of several microphones, of which the first is taken, as Kaldi's lists of room impulse responses do."""

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from sv_py.cli import InputError
from sv_py.data.audio_file import read_audio
from sv_py.data.utterance import Utterance
from sv_py.io.atomic import replace_file


def first_channel(utterance: Utterance, folder: Path) -> Utterance:
    """The utterance with `<folder>/<id>.wav`, the first channel of its file; itself if it has one channel only.

    16-bit samples stay as they are, others become 32-bit floats. The copy has the time of change of its source; one
    that has it already is left alone. Raises InputError that names a file which cannot be read whole.
    """
    if utterance.num_channels == 1:
        return utterance
    source, copy = os.stat(utterance.path), folder.absolute() / f"{utterance.id}.wav"
    if not copy.exists() or copy.stat().st_mtime_ns != source.st_mtime_ns:
        try:
            samples, rate, subtype = read_audio(utterance.path)
        except InputError as error:
            raise InputError(error.message, utterance.path) from None
        first = samples[:, 0]
        if subtype == "PCM_16":
            first = (first * 32768).astype(np.int16)
        whole = io.BytesIO()  # libsndfile does not tell of a full disk
        soundfile.write(whole, first, rate, "PCM_16" if subtype == "PCM_16" else "FLOAT", format="WAV")
        folder.mkdir(parents=True, exist_ok=True)
        with replace_file(copy, "wb") as file:
            file.write(whole.getbuffer())
        os.utime(copy, ns=(source.st_atime_ns, source.st_mtime_ns))
    return replace(utterance, path=str(copy), num_channels=1)
