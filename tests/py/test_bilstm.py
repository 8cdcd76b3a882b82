"""The bidirectional LSTM against its equations and its published sizes."""

import pytest
import torch

from sv_py.cli import InputError
from sv_py.models.arguments import BiLSTMArguments
from sv_py.models.bilstm import BiLSTM

FEATURES, WIDTH = 5, 3


@pytest.fixture
def model():
    torch.manual_seed(0)
    return BiLSTM(BiLSTMArguments(width=WIDTH, hidden_dim=8, head_dim=7), FEATURES)


def states(lstm, frames, direction):
    """The states after each frame (T, H), from the equations of Hochreiter and Schmidhuber with a forget gate."""
    weights, recurrent, bias, other = (p for n, p in lstm.named_parameters() if n.endswith("reverse") == direction)
    state = cell = torch.zeros(WIDTH)
    order = range(len(frames) - 1, -1, -1) if direction else range(len(frames))
    found = {}
    for t in order:
        entry, forget, candidate, exit_ = (weights @ frames[t] + recurrent @ state + bias + other).split(WIDTH)
        cell = forget.sigmoid() * cell + entry.sigmoid() * candidate.tanh()
        state = exit_.sigmoid() * cell.tanh()
        found[t] = state
    return torch.stack([found[t] for t in range(len(frames))])


def test_the_embedding_is_the_state_after_the_last_frame_and_that_after_the_first(model):
    feats = torch.randn(1, 6, FEATURES)
    lower = torch.cat([states(model.lower, feats[0], direction) for direction in (False, True)], 1)
    forward, backward = (states(model.upper, lower, direction) for direction in (False, True))
    torch.testing.assert_close(model.eval()(feats)[0], torch.cat([forward[-1], backward[0]]))


def test_nothing_is_forgotten_at_first(model):
    """Keras's initial bias of the forget gate is 1; PyTorch adds two biases."""
    for lstm in (model.lower, model.upper):
        for suffix in ("", "_reverse"):
            bias = getattr(lstm, f"bias_ih_l0{suffix}") + getattr(lstm, f"bias_hh_l0{suffix}")
            assert bias.tolist() == [0.0] * WIDTH + [1.0] * WIDTH + [0.0] * 2 * WIDTH


def test_dropout_works_in_training_alone_and_follows_the_seed(model):
    feats = torch.randn(2, 20, FEATURES)

    def seen(seed):
        torch.manual_seed(seed)
        return model.project(model(feats))

    assert torch.equal(seen(1), seen(1))
    assert not torch.equal(seen(1), seen(2))
    model.eval()
    assert torch.equal(seen(1), seen(2))


def test_the_layers_before_the_classifier_are_linear(model):
    model.eval()
    one, other = torch.randn(2, 4, 2 * WIDTH)
    bias = model.project(torch.zeros(4, 2 * WIDTH))
    torch.testing.assert_close(model.project(one + other) + bias, model.project(one) + model.project(other))


@pytest.mark.parametrize(("width", "parameters"), [(256, 6_486_528), (512, 13_572_608), (1024, 40_327_680)])
def test_with_a_classifier_of_voxceleb2_every_width_has_its_published_size(width, parameters):
    with torch.device("meta"):
        model = BiLSTM(BiLSTMArguments(width=width), 128)
    assert model.embedding_dim == 2 * width
    assert sum(p.numel() for p in model.parameters()) + 5994 * model.head_dim == parameters


@pytest.mark.parametrize("name", ["width", "hidden_dim", "head_dim"])
def test_arguments_that_make_no_network_are_an_error(name):
    with pytest.raises(InputError, match=f"{name} must be positive"):
        BiLSTMArguments(**{name: 0})
