"""NetVLAD and GhostVLAD against their definition."""

import pytest
import torch

from sv_py.cli import InputError
from sv_py.models import POOLINGS
from sv_py.models.arguments import GhostVLADArguments, NetVLADArguments

CHANNELS, ROWS, FRAMES = 5, 3, 4
GHOSTS = {"netvlad": 0, "ghostvlad": 2}
every_vlad = pytest.mark.parametrize("name", GHOSTS)


def build(name, clusters=3, values=6):
    torch.manual_seed(0)
    ghosts = {"ghosts": GHOSTS[name]} if GHOSTS[name] else {}
    arguments = POOLINGS.arguments(name)(clusters=clusters, values=values, **ghosts)
    pooling = POOLINGS.build(name, arguments, channels=CHANNELS, rows=ROWS)
    with torch.no_grad():
        for bias in (pooling.values.bias, pooling.assignment.bias):
            bias.uniform_(-1, 1)
    return pooling


def maps(frames=FRAMES):
    return torch.randn(2, CHANNELS, ROWS, frames, generator=torch.Generator().manual_seed(1))


@every_vlad
def test_residuals_equal_loops_over_clusters_and_frames(name):
    pooling, x = build(name), maps()
    got = pooling(x).reshape(2, 3, 6)
    for b in range(2):
        sums = torch.zeros(3, 6)
        for t in range(FRAMES):
            column = x[b, :, :, t]
            value = [(w[:, :, 0] * column).sum() + c for w, c in zip(*pooling.values.parameters(), strict=True)]
            value = torch.stack(value).clamp(min=0)
            score = [(w[:, :, 0] * column).sum() + c for w, c in zip(*pooling.assignment.parameters(), strict=True)]
            shares = torch.stack(score).exp()
            for k in range(3):
                sums[k] += shares[k] / shares.sum() * (value - pooling.centres[k])
        for k in range(3):
            torch.testing.assert_close(got[b, k], sums[k] / sums[k].norm(), rtol=1e-5, atol=1e-5)


def test_a_frame_whose_weight_goes_to_a_ghost_counts_for_nothing():
    pooling, x = build("ghostvlad"), maps()
    with torch.no_grad():
        pooling.assignment.weight[-1] = 1
        x[..., -1] = 100
    torch.testing.assert_close(pooling(x), pooling(x[..., :-1]))


def test_where_a_ghost_lies_changes_nothing():
    pooling, x = build("ghostvlad"), maps()
    before = pooling(x)
    with torch.no_grad():
        pooling.centres[-2:] += 100
    assert torch.equal(pooling(x), before)


@every_vlad
def test_every_cluster_has_length_one_for_any_number_of_frames(name):
    pooling = build(name)
    for frames in (1, 2, 50):
        pooled = pooling(maps(frames))
        assert pooled.shape == (2, pooling.output_dim) == (2, 18)
        torch.testing.assert_close(pooled.reshape(2, 3, 6).norm(dim=2), torch.ones(2, 3))


@every_vlad
def test_frames_that_lie_on_the_centres_give_finite_gradients(name):
    pooling = build(name)
    with torch.no_grad():
        for parameter in pooling.parameters():
            parameter.zero_()
    x = torch.zeros(2, CHANNELS, ROWS, FRAMES, requires_grad=True)
    pooled = pooling(x)
    pooled.sum().backward()
    assert not pooled.any()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in pooling.parameters())


@every_vlad
def test_initial_weights_are_orthogonal(name):
    pooling = build(name)
    for weight in (pooling.values.weight, pooling.assignment.weight, pooling.centres):
        rows = weight.flatten(1)
        torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)))


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (NetVLADArguments, {"clusters": 0}),
        (NetVLADArguments, {"values": -1}),
        (GhostVLADArguments, {"clusters": 0}),
        (GhostVLADArguments, {"ghosts": 0}),
    ],
)
def test_arguments_that_make_no_pooling_are_an_error(kind, wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))} must be positive"):
        kind(**wrong)
