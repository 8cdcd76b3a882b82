"""Arguments of the optimisers. The learning rate is the phase's."""

from dataclasses import dataclass

from sv_py.cli import InputError


@dataclass(frozen=True)
class SGDArguments:
    """Stochastic gradient descent with momentum. Raises InputError for values that make no optimiser."""

    momentum: float = 0.9  # of the gradient
    weight_decay: float = 1e-4  # L2 penalty
    nesterov: bool = True  # look ahead along the momentum

    def __post_init__(self):
        _from_zero_to_one(self, "momentum")
        _not_negative(self, "weight_decay")
        if self.nesterov and self.momentum == 0:
            raise InputError("nesterov needs momentum; with momentum 0, say nesterov: false")


@dataclass(frozen=True)
class AdamArguments:
    """Adam (Kingma and Ba, 2015). Raises InputError for values that make no optimiser."""

    beta1: float = 0.9  # of the mean of the gradient
    beta2: float = 0.999  # of the mean of its square
    eps: float = 1e-8  # added to the root of that
    weight_decay: float = 0.0  # L2 penalty

    def __post_init__(self):
        _from_zero_to_one(self, "beta1", "beta2")
        _not_negative(self, "weight_decay")
        if self.eps <= 0:
            raise InputError(f"eps must be positive, is {self.eps}")


@dataclass(frozen=True)
class AdamWArguments(AdamArguments):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    weight_decay: float = 0.05  # per step, times the learning rate


def _from_zero_to_one(arguments: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(arguments, name) < 1:
            raise InputError(f"{name} must be at least 0 and below 1, is {getattr(arguments, name)}")


def _not_negative(arguments: object, *names: str) -> None:
    for name in names:
        if getattr(arguments, name) < 0:
            raise InputError(f"{name} must not be negative, is {getattr(arguments, name)}")
