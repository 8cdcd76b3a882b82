"""A step of micro-batches: the gradient of their mean, running statistics that move once, one buffer for all."""

import copy

import pytest
import torch
from backbones import SMALL

from sv_py.losses import HEADS, LOSSES
from sv_py.losses.arguments import FullArguments
from sv_py.models import BACKBONES
from sv_py.schema import Compute, Phase
from sv_py.train.batch_norms import BatchNorms
from sv_py.train.distributed import Processes
from sv_py.train.gradients import SharedGradients
from sv_py.train.precision import Precision
from sv_py.train.step import Step

CPU = torch.device("cpu")
ONE = Processes(CPU)
SPEAKERS = [f"spk{i}" for i in range(5)]


def network(name: str = "resnet") -> torch.nn.Module:
    torch.manual_seed(0)
    arguments = next(arguments for kind, arguments in SMALL if kind == name)
    return BACKBONES.build(name, arguments, feature_dim=16).train()


def batches(count: int, size: int = 4) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(count, size, 40, 16, generator=generator)
    labels = torch.randint(len(SPEAKERS), (count, size), generator=generator)
    return dict(enumerate(zip(frames, labels, strict=True)))


@pytest.fixture
def make_step(tmp_path):
    def make(net: torch.nn.Module, micro_batches: int, clip: float = 0.0, rate: float = 0.0) -> Step:
        loss = LOSSES.build("aam_softmax", LOSSES.arguments("aam_softmax")())
        head = HEADS.build("full", FullArguments(), loss=loss, embedding_dim=net.head_dim, speakers=SPEAKERS)
        optimizers = {"network": torch.optim.SGD(net.parameters(), rate), "rows": torch.optim.SGD([head.rows], rate)}
        head.follow(optimizers["rows"])
        phase = Phase("p", 1, batch_size=4 * micro_batches, micro_batch=4)
        return Step(net, head.train(), optimizers, phase, clip, Precision(Compute(), CPU), ONE, tmp_path)

    return make


def test_the_gradient_is_that_of_the_mean_over_the_micro_batches(make_step):
    net = network()
    theirs, found = copy.deepcopy(net), batches(3)
    step = make_step(net, 3)
    outcome = step(found, dict.fromkeys(found, 0), [1.0, 0.0])
    squared = sum(p.grad.double().square().sum() for p in (*net.parameters(), step.head.rows))
    assert outcome.gradient == pytest.approx(squared.sqrt().item(), rel=1e-5)
    total = sum(step.head(theirs.project(theirs(frames)), labels)[0] for frames, labels in found.values()) / 3
    total.backward()
    assert outcome.loss == pytest.approx(total.item(), rel=1e-6) and outcome.signals == [1.0, 0.0]
    for (name, ours), expected in zip(net.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, expected.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_running_statistics_move_once_by_the_mean_over_the_micro_batches(make_step):
    net = network()
    alone = []
    for frames, _ in batches(2).values():
        alone.append(copy.deepcopy(net))
        alone[-1](frames)
    make_step(net, 2)(batches(2), {0: 0, 1: 0}, [])
    for name, ours in net.named_buffers():
        first, second = (dict(other.named_buffers())[name] for other in alone)
        torch.testing.assert_close(ours, (first + second) / 2 if ours.is_floating_point() else first, msg=name)


def test_of_one_micro_batch_running_statistics_are_those_of_pytorch(make_step):
    net = network()
    theirs, found = copy.deepcopy(net), batches(1)
    step = make_step(net, 1)
    for _ in range(3):
        step(found, {0: 0}, [])
        theirs(found[0][0])
    for name, buffer in net.named_buffers():
        torch.testing.assert_close(buffer, dict(theirs.named_buffers())[name], msg=name)


def test_frozen_batch_norms_stay_and_released_ones_have_their_own_momentum_again():
    net = network()
    norms = [layer for layer in net.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    norms[0].eval()
    ours = BatchNorms(net, 1, ONE)
    ours.begin()
    net(batches(1)[0][0])
    ours.keep(0)
    ours.end()
    assert norms[0].running_mean.abs().sum() == 0 and norms[1].running_mean.abs().sum() > 0
    assert norms[1].momentum == 1.0
    ours.release()
    assert {layer.momentum for layer in norms} == {0.1}


def test_a_network_without_batch_norms_needs_none():
    norms = BatchNorms(torch.nn.Linear(2, 2), 3, ONE)
    norms.begin()
    norms.keep(2)
    norms.end()
    norms.release()


def test_gradients_lie_in_memory_as_their_parameters_do_and_stay_where_they_are():
    net = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3), torch.nn.Flatten(), torch.nn.Linear(32, 2))
    net.to(memory_format=torch.channels_last)
    gradients = SharedGradients(net.parameters(), ONE)
    places = [p.grad.data_ptr() for p in net.parameters()]
    net(torch.randn(2, 4, 4, 4)).sum().backward()
    gradients.finish()
    assert not net[0].weight.is_contiguous()
    assert all(p.grad.stride() == p.stride() for p in net.parameters())
    assert [p.grad.data_ptr() for p in net.parameters()] == places
    assert gradients.flat.numel() == sum(p.numel() for p in net.parameters())
    gradients.zero()
    assert not any(p.grad.any() for p in net.parameters())


def test_what_does_not_learn_or_learns_no_more_has_no_gradient():
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    net[0].requires_grad_(False)
    gradients = SharedGradients(net.parameters(), ONE)
    net(torch.ones(1, 3)).sum().backward()
    gradients.finish()
    assert net[0].weight.grad is None and net[1].weight.grad is not None and gradients.flat.numel() == 3
    gradients.release()
    assert net[1].weight.grad is None


def test_a_gradient_that_is_too_long_is_shortened_with_that_of_the_rows(make_step):
    net = network()
    step = make_step(net, 2, clip=0.01)
    outcome = step(batches(2), {0: 0, 1: 0}, [])
    length = torch.cat([step.gradients.flat, step.head.rows.grad.flatten()]).norm().item()
    assert outcome.gradient > 0.01 and length == pytest.approx(0.01, rel=1e-4)
