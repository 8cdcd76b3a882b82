"""Optimisers by name, fused where torch can: one pass over memory for parameters, gradients and state.

The loop sets the rate before each step.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

from sv_py.train.arguments import AdamArguments, AdamWArguments, SGDArguments

_FUSED = ("cpu", "cuda")  # devices


def sgd(arguments: SGDArguments, parameters: Iterable[torch.Tensor]) -> Optimizer:
    """Stochastic gradient descent with momentum."""
    momentum = {"momentum": arguments.momentum, "nesterov": arguments.nesterov}
    return _make(SGD, parameters, weight_decay=arguments.weight_decay, **momentum)


def adam(arguments: AdamArguments, parameters: Iterable[torch.Tensor]) -> Optimizer:
    """Adam with an L2 penalty."""
    return _make(Adam, parameters, **_moments(arguments))


def adamw(arguments: AdamWArguments, parameters: Iterable[torch.Tensor]) -> Optimizer:
    """Adam with decoupled weight decay."""
    return _make(AdamW, parameters, **_moments(arguments))


def _moments(arguments: AdamArguments) -> dict[str, Any]:
    betas = (arguments.beta1, arguments.beta2)
    return {"betas": betas, "eps": arguments.eps, "weight_decay": arguments.weight_decay}


def _make(kind: type[Optimizer], parameters: Iterable[torch.Tensor], **options: Any) -> Optimizer:
    parameters = list(parameters)
    fused = all(parameter.device.type in _FUSED for parameter in parameters)
    optimizer = kind(parameters, lr=0.0, fused=fused, **options)
    optimizer.register_step_pre_hook(_lay_out_gradients)
    return optimizer


def _lay_out_gradients(optimizer: Optimizer, *_: Any) -> None:
    """Let gradients lie in memory as their parameters do: fused kernels on a CPU take that for granted."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None and parameter.grad.stride() != parameter.stride():
                parameter.grad = torch.empty_like(parameter).copy_(parameter.grad)
