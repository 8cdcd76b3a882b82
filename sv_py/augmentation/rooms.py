"""Simulated rooms: impulse responses of boxes by the image method."""

from collections.abc import Mapping

import numpy as np

from sv_py.augmentation.arguments import RoomsArguments
from sv_py.augmentation.base import Sounds, uniform
from sv_py.augmentation.reverb import Convolution, Response, trimmed

SPEED_OF_SOUND = 343.0  # m/s, at 20 degrees Celsius
_OVERSAMPLING = 4  # arrivals are placed on a grid so much finer than the samples
_LEAD = 32  # samples before the direct sound: room for what precedes it in a band-limited pulse
_KEPT = 1000  # responses in memory: 64 MB, if they last a second
_NEAREST = 0.05  # m between mouth and microphone
_WALL = 0.2  # m that mouth and microphone keep from the walls


class Rooms(Convolution):
    """Reverberation of boxes whose sizes, decay and positions are drawn; a room is computed when it is first drawn."""

    def __init__(self, arguments: RoomsArguments, pools: Mapping[str, Sounds], rate: int):
        super().__init__(arguments, pools, rate)
        self._cache: dict[int, Response] = {}

    def sample(self, rng: np.random.Generator, num_samples: int, row: int | None) -> Response:
        """The response of one of the rooms."""
        number = int(rng.integers(self.arguments.rooms))
        if number not in self._cache:
            self._cache[number] = self.response(number)
            if len(self._cache) > _KEPT:
                del self._cache[next(iter(self._cache))]
        return trimmed(*self._cache[number], num_samples)

    def response(self, number: int) -> Response:
        """The response of a room, which is drawn from its number alone."""
        options = self.arguments
        rng = np.random.Generator(np.random.Philox(key=number))
        size = np.array([uniform(rng, limits) for limits in (options.width, options.depth, options.height)])
        rt60 = uniform(rng, options.rt60)
        microphone = rng.uniform(_WALL, size - _WALL)
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        to_walls = np.where(direction > 0, size - _WALL - microphone, microphone - _WALL) / np.abs(direction)
        distance = max(_NEAREST, min(uniform(rng, options.distance), to_walls.min()))
        return shoebox(size, microphone + distance * direction, microphone, rt60, self.rate)


def shoebox(size: np.ndarray, source: np.ndarray, microphone: np.ndarray, rt60: float, rate: int) -> Response:
    """The impulse response of a box of ``size`` (3,) in m between two points (3,), ``rt60`` seconds long.

    Every wall reflects alike, by Eyring's formula for ``rt60``. Allen and Berkley's image method (JASA 65, 1979) with
    the negative reflection coefficient of Lehmann and Johansson (JASA 124, 2008), which leaves no offset.
    """
    surface = 2 * (size[0] * size[1] + size[1] * size[2] + size[2] * size[0])
    decay = 12 * np.log(10) / SPEED_OF_SOUND * size.prod() / (surface * rt60)  # of the amplitude at a wall
    reach = SPEED_OF_SOUND * rt60
    axes = [_images(*axis, reach, decay) for axis in zip(size, source, microphone, strict=True)]
    (x, x_gain), (y, y_gain), (z, z_gain) = axes
    plane = np.add.outer(y, z).ravel()
    order = plane.argsort()
    plane, plane_gain = plane[order], np.multiply.outer(y_gain, z_gain).ravel()[order]

    per_metre = rate * _OVERSAMPLING / SPEED_OF_SOUND
    fine = np.zeros((round(reach * per_metre / _OVERSAMPLING) + 2 * _LEAD) * _OVERSAMPLING)
    for squared, gain in zip(x, x_gain, strict=True):  # one plane of images at a time: little memory
        near = np.searchsorted(plane, reach**2 - squared)
        distance = np.sqrt(plane[:near] + squared)
        places = np.rint(distance * per_metre).astype(np.int64) + _LEAD * _OVERSAMPLING
        fine += np.bincount(places, plane_gain[:near] * gain / distance, len(fine))
    direct = _LEAD + round(float(np.linalg.norm(source - microphone)) * per_metre / _OVERSAMPLING)
    return Response(_decimated(fine).astype(np.float32), direct)


def _images(size: float, source: float, microphone: float, reach: float, decay: float) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis: squared distances of the source's images within ``reach``, and what the walls left of each."""
    number = np.arange(-int(reach / (2 * size)) - 1, int(reach / (2 * size)) + 2)
    distances = np.concatenate([2 * number * size + source - microphone, 2 * number * size - source - microphone])
    reflections = np.concatenate([np.abs(2 * number), np.abs(2 * number - 1)])
    near = np.abs(distances) < reach
    return distances[near] ** 2, (-np.exp(-decay)) ** reflections[near]


def _decimated(fine: np.ndarray) -> np.ndarray:
    """The band-limited signal at a rate that is ``_OVERSAMPLING`` times lower."""
    spectrum = np.fft.rfft(fine)[: len(fine) // _OVERSAMPLING // 2 + 1]
    edge = np.linspace(0, 1, len(spectrum))
    spectrum *= np.cos(np.pi / 2 * np.clip((edge - 0.9) / 0.1, 0, 1)) ** 2
    return np.fft.irfft(spectrum, len(fine) // _OVERSAMPLING)
