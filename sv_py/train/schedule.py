"""Learning rate and margin as functions of the samples seen, so that a change of batch size changes neither."""

import math

from sv_py.schema import Phase, Rate


def learning_rate(rate: Rate, epoch: float, epochs: int) -> float:
    """The rate at ``epoch`` (fractional: samples seen / samples per epoch) of a phase of ``epochs``.

    Linear from 0 to ``peak`` during the warm-up; the decay runs over the whole phase, so that the warm-up
    multiplies it.
    """
    done = min(epoch / epochs, 1.0)
    if rate.decay == "exponential":
        value = rate.peak * (rate.final / rate.peak) ** done
    elif rate.decay == "cosine":
        value = rate.final + (rate.peak - rate.final) * (1 + math.cos(math.pi * done)) / 2
    else:
        value = rate.peak
    return value * min(1.0, epoch / rate.warmup) if rate.warmup > 0 else value


def margin(phase: Phase, full: float, epoch: float) -> float:
    """The loss's margin at ``epoch``: ``full``, or on the way from 0 to it during the phase's ramp."""
    full = full if phase.margin is None else phase.margin
    if phase.margin_ramp is None:
        return full
    first, last = phase.margin_ramp
    if epoch >= last:
        return full
    return full * max(0.0, (epoch - first) / (last - first))
