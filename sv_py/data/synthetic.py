"""Synthetic voices by the source-filter model, and the rooms, microphones and noises they are recorded with.

A glottal source (Rosenberg pulses with jitter, shimmer and breath) excites a cascade of formant resonators that
glide between the vowels of random syllables. Everything is drawn from the random generator that is passed in, and
nothing depends on threads or on what was synthesised before: the same generator gives the same samples.
"""

from dataclasses import dataclass, replace

import numpy as np

VERSION = 1  # raise it when a change alters a sample: corpora made by an older version are then made anew
RATE = 16000
HOP = 160  # samples per control frame, 10 ms
_WINDOW = np.hanning(2 * HOP + 1)[:-1].astype(np.float32)  # half-overlapped, sums to one
_BLOCKS = 6  # length of a filtered frame in hops: room for 40 ms of ringing, -76 dB at a bandwidth of 70 Hz
_BINS = np.fft.rfftfreq(_BLOCKS * HOP, 1 / RATE)

# F1, F2, F3 of American English vowels (Hz), mean of adult men: Hillenbrand et al., JASA 97 (1995), table V.
_VOWELS = np.array([
    [342, 2322, 3000], [427, 2034, 2684], [476, 2089, 2691], [580, 1799, 2605], [588, 1952, 2601],
    [768, 1333, 2522], [652, 997, 2538], [497, 910, 2459], [469, 1122, 2434], [378, 997, 2343],
    [623, 1200, 2550], [474, 1379, 1710],
])  # fmt: skip
_NASAL, _GLIDE = [250, 1100, 2300], [330, 900, 2300]
_HIGHER = [3500, 4500, 5500, 6400]  # F4 to F7, near those of a uniform tube of 17.5 cm
_BANDWIDTHS = np.array([70, 90, 130, 200, 260, 320, 400])
_FRICATION = [[2800, 900], [4800, 1200], [6200, 1500], [3500, 3000]]  # centre and width (Hz)
_GENDERS = {"m": (118.0, 1.0), "f": (200.0, 1.15)}  # median pitch (Hz), formants relative to those of men
_NOISES = ("white", "pink", "hum", "babble")


@dataclass(frozen=True)
class Voice:
    """What makes a speaker: the larynx, the vocal tract and some habits."""

    gender: str  # m or f
    pitch: float  # median F0, Hz
    pitch_range: float  # standard deviation of the accents, semitones
    declination: float  # fall of F0 over an utterance, semitones; negative: a rise
    jitter: float  # relative standard deviation of the periods
    shimmer: float  # relative standard deviation of the pulses' amplitudes
    breath: float  # aspiration relative to the pulses
    open_quotient: float  # part of a period in which the glottis is open
    tilt: float  # corner of the source's low-pass, Hz
    formants: np.ndarray  # (7,): F1 to F7 relative to the tables above
    vowels: np.ndarray  # (12, 3): the same per vowel, an accent
    bandwidth: float  # relative to the table
    rate: float  # of speaking, relative


def draw_voice(rng: np.random.Generator, gender: str, spread: float = 1.0) -> Voice:
    """A speaker of ``gender``; ``spread`` scales how much speakers differ, and so how easy they are to tell apart."""
    pitch, tract = _GENDERS[gender]

    def vary(deviation: float, size=None):
        return np.exp(spread * deviation * rng.standard_normal(size))

    return Voice(
        gender=gender,
        pitch=pitch * vary(0.2),
        pitch_range=1.5 * vary(0.5),
        declination=3.0 + 3.0 * spread * rng.standard_normal(),
        jitter=0.008 * vary(0.5),
        shimmer=0.06 * vary(0.5),
        breath=0.05 * vary(0.8),
        open_quotient=float(np.clip(0.6 * vary(0.18), 0.35, 0.9)),
        tilt=2200 * vary(0.5),
        formants=tract * vary(0.08) * vary(0.09, 7),
        vowels=vary(0.06, _VOWELS.shape),
        bandwidth=vary(0.25),
        rate=vary(0.18),
    )


def another_day(voice: Voice, rng: np.random.Generator, drift: float = 1.0) -> Voice:
    """The voice as it is in one session: effort and health move pitch, tilt and breath by ``drift``."""
    effort = drift * rng.standard_normal()
    return replace(
        voice,
        pitch=voice.pitch * np.exp(0.05 * effort),
        tilt=voice.tilt * np.exp(0.2 * effort + 0.1 * drift * rng.standard_normal()),
        breath=voice.breath * np.exp(0.4 * drift * rng.standard_normal()),
        rate=voice.rate * np.exp(0.08 * drift * rng.standard_normal()),
    )


