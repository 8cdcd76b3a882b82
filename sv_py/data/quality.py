"""Measures of an utterance's audio that tell how far its score can be trusted."""

import numpy as np

from sv_py.data.vad import DetectorArguments, decide, log_energies

_QUIET = 10  # per cent of the frames that are taken for noise alone
_LEAST_SNR, _MOST_SNR = -10.0, 60.0  # dB; silence of zeros and steady noise would be infinite


def speech_seconds(samples: np.ndarray, name: str, arguments: DetectorArguments, key: str) -> float:
    """Seconds of speech in ``samples`` (N,), by the detector ``name``. Raises InputError that names ``key``."""
    voiced = decide(samples, arguments.num_frames(len(samples)), name, arguments, key)
    return float(voiced.sum()) * arguments.shift / arguments.sample_frequency


def estimate_snr(samples: np.ndarray, arguments: DetectorArguments) -> float:
    """Signal-to-noise ratio of ``samples`` (N,) in dB, between -10 and 60.

    The noise has the power that a tenth of the frames do not reach, as NIST's quick estimate takes it from the quietest
    frames; the rest of the mean power is the signal's. True for steady noise and speech with pauses.
    """
    num_frames = arguments.num_frames(len(samples))
    if not num_frames:
        return _LEAST_SNR
    pcm = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    power = np.exp(log_energies(pcm, num_frames, arguments).astype(np.float64))
    noise = np.percentile(power, _QUIET)
    signal = max(power.mean() - noise, np.finfo(float).tiny)
    return float(np.clip(10 * np.log10(signal / noise), _LEAST_SNR, _MOST_SNR))
