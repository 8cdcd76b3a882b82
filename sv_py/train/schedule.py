"""Learning rate and margin as functions of the samples seen, so that a change of batch size changes neither."""

import math

from sv_py.schema import Phase, Rate

_LEFT = 1e-3  # of the margin, at the end of an exponential ramp: WeSpeaker's constant


def learning_rate(rate: Rate, epoch: float, epochs: int) -> float:
    """The rate at ``epoch`` (fractional: samples seen / samples per epoch) of a phase of ``epochs``.

    Linear from 0 to ``peak`` during the warm-up, which multiplies a decay that runs from ``hold`` to the end of the
    phase. With no hold and an exponential decay this is WeSpeaker's curve; steps from the beginning, or from a hold
    as long as the warm-up, are the two readings of VoxBlink's (docs/training.md).
    """
    since = max(epoch - rate.hold, 0.0)
    done = min(since / (epochs - rate.hold), 1.0) if epochs > rate.hold else 0.0
    if rate.decay == "exponential":
        value = rate.peak * (rate.final / rate.peak) ** done
    elif rate.decay == "cosine":
        value = rate.final + (rate.peak - rate.final) * (1 + math.cos(math.pi * done)) / 2
    elif rate.decay == "step":
        value = max(rate.peak * rate.factor ** (since // rate.every), rate.final)
    else:
        value = rate.peak
    return value * min(1.0, epoch / rate.warmup) if rate.warmup > 0 else value


def margin_share(phase: Phase, epoch: float) -> float:
    """How much of their full size the loss's margins have at ``epoch``: all, or from 0 to 1 during the phase's ramp.

    An exponential ramp is WeSpeaker's, 1 - 0.001^x at the share x of its epochs, and full at its end.
    """
    if phase.margin_ramp is None:
        return 1.0
    first, last = phase.margin_ramp
    if epoch >= last:
        return 1.0
    if epoch <= first:
        return 0.0
    done = (epoch - first) / (last - first)
    return done if phase.margin_growth == "linear" else 1 - _LEFT**done
