"""Thin ResNet-34: its maps, its initial weights, what it refuses."""

import pytest
import torch
from torch import nn

from sv_py.cli import InputError
from sv_py.models.arguments import StatisticsArguments, ThinResNetArguments
from sv_py.models.thin_resnet import ThinResNet
from sv_py.registry import Part

SMALL = {"stem_channels": 4, "widths": (4, 6), "channels": (8, 12), "blocks": (2, 1), "embedding_dim": 12}


@pytest.fixture(scope="module")
def published():
    with torch.device("meta"):
        return ThinResNet(ThinResNetArguments(), 257)


def test_the_trunk_has_its_published_layers_and_size(published):
    assert sum(p.numel() for p in published.trunk.parameters()) == 3_690_240
    shortcuts = [m for name, m in published.trunk.named_modules() if "shortcut" in name and isinstance(m, nn.Conv2d)]
    convolutions = [m for m in published.trunk.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) - len(shortcuts) == 34 and len(shortcuts) == 4


@pytest.mark.parametrize("frames", [2, 3, 16, 17, 31, 32, 33, 250])
def test_257_bins_become_seven_rows_and_sixteen_frames_one(published, frames):
    maps = published.trunk(torch.empty(2, 1, 257, frames, device="meta"))
    assert maps.shape == (2, 512, 7, -(-(frames // 2) // 8))


def test_one_frame_is_less_than_it_takes(published):
    assert published.min_frames == 2
    with pytest.raises(RuntimeError):
        published(torch.empty(2, 1, 257, device="meta"))


def test_a_block_halves_the_map_in_its_first_convolution(published):
    strides = [m.stride for m in published.trunk[6].modules() if isinstance(m, nn.Conv2d)]
    assert strides == [(2, 2), (1, 1), (1, 1), (2, 2)]  # the last is the shortcut's


def test_initial_weights_are_orthogonal():
    model = ThinResNet(ThinResNetArguments(**SMALL), 20)
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weights) == 15
    for weight in weights:
        rows = weight.flatten(1)
        gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
        torch.testing.assert_close(gram, torch.eye(len(gram)))


def test_convolutions_lie_in_memory_with_the_channels_last(published):
    weights = [m.weight for m in published.trunk.modules() if isinstance(m, nn.Conv2d)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


@pytest.mark.parametrize("pooling", ["tap", "tsp", "gsp"])
def test_other_poolings_take_the_place_of_ghostvlad(pooling):
    model = ThinResNet(ThinResNetArguments(**SMALL, pooling=Part(pooling, StatisticsArguments())), 20)
    assert model(torch.randn(3, 30, 20)).shape == (3, 12)


@pytest.mark.parametrize("bins", [1, 9])
def test_too_few_bins_for_its_stages_are_an_error(bins):
    with pytest.raises(InputError, match=f"{bins} bins are too few for a thin_resnet of 2 stages"):
        ThinResNet(ThinResNetArguments(**SMALL), bins)
    ThinResNet(ThinResNetArguments(**SMALL), 10)(torch.randn(2, 8, 10))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"stem_channels": 0}, "stem_channels must be positive"),
        ({"embedding_dim": 0}, "embedding_dim must be positive"),
        ({"blocks": (3, 3)}, "one value for each stage"),
        ({"widths": (), "channels": (), "blocks": ()}, "one value for each stage"),
        ({"widths": (48, 96, 0, 256)}, "widths must be positive"),
    ],
)
def test_arguments_that_make_no_network_are_an_error(wrong, message):
    with pytest.raises(InputError, match=message):
        ThinResNetArguments(**wrong)
