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


def margin_share(phase: Phase, epoch: float) -> float:
    """How much of their full size the loss's margins have at ``epoch``: all, or from 0 to 1 during the phase's ramp."""
    if phase.margin_ramp is None:
        return 1.0
    first, last = phase.margin_ramp
    if epoch >= last:
        return 1.0
    return (epoch - first) / (last - first) if epoch > first else 0.0
