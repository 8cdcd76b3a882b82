"""Optimisers: what they refuse, and that what they accept can be built."""

import pytest
import torch

from sv_py.cli import InputError
from sv_py.train import OPTIMIZERS


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("sgd", {"momentum": 1.0}, "momentum must be at least 0 and below 1"),
        ("sgd", {"momentum": -0.1}, "momentum must be at least 0 and below 1"),
        ("sgd", {"momentum": 0.0}, "nesterov needs momentum"),
        ("sgd", {"weight_decay": -1e-4}, "weight_decay must not be negative"),
        ("adamw", {"beta1": 1.0}, "beta1 must be at least 0 and below 1"),
        ("adamw", {"beta2": -0.1}, "beta2 must be at least 0 and below 1"),
        ("adamw", {"weight_decay": -1e-4}, "weight_decay must not be negative"),
    ],
)
def test_arguments_that_make_no_optimiser_are_an_error(name, wrong, message):
    with pytest.raises(InputError, match=message):
        OPTIMIZERS.arguments(name)(**wrong)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("sgd", {}), ("sgd", {"momentum": 0.0, "nesterov": False}), ("adamw", {}), ("adamw", {"beta1": 0.0})],
)
def test_what_is_accepted_can_be_built(name, arguments):
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = OPTIMIZERS.load(name)(OPTIMIZERS.arguments(name)(**arguments), [parameter])
    assert optimizer.param_groups[0]["params"] == [parameter]
