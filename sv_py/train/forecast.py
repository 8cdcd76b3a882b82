"""Where in a training one is, and how long the rest of it will take."""

from collections.abc import Mapping, Sequence

from sv_py.schema import Phase


class Forecast:
    """The work of ``phases``, in frames of training crops, to which what a step costs is taken to be proportional.

    ``steps`` are those of an epoch, by phase. Places are a phase with an epoch and a step of it, both from 0.
    """

    def __init__(self, phases: Sequence[Phase], steps: Mapping[str, int]):
        self.seconds = 0.0  # spent on the steps that were measured
        self._frames = 0.0
        self._phases, self._steps = phases, steps

    def utterances(self, phase: Phase, epoch: int, step: int) -> int:
        """Utterances seen before this place: the same whatever was interrupted."""
        before = self._phases[: self._phases.index(phase)]
        done = sum(p.epochs * self._steps[p.name] * p.batch_size for p in before)
        return done + (epoch * self._steps[phase.name] + step) * phase.batch_size

    def measure(self, phase: Phase, seconds: float) -> None:
        """A step of ``phase`` took so long."""
        self.seconds += seconds
        self._frames += _frames_of_step(phase)

    def seconds_left(self, phase: Phase, epoch: int, step: int) -> float:
        """What is still to come from this place on, validation not counted; something must have been measured."""
        later = self._phases[self._phases.index(phase) + 1 :]
        steps = (phase.epochs - epoch) * self._steps[phase.name] - step
        frames = steps * _frames_of_step(phase)
        frames += sum(p.epochs * self._steps[p.name] * _frames_of_step(p) for p in later)
        return frames * self.seconds / self._frames


def duration(seconds: float) -> str:
    """'3 h 20 min', '12 min' or '45 s'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _frames_of_step(phase: Phase) -> float:
    return phase.batch_size * sum(phase.crop_range) / 2
