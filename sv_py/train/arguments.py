"""Arguments of the optimisers. The learning rate is the phase's."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SGDArguments:
    """Stochastic gradient descent with momentum."""

    momentum: float = 0.9  # of the gradient
    weight_decay: float = 1e-4  # L2 penalty
    nesterov: bool = True  # look ahead along the momentum


@dataclass(frozen=True)
class AdamWArguments:
    """Adam with decoupled weight decay."""

    beta1: float = 0.9  # of the mean of the gradient
    beta2: float = 0.999  # of the mean of its square
    weight_decay: float = 0.05  # per step, times the learning rate
