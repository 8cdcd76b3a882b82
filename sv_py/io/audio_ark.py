"""Audio inside arks: 16-bit WAVs as Kaldi's wav-copy writes them, or FLAC; any slice is read by its position."""

import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from sv_py.cli import InputError
from sv_py.io.ark import write_entries
from sv_py.io.open_files import OpenFiles
from sv_py.io.places import split_place

ENCODINGS = ("pcm16", "flac")
_HEAD = struct.Struct("<4sI4s4sIHHIIHH4sI")  # of the WAVs that Kaldi writes: RIFF, fmt of 16 bytes, data
_PLAIN = (b"WAVE", b"fmt ", 16, 1, 1)  # the fields that say: PCM, one channel


def write_audio_ark(
    ark: str | Path, scp: str | Path, items: Iterable[tuple[str, np.ndarray]], rate: int, encoding: str = "pcm16"
) -> int:
    """Write (utterance, int16 samples (N,)) pairs of ``rate`` Hz to ``ark``, then their places to ``scp``.

    ``encoding``: 'pcm16', WAVs that Kaldi and kaldiio read and of which `AudioArkReader` reads any slice; 'flac',
    about half as large, which kaldiio reads (`AUDIO`, the length, a FLAC file) and Kaldi does not. Returns the number
    of entries; the files appear as with `write_entries`. Raises InputError for an utterance too long for a WAV.
    """
    encode = {"pcm16": _wav, "flac": _flac}[encoding]
    return write_entries(ark, scp, ((utt, encode(_checked(utt, samples), rate)) for utt, samples in items))


def _wav(samples: np.ndarray, rate: int) -> tuple[bytes, memoryview]:
    size = 2 * len(samples)
    head = _HEAD.pack(b"RIFF", 36 + size, *_PLAIN, rate, 2 * rate, 2, 16, b"data", size)
    return head, memoryview(np.ascontiguousarray(samples, "<i2")).cast("B")


def _flac(samples: np.ndarray, rate: int) -> tuple[bytes, bytes]:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    length = len(file.getvalue())
    width = (length.bit_length() + 7) // 8
    return b"AUDIO" + bytes([width]) + length.to_bytes(width, "little"), file.getvalue()


def _checked(utt: str, samples: np.ndarray) -> np.ndarray:
    if samples.dtype != np.int16 or samples.ndim != 1 or not len(samples):
        raise ValueError(f"'{utt}': not samples of type int16: {samples.dtype} {samples.shape}")
    if len(samples) >= 2**30:
        raise InputError(f"'{utt}': {len(samples)} samples are too many for an entry of an ark; cut it by segments")
    return samples


class _Entry(NamedTuple):
    """Where the bytes of an entry lie: 16-bit samples if ``rate`` is known, else a file for soundfile to decode."""

    first: int
    size: int
    rate: int | None


class AudioArkReader:
    """Reads audio, or only a slice of it, by its scp value ``path.ark:offset``.

    Of WAVs with Kaldi's header only the bytes of the slice are read; other WAVs and what kaldiio stores as `AUDIO`
    (FLAC) are decoded by soundfile. One channel and 16 bits are asked for. Errors are InputErrors with key and ark.
    """

    def __init__(self):
        self._files = OpenFiles()

    def read(self, place: str, start: int = 0, stop: int | None = None, key: str = "") -> np.ndarray:
        """Samples ``start:stop`` of the entry: int16 (n,), a copy."""
        return self.read_at(*split_place(place, key), start, stop, key)

    def read_at(self, path: str, offset: int, start: int = 0, stop: int | None = None, key: str = "") -> np.ndarray:
        """As `read`, of the entry at byte ``offset`` of ``path``."""
        try:
            entry = self._find(path, offset)
            if entry.rate is None:
                return self._decode(path, entry)[start:stop]
            start, stop, _ = slice(start, stop).indices(entry.size // 2)
            return self._files.array(path, entry.first + 2 * start, max(0, stop - start), "<i2")
        except (OSError, ValueError, MemoryError, soundfile.LibsndfileError) as error:
            raise _wrong(error, path, offset, key) from None

    def info(self, place: str, key: str = "") -> tuple[int, int]:
        """Number of samples, of each channel, and sample rate in Hz of an entry, by its header."""
        path, offset = split_place(place, key)
        try:
            entry = self._find(path, offset)
            if entry.rate is not None:
                return entry.size // 2, entry.rate
            header = soundfile.info(io.BytesIO(self._files.array(path, entry.first, entry.size, "u1")))
            if header.frames == 0:
                raise ValueError("no samples")
            return header.frames, header.samplerate
        except (OSError, ValueError, MemoryError, soundfile.LibsndfileError) as error:
            raise _wrong(error, path, offset, key) from None

    def file(self, place: str, key: str = "") -> io.BytesIO:
        """The entry as the audio file that it is, of any format and number of channels."""
        path, offset = split_place(place, key)
        try:
            entry = self._find(path, offset, whole=True)
            return io.BytesIO(self._files.array(path, entry.first, entry.size, "u1"))
        except (OSError, ValueError, MemoryError) as error:
            raise _wrong(error, path, offset, key) from None

    def _find(self, path: str, offset: int, whole: bool = False) -> _Entry:
        """The entry at ``offset``; ``whole``: with its header even if its samples can be sliced."""
        head = self._files.read(path, offset, _HEAD.size)
        if head[:4] == b"RIFF" and len(head) == _HEAD.size:
            _, riff_size, *plain, rate, _, _, bits, data, data_size = _HEAD.unpack(head)
            if (*plain, bits, data) == (*_PLAIN, 16, b"data") and not whole:
                entry = _Entry(offset + _HEAD.size, data_size, rate)
            else:
                entry = _Entry(offset, 8 + riff_size, None)
        elif head[:5] == b"AUDIO" and len(head) > 6:
            width = head[5]
            entry = _Entry(offset + 6 + width, int.from_bytes(head[6 : 6 + width], "little"), None)
        else:
            raise ValueError(f"an entry cannot begin with {head[:8]!r}")
        if entry.rate is not None and data_size % 2:
            raise ValueError(f"{data_size} bytes of 16-bit samples announced")
        if entry.size == 0 or entry.first + entry.size > self._files.size(path):
            raise ValueError(f"{entry.size} bytes announced, {max(0, self._files.size(path) - entry.first)} are there")
        return entry

    def _decode(self, path: str, entry: _Entry) -> np.ndarray:
        file = io.BytesIO(self._files.array(path, entry.first, entry.size, "u1"))
        with soundfile.SoundFile(file) as sound:
            if sound.channels != 1:
                raise ValueError(f"{sound.channels} channels instead of one")
            if sound.subtype != "PCM_16":  # libsndfile would cut, not round, to 16 bits
                raise ValueError(f"{sound.subtype_info} instead of 16 bits")
            return sound.read(dtype="int16")


def _wrong(error: Exception | str, path: str, offset: int, key: str) -> InputError:
    name = key or f"{path}:{offset}"
    if isinstance(error, soundfile.LibsndfileError):
        error = error.error_string  # all of it has an address in memory, another one each time
    if isinstance(error, FileNotFoundError):
        return InputError(f"{name}: no such ark", path)
    return InputError(f"{name}: truncated or not audio at byte {offset}: {error}", path)
