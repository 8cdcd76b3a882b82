"""The moving average of a network's weights."""

import pytest
import torch
from torch import nn

from sv_py.train.averaging import MovingAverage


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).to(memory_format=torch.channels_last)


def set_to(module: nn.Module, value: float) -> None:
    for tensor in module.state_dict().values():
        tensor.fill_(value)


def values(module: nn.Module) -> list[float]:
    return sorted(
        {float(x) for tensor in module.state_dict().values() if tensor.is_floating_point() for x in tensor.flatten()}
    )


def test_the_first_updates_keep_less_than_the_decay():
    module, expected = network(), 1.0
    set_to(module, 1.0)
    average = MovingAverage(module, 0.25)
    for n, value in enumerate((2.0, 4.0, 8.0, 16.0), 1):
        set_to(module, value)
        average.update(module)
        kept = min(0.25, (1 + n) / (10 + n))
        expected = kept * expected + (1 - kept) * value
        assert values(average.network) == pytest.approx([expected])
    assert (kept, 2 / 11) == (0.25, pytest.approx(0.1818, abs=1e-4))


def test_integers_are_those_of_the_last_update():
    module = network()
    average = MovingAverage(module, 0.9)
    module[1].num_batches_tracked.fill_(7)
    average.update(module)
    assert average.network[1].num_batches_tracked == 7


def test_the_average_is_a_copy_that_never_trains():
    module = network()
    average = MovingAverage(module.train(), 0.9)
    assert not average.network.training and not any(p.requires_grad for p in average.network.parameters())
    assert average.network[0].weight.stride() == module[0].weight.stride()
    before = [p.clone() for p in module.parameters()]
    set_to(average.network, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert module.training and all(p.requires_grad for p in module.parameters())


def test_weights_that_do_not_change_keep_their_bits():
    module = network()
    average = MovingAverage(module, 0.7)
    for _ in range(20):
        average.update(module)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), average.network.parameters(), strict=True))


def test_taken_up_again_it_goes_on_with_the_same_bits():
    def go_on(average: MovingAverage, module: nn.Module, steps: range) -> None:
        for step in steps:
            set_to(module, 0.1 * step)
            average.update(module)

    module = network()
    undisturbed = MovingAverage(module, 0.9)
    go_on(undisturbed, module, range(9))
    first, second = MovingAverage(network(), 0.9), MovingAverage(network(), 0.9)
    go_on(first, network(), range(4))
    second.load_state_dict(first.state_dict())
    go_on(second, network(), range(4, 9))
    assert second.updates == 9
    assert values(second.network) == values(undisturbed.network)
