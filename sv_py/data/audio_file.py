"""One audio file, read whole or not at all: libsndfile takes most truncated and damaged files for shorter ones."""

import io
import re

import numpy as np
import soundfile

from sv_py.cli import InputError

# Sizes that libsndfile's log tells beside those that are there: WAV, AIFF, AU, W64, RF64.
_NOTED = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
_STREAMED = 0x7F000000  # bytes; such a size stands for one that the writer, a pipe, could not know
_OGG_PAGE = 65307  # bytes at most
_SPHERE_COUNT = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)  # per channel
_BLOCK = 1 << 20  # frames; a length from a header must not decide how much memory is taken


class _Stream(soundfile.SoundFile):
    """Read from begin to end: soundfile would seek after each read, which a FLAC written to a pipe does not bear."""

    def seekable(self) -> bool:
        return False


def read_audio(file: str | io.BytesIO) -> tuple[np.ndarray, int, str]:
    """Samples float32 (N, C) with full scale 1, rate in Hz and libsndfile's subtype (`PCM_16`) of an audio file.

    Raises InputError, without a name, for what is not audio, damaged or truncated. Of MP3, whose length is an
    estimate, and of what was written to a pipe, the decoder alone decides that.
    """
    try:
        with _Stream(file) as sound:
            size = min(sound.frames + 1, _BLOCK)
            blocks = [sound.read(size, "float32", always_2d=True)]
            while len(blocks[-1]) == size:
                blocks.append(sound.read(size, "float32", always_2d=True))
            samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
            fault = _fault(sound, file, len(samples))
            rate, subtype = sound.samplerate, sound.subtype
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"not audio, or damaged: {error}") from None
    if fault:
        raise InputError(fault)
    return samples, rate, subtype


def _fault(sound: soundfile.SoundFile, file: str | io.BytesIO, count: int) -> str:
    """What tells that more samples belong to the file than the ``count`` that could be read; empty if nothing does."""
    for announced, there in _NOTED.findall(sound.extra_info):
        if int(there) < int(announced) < _STREAMED:
            return f"truncated, {there} of {announced} bytes are there"
    if sound.format == "OGG" and not _ends_with_last_page(_bytes(file, -2 * _OGG_PAGE)):
        return "truncated, its last page is not there"
    expected = sound.frames
    if sound.format == "NIST" and (told := _SPHERE_COUNT.search(_bytes(file, 0, 1024))):
        expected = int(told[1])
    if sound.format != "MP3" and count < expected < 1 << 48:  # libsndfile's largest number stands for 'not known'
        return f"truncated or damaged, {count} of {expected} samples are there"
    return ""


def _ends_with_last_page(tail: bytes) -> bool:
    """Whether the last page in the ``tail`` of an Ogg file is whole and marked as the last (RFC 3533)."""
    page = tail[tail.rfind(b"OggS") :]
    return len(page) > 27 and bool(page[5] & 4) and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])


def _bytes(file: str | io.BytesIO, start: int, stop: int | None = None) -> bytes:
    """A slice of a file."""
    if isinstance(file, io.BytesIO):
        return bytes(file.getbuffer()[start:stop])
    with open(file, "rb") as opened:
        first, last, _ = slice(start, stop).indices(opened.seek(0, io.SEEK_END))
        opened.seek(first)
        return opened.read(last - first)
