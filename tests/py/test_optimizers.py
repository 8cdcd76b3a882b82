"""Optimisers: what they refuse, and that what they accept is fused and right."""

import hashlib

import pytest
import torch
from torch.nn import Parameter

from sv_py.cli import InputError
from sv_py.train import OPTIMIZERS

KINDS = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.0, "nesterov": False}),
    ("adam", {}),
    ("adam", {"eps": 1e-3, "weight_decay": 0.01}),
    ("adamw", {}),
    ("adamw", {"beta1": 0.0}),
]


def build(name: str, arguments: dict, parameters: list[Parameter]) -> torch.optim.Optimizer:
    return OPTIMIZERS.load(name)(OPTIMIZERS.arguments(name)(**arguments), parameters)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> torch.optim.Optimizer:
    optimizer.param_groups[0]["lr"] = rate
    return optimizer


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("sgd", {"momentum": 1.0}, "momentum must be at least 0 and below 1"),
        ("sgd", {"momentum": -0.1}, "momentum must be at least 0 and below 1"),
        ("sgd", {"momentum": 0.0}, "nesterov needs momentum"),
        ("sgd", {"weight_decay": -1e-4}, "weight_decay must not be negative"),
        ("adam", {"beta1": 1.0}, "beta1 must be at least 0 and below 1"),
        ("adam", {"eps": 0.0}, "eps must be positive"),
        ("adam", {"weight_decay": -1e-4}, "weight_decay must not be negative"),
        ("adamw", {"beta1": 1.0}, "beta1 must be at least 0 and below 1"),
        ("adamw", {"beta2": -0.1}, "beta2 must be at least 0 and below 1"),
        ("adamw", {"eps": -1.0}, "eps must be positive"),
        ("adamw", {"weight_decay": -1e-4}, "weight_decay must not be negative"),
    ],
)
def test_arguments_that_make_no_optimiser_are_an_error(name, wrong, message):
    with pytest.raises(InputError, match=message):
        OPTIMIZERS.arguments(name)(**wrong)


@pytest.mark.parametrize(("name", "arguments"), KINDS)
def test_what_is_accepted_can_be_built_and_is_fused(name, arguments):
    parameter = Parameter(torch.ones(1))
    optimizer = build(name, arguments, [parameter])
    assert optimizer.param_groups[0]["params"] == [parameter]
    assert optimizer.param_groups[0]["fused"] is True


def test_three_steps_of_adam_are_those_of_its_formula():
    rate, beta1, beta2, eps, decay = 0.1, 0.9, 0.999, 1e-8, 0.01
    value, mean, square = 1.0, 0.0, 0.0
    parameter = Parameter(torch.tensor([value], dtype=torch.float64))
    optimizer = set_rate(build("adam", {"weight_decay": decay}, [parameter]), rate)
    for step, slope in enumerate((0.5, -0.2, 0.1), 1):
        gradient = slope + decay * value
        mean, square = beta1 * mean + (1 - beta1) * gradient, beta2 * square + (1 - beta2) * gradient**2
        value -= rate * mean / (1 - beta1**step) / ((square / (1 - beta2**step)) ** 0.5 + eps)
        parameter.grad = torch.tensor([slope], dtype=torch.float64)
        optimizer.step()
    assert parameter.item() == pytest.approx(value, rel=1e-12)


def test_decoupled_weight_decay_takes_a_share_of_the_weight_whatever_the_gradient():
    parameter = Parameter(torch.tensor([2.0]))
    parameter.grad = torch.zeros(1)
    set_rate(build("adamw", {"weight_decay": 0.5}, [parameter]), 0.1).step()
    assert parameter.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5))


@pytest.mark.parametrize(("name", "arguments"), KINDS)
def test_weights_with_channels_last_take_the_same_steps_wherever_their_gradients_lie(name, arguments):
    generator = torch.Generator().manual_seed(0)
    weight, gradient = torch.randn(2, 4, 3, 2, 2, generator=generator)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        parameter = Parameter(weight.clone())
        optimizer = set_rate(build(name, arguments, [parameter]), 0.1)
        parameter.data = parameter.data.to(memory_format=layout)
        for _ in range(3):
            parameter.grad = gradient.clone()
            optimizer.step()
        found.append(parameter.detach())
    torch.testing.assert_close(*found, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "arguments"), KINDS[::2])
def test_steps_have_the_same_bits_whatever_the_number_of_threads(name, arguments):
    def digest(threads: int) -> str:
        torch.set_num_threads(threads)
        generator = torch.Generator().manual_seed(0)
        parameters = [Parameter(torch.randn(size, generator=generator)) for size in (7, 1001, 100_003)]
        optimizer = set_rate(build(name, arguments, parameters), 0.1)
        for _ in range(3):
            for parameter in parameters:
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()
        return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in parameters)).hexdigest()

    before = torch.get_num_threads()
    try:
        assert len({digest(threads) for threads in (1, 2, 3)}) == 1
    finally:
        torch.set_num_threads(before)
