"""Voice activity: one decision per feature frame, and the samples of the voiced frames.

Samples are on the scale of 16-bit integers, float32 or int16; every detector judges them as 16-bit integers.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import webrtcvad

from sv_py.cli import InputError
from sv_py.features.arguments import FrameArguments, kaldi_num_frames
from sv_py.io.conf import describe_part, read_part
from sv_py.registry import Table

_TOLERANCE = 0.1  # seconds by which front ends differ in where their last frame lies; more is other audio
_EPSILON = np.finfo(np.float32).eps  # Kaldi's floor of the energies


@dataclass(frozen=True)
class DetectorArguments(FrameArguments):
    """The frames of the features, which the decisions are about."""

    sample_frequency: int = 16000  # Hz
    snip_edges: bool = True  # whether the first frame begins with the signal or is centred there

    @property
    def first(self) -> int:
        """Where the shift long block at the centre of the first frame begins; the other blocks follow it."""
        return max(0, (self.length - self.shift) // 2) if self.snip_edges else 0

    def num_frames(self, num_samples: int) -> int:
        """Frames of a signal, as Kaldi counts them."""
        return kaldi_num_frames(num_samples, self.length, self.shift, self.snip_edges)


@dataclass(frozen=True)
class WebrtcArguments(DetectorArguments):
    """The detector of WebRTC: a Gaussian mixture over six bands, of 8, 16, 32 or 48 kHz and shifts of 10, 20, 30 ms."""

    aggressiveness: int = 2  # 0 (keeps most) to 3 (drops most)
    hangover: int = 0  # frames that stay speech after speech

    def __post_init__(self):
        super().__post_init__()
        if self.aggressiveness not in (0, 1, 2, 3):
            raise InputError(f"aggressiveness is 0, 1, 2 or 3, not {self.aggressiveness}")
        if self.hangover < 0:
            raise InputError(f"hangover is a number of frames, not {self.hangover}")
        if self.sample_frequency not in (8000, 16000, 32000, 48000):
            raise InputError(f"webrtcvad knows 8, 16, 32 and 48 kHz, not {self.sample_frequency} Hz")
        if self.frame_shift not in (10, 20, 30):
            raise InputError(f"webrtcvad decides on 10, 20 or 30 ms, not {self.frame_shift:g}")


@dataclass(frozen=True)
class EnergyArguments(DetectorArguments):
    """Kaldi's compute-vad on the energy of Kaldi's MFCC: names, meanings and defaults are Kaldi's."""

    vad_energy_threshold: float = 5.0  # of the log energy; the next is added
    vad_energy_mean_scale: float = 0.5  # times the mean log energy of the utterance
    vad_frames_context: int = 0  # frames on each side that have a say
    vad_proportion_threshold: float = 0.6  # share of them above the threshold that makes a frame speech

    def __post_init__(self):
        super().__post_init__()
        if self.vad_energy_mean_scale < 0 or self.vad_frames_context < 0:
            raise InputError("vad-energy-mean-scale and vad-frames-context must be at least 0")
        if not 0 < self.vad_proportion_threshold < 1:
            raise InputError(f"vad-proportion-threshold is between 0 and 1, not {self.vad_proportion_threshold:g}")


# Each is called with int16 samples (N,), the number of frames and its arguments, and returns bools (num_frames,).
DETECTORS = Table(
    "detector",
    {
        "webrtc": (WebrtcArguments, "sv_py.data.vad:webrtc"),
        "energy": (EnergyArguments, "sv_py.data.vad:energy"),
    },
)


def read_detector(conf: str | Path) -> tuple[str, DetectorArguments]:
    """Name and arguments of the detector that a conf file describes; a line `--detector=NAME` chooses, else webrtc.

    Raises InputError with file and line.
    """
    return read_part(conf, "detector", DETECTORS, "webrtc")


def describe(name: str, arguments: DetectorArguments) -> str:
    """Detector and every option as lines of text, as in a feats.id. Equal texts, equal decisions."""
    return describe_part("detector", name, arguments)


