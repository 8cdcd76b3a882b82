"""Optimisers by name."""

from collections.abc import Iterable

import torch

from sv_py.train.arguments import AdamWArguments, SGDArguments


def sgd(arguments: SGDArguments, parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    """SGD; the loop sets the rate before each step."""
    return torch.optim.SGD(
        parameters,
        lr=0.0,
        momentum=arguments.momentum,
        weight_decay=arguments.weight_decay,
        nesterov=arguments.nesterov,
    )


def adamw(arguments: AdamWArguments, parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    """AdamW; the loop sets the rate before each step."""
    return torch.optim.AdamW(
        parameters, lr=0.0, betas=(arguments.beta1, arguments.beta2), weight_decay=arguments.weight_decay
    )
