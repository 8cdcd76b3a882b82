"""Voice activity, one decision per feature frame."""

from dataclasses import dataclass

import numpy as np
import webrtcvad

from sv_py.cli import InputError


@dataclass(frozen=True)
class WebrtcArguments:
    """webrtcvad, aligned with the frames of the front end."""

    aggressiveness: int = 2  # 0 (keeps most) to 3 (drops most)
    sample_frequency: int = 16000  # Hz: 8000, 16000, 32000 or 48000
    frame_length: float = 25.0  # ms, of the features
    frame_shift: float = 10.0  # ms, of the features: 10, 20 or 30
    snip_edges: bool = True  # of the features: whether the first frame begins with the signal or is centred there

    def __post_init__(self):
        if self.aggressiveness not in (0, 1, 2, 3):
            raise InputError(f"aggressiveness is 0, 1, 2 or 3, not {self.aggressiveness}")
        if self.sample_frequency not in (8000, 16000, 32000, 48000):
            raise InputError(f"webrtcvad knows 8, 16, 32 and 48 kHz, not {self.sample_frequency} Hz")
        if self.frame_shift not in (10, 20, 30):
            raise InputError(f"webrtcvad decides on 10, 20 or 30 ms, not {self.frame_shift}")


def webrtc(samples: np.ndarray, num_frames: int, arguments: WebrtcArguments) -> np.ndarray:
    """1.0 for a voiced and 0.0 for a silent frame, float32 (num_frames,); ``samples`` on the scale of 16-bit integers.

    The decision of a frame is that of the frame_shift long block at its centre. The detector keeps a state, so
    every utterance gets a fresh one.
    """
    detector = webrtcvad.Vad(arguments.aggressiveness)
    block = int(arguments.sample_frequency * arguments.frame_shift / 1000)
    length = int(arguments.sample_frequency * arguments.frame_length / 1000)
    pcm = np.clip(np.rint(samples), -32768, 32767).astype("<i2")
    first = max(0, (length - block) // 2) if arguments.snip_edges else 0
    blocks = np.zeros((num_frames, block), "<i2")
    usable = pcm[first : first + num_frames * block]
    blocks.reshape(-1)[: len(usable)] = usable
    voiced = [detector.is_speech(b.tobytes(), arguments.sample_frequency) for b in blocks]
    return np.asarray(voiced, np.float32)