def decide(
    samples: np.ndarray, num_frames: int, name: str, arguments: DetectorArguments, key: str = "utterance"
) -> np.ndarray:
    """1.0 for a voiced and 0.0 for a silent frame, float32 (num_frames,), of ``samples`` (N,).

    Raises InputError that names ``key`` for samples that are not finite, and for a number of frames that is not that
    of this audio.
    """
    if not np.isfinite(samples).all():
        raise InputError(f"'{key}': NaN or infinite samples")
    expected = arguments.num_frames(len(samples))
    if abs(num_frames - expected) * arguments.shift > _TOLERANCE * arguments.sample_frequency:
        raise InputError(f"'{key}': the features have {num_frames} frames and the audio {expected}: not of one audio")
    if not num_frames or not len(samples):
        return np.zeros(num_frames, np.float32)
    pcm = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return DETECTORS.load(name)(pcm, num_frames, arguments).astype(np.float32)


def speech_samples(samples: np.ndarray, name: str, arguments: DetectorArguments, key: str) -> np.ndarray:
    """The samples of the voiced frames, in order and of the same type; a frame stands for the shift at its centre.

    What lies before the centre of the first frame and behind that of the last goes with these frames.
    Raises InputError that names the utterance ``key`` if nothing is left.
    """
    num_frames = arguments.num_frames(len(samples))
    voiced = decide(samples, num_frames, name, arguments, key) > 0
    if not voiced.any():
        raise InputError(f"'{key}': no speech in {len(samples) / arguments.sample_frequency:.3f} s of audio")
    counts = np.full(num_frames, arguments.shift)  # samples that a frame stands for
    counts[0] += arguments.first
    counts[-1] += len(samples) - counts.sum()
    return samples[np.repeat(voiced, counts)]


def webrtc(samples: np.ndarray, num_frames: int, arguments: WebrtcArguments) -> np.ndarray:
    """The decision of a frame is that of the frame_shift long block at its centre, and of the hangover before it.

    The detector keeps a state, so every utterance gets a fresh one.
    """
    is_speech = webrtcvad.Vad(arguments.aggressiveness).is_speech
    block = 2 * arguments.shift  # bytes
    pcm = samples[arguments.first :].astype("<i2").tobytes()[: num_frames * block].ljust(num_frames * block, b"\0")
    blocks = (pcm[start : start + block] for start in range(0, len(pcm), block))
    voiced = np.fromiter((is_speech(block, arguments.sample_frequency) for block in blocks), bool, num_frames)
    frame = np.arange(num_frames)
    latest = np.maximum.accumulate(np.where(voiced, frame, -1 - arguments.hangover))  # voiced frame, at or before
    return frame - latest <= arguments.hangover


def energy(samples: np.ndarray, num_frames: int, arguments: EnergyArguments) -> np.ndarray:
    """Kaldi's compute-vad (ivector/voice-activity-detection.cc): log energies above a threshold, by majority."""
    energies = log_energies(samples, num_frames, arguments)
    threshold = arguments.vad_energy_threshold + arguments.vad_energy_mean_scale * energies.mean(dtype=np.float64)
    above = np.concatenate(([0], np.cumsum(energies > np.float32(threshold))))
    frame = np.arange(num_frames)
    begin = (frame - arguments.vad_frames_context).clip(0)
    end = (frame + arguments.vad_frames_context + 1).clip(max=num_frames)
    needed = (end - begin).astype(np.float32) * np.float32(arguments.vad_proportion_threshold)
    return above[end] - above[begin] >= needed


def log_energies(samples: np.ndarray, num_frames: int, arguments: DetectorArguments) -> np.ndarray:
    """log sum of squares of each frame less its mean, float32 (num_frames,): C0 of Kaldi's MFCC with raw energy.

    ``samples`` are int16, and so the sums are exact. Frames beyond the signal see it mirrored, as Kaldi's do.
    """
    length, shift = arguments.length, arguments.shift
    begin = 0 if arguments.snip_edges else shift // 2 - length // 2
    before = max(0, -begin)
    beyond = max(0, begin + (num_frames - 1) * shift + length - len(samples))
    padded = np.pad(samples, (before, beyond), "symmetric")
    start = begin + before + shift * np.arange(num_frames)
    bounds = np.stack([start, start + length], axis=1).ravel()
    padded = np.append(padded, np.int16(0))  # reduceat wants every bound to be a sample

    def sums(values):
        return np.add.reduceat(values, bounds, dtype=np.int64)[::2]

    energies = (length * sums(padded.astype(np.int32) ** 2) - sums(padded) ** 2) / length
    return np.log(np.maximum(energies, _EPSILON)).astype(np.float32)