def speak(voice: Voice, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Random syllables of ``voice``: float32 (samples,) at 16 kHz, root mean square 1."""
    frames = max(1, round(seconds * RATE / HOP))
    loudness, frication, noise_band, formants, accents = _score(voice, frames, rng)
    time = np.arange(frames * HOP) / HOP
    semitones = voice.pitch_range * accents + voice.declination * np.linspace(0.5, -0.5, frames)
    pulses, openness = _glottis(voice, np.interp(time, np.arange(frames), voice.pitch * 2 ** (semitones / 12)), rng)
    noise = rng.standard_normal(frames * HOP, dtype=np.float32)
    voiced = np.interp(time, np.arange(frames), loudness) * (pulses + voice.breath * openness * noise)

    spectrum = _frames(voiced) * _tract(voice, formants)
    band = np.exp(-0.5 * ((_BINS - noise_band[:, :1]) / noise_band[:, 1:]) ** 2)
    spectrum += _frames(noise) * (frication[:, None] * band).astype(np.float32)
    filtered = np.fft.irfft(spectrum, _BLOCKS * HOP).reshape(frames, _BLOCKS, HOP)
    output = np.zeros((frames + _BLOCKS, HOP), np.float32)
    for block in range(_BLOCKS):
        output[block : block + frames] += filtered[:, block]
    return _unit(output[:frames].ravel())


def _score(voice: Voice, frames: int, rng: np.random.Generator):
    """The control tracks, one value per frame, of as many random syllables as fill ``frames``.

    Returns loudness of the voice (T,), of the frication (T,), its centre and width (T, 2), F1-F3 (T, 3) and the
    pitch accents (T,), all smoothed, so that articulators glide from target to target.
    """
    lengths, targets = [], []  # a target: loudness, frication, band (2), formants (3), accent

    def add(milliseconds, loudness, frication, band, formants, accent):
        lengths.append(max(1, round(milliseconds * np.exp(0.2 * rng.standard_normal()) / voice.rate / 10)))
        targets.append([loudness, frication, *band, *formants, accent])

    accent, until_pause = 0.0, 0
    while sum(lengths) < frames:
        vowel = rng.integers(len(_VOWELS))
        formants = _VOWELS[vowel] * voice.vowels[vowel]
        band = _FRICATION[rng.integers(len(_FRICATION))]
        if until_pause == 0:
            add(rng.uniform(80, 200), 0, 0, band, formants, accent)
            until_pause = rng.integers(4, 9)
        until_pause -= 1
        accent = rng.standard_normal()
        match rng.integers(5):
            case 0:  # fricative
                add(90, 0, rng.uniform(0.1, 0.3), band, formants, accent)
            case 1:  # stop: closure and burst
                add(60, 0, 0, band, formants, accent)
                add(15, 0, rng.uniform(0.3, 0.6), band, formants, accent)
            case 2:
                add(70, 0.4, 0, band, _NASAL, accent)
            case 3:
                add(60, 0.6, 0, band, _GLIDE, accent)
        add(rng.uniform(90, 220), rng.uniform(0.7, 1.0), 0, band, formants, accent)
    track = np.repeat(np.array(targets), lengths, axis=0)[:frames]
    loudness, frication = _smooth(track[:, :1], 5)[:, 0], _smooth(track[:, 1:2], 3)[:, 0]
    return loudness, frication, track[:, 2:4], _smooth(track[:, 4:7], 9), _smooth(track[:, 7:], 21)[:, 0]


def _smooth(track: np.ndarray, width: int) -> np.ndarray:
    """Moving average of (T, D) with a Hann window of ``width`` (odd) frames."""
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(track, ((width // 2, width // 2), (0, 0)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)
    return (around * window).sum(axis=-1) / window.sum()  # not `@`: BLAS may round by its number of threads


def _glottis(voice: Voice, pitch: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Differentiated glottal flow and openness of the glottis, (samples,) each, for F0 per sample (Hz)."""
    phase = np.cumsum(pitch / RATE)
    cycle = phase.astype(int)
    phase = np.cumsum(pitch / RATE * (1 + voice.jitter * rng.standard_normal(cycle[-1] + 1))[cycle])
    cycle = phase.astype(int)
    strength = 1 + voice.shimmer * rng.standard_normal(cycle[-1] + 1)
    opening = (phase - cycle) / voice.open_quotient  # 0 to 1 while the flow u^2 - u^3 (Rosenberg) passes
    is_open = opening < 1
    return is_open * (2 * opening - 3 * opening**2) * strength[cycle], is_open * opening


def _frames(signal: np.ndarray) -> np.ndarray:
    """Spectra (T, bins) of the half-overlapped frames of a signal of T hops."""
    padded = np.pad(signal.astype(np.float32), (0, HOP))
    return np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP] * _WINDOW, _BLOCKS * HOP)


def _tract(voice: Voice, formants: np.ndarray) -> np.ndarray:
    """Frequency responses (T, bins) of source tilt and formant cascade, for F1-F3 (T, 3); unit gain at 0 Hz."""
    higher = np.broadcast_to(_HIGHER, (len(formants), len(_HIGHER)))
    centres = np.minimum(np.hstack([formants, higher]) * voice.formants, 0.48 * RATE)
    radius = np.exp(-np.pi * _BANDWIDTHS * voice.bandwidth / RATE)
    cosine = np.cos(2 * np.pi * centres / RATE)
    pole = np.exp(-2 * np.pi * voice.tilt / RATE)
    polynomial = np.zeros((len(formants), 2 + 2 * len(_BANDWIDTHS)))  # 1 / polynomial(1/z) is the response
    polynomial[:, :2] = 1, -pole
    for r, c in zip(radius, cosine.T, strict=True):
        delayed = np.pad(polynomial, ((0, 0), (2, 0)))
        polynomial = polynomial - 2 * r * c[:, None] * delayed[:, 1:-1] + r * r * delayed[:, :-2]
    gain = polynomial.sum(axis=1, keepdims=True)
    return (gain / np.fft.rfft(polynomial, _BLOCKS * HOP)).astype(np.complex64)


@dataclass(frozen=True)
class Channel:
    """How a session is recorded: the room, the noise in it, the microphone."""

    reverberation: float  # time of decay by 60 dB, seconds
    direct: float  # energy of the direct sound relative to the reverberant, dB
    room: int  # seed of the echoes
    noise: str  # white, pink, hum or babble
    snr: float  # dB
    low: float  # the microphone's pass band, Hz
    high: float
    colour: np.ndarray  # (8,): gains in dB at frequencies spaced evenly in octaves over the band
    level: float  # root mean square, dB below full scale


def draw_channel(rng: np.random.Generator, snr: tuple[float, float] = (20.0, 40.0), severity: float = 1.0) -> Channel:
    """A recording condition with a signal-to-noise ratio in the range ``snr`` (dB).

    ``severity`` scales reverberation and colouring.
    """
    return Channel(
        reverberation=0.1 + 0.4 * severity * rng.random(),
        direct=rng.uniform(3, 15) - 6 * (severity - 1),
        room=int(rng.integers(2**32)),
        noise=_NOISES[rng.integers(len(_NOISES))],
        snr=rng.uniform(*snr),
        low=rng.uniform(40, 250),
        high=rng.uniform(4500, 7600),
        colour=2.5 * severity * rng.standard_normal(8),
        level=rng.uniform(-34, -22),
    )


def record(speech: np.ndarray, channel: Channel, rng: np.random.Generator) -> np.ndarray:
    """``speech`` (samples,) through ``channel``, with noise drawn from ``rng``: float32 (samples,) within (-1, 1)."""
    count = len(speech)
    size = -(-(count + round(channel.reverberation * RATE)) // 8000) * 8000  # no wrap-around, and a fast FFT length
    reverberant = np.fft.irfft(np.fft.rfft(speech, size) * np.fft.rfft(_echoes(channel), size), size)[:count]
    noise = _noise(channel.noise, count, rng)
    noisy = _unit(reverberant) + noise * 10 ** (-(channel.snr + 2 * rng.standard_normal()) / 20)
    recorded = np.fft.irfft(np.fft.rfft(noisy, size) * _microphone(channel, size), size)[:count]
    recorded = _unit(recorded) * 10 ** (channel.level / 20)
    return (recorded * min(1.0, 0.99 / np.abs(recorded).max())).astype(np.float32)


def _echoes(channel: Channel) -> np.ndarray:
    """Impulse response of the room: the direct sound, then Gaussian noise that decays exponentially."""
    count = round(channel.reverberation * RATE)
    decay = 10 ** (-3 * np.arange(count) / count)
    echoes = np.random.default_rng(channel.room).standard_normal(count) * decay
    echoes *= 10 ** (-channel.direct / 20) / np.linalg.norm(echoes)
    echoes[0] = 1
    return echoes


def _microphone(channel: Channel, size: int) -> np.ndarray:
    """Gains (bins,) of a zero-phase band-pass with the channel's colour, for an FFT of ``size``."""
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / RATE), 1)
    octaves = np.log2(hertz / channel.low)
    knots = np.linspace(0, np.log2(channel.high / channel.low), len(channel.colour))
    edges = np.sqrt((1 + (channel.low / hertz) ** 4) * (1 + (hertz / channel.high) ** 8))  # 2nd and 4th order
    return 10 ** (np.interp(octaves, knots, channel.colour) / 20) / edges


def _noise(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Noise (count,) of root mean square 1."""
    white = rng.standard_normal(count)
    match kind:
        case "pink":
            spectrum = np.fft.rfft(white)
            return _unit(np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 10), count))
        case "hum":  # of the mains and its harmonics
            mains = rng.choice([50, 60]) * np.arange(1, 13)
            phases = 2 * np.pi * (np.arange(count)[:, None] * mains / RATE + rng.random(12))
            return _unit(np.cos(phases) @ (1 / np.arange(1, 13)) + 0.1 * white)
        case "babble":
            voices = [draw_voice(rng, gender) for gender in "mfmf"]
            return _unit(sum(speak(voice, count / RATE + 0.01, rng)[:count] for voice in voices))
    return _unit(white)


def _unit(signal: np.ndarray) -> np.ndarray:
    """``signal`` (samples,) at root mean square 1."""
    return signal / np.sqrt(np.mean(np.square(signal)))
