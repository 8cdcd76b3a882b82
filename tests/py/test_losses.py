import math

import pytest
import torch
import torch.nn.functional as F

from sv_py.cli import InputError
from sv_py.losses import LOSSES
from sv_py.losses.arguments import AAMArguments
from sv_py.losses.margin import add_margin


def head(margin=0.2, scale=32.0, dim=6, classes=5, seed=0):
    torch.manual_seed(seed)
    return LOSSES.build("aam_softmax", AAMArguments(margin, scale), embedding_dim=dim, num_classes=classes).double()


def batch(dim=6, classes=5, size=7):
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(size, dim, generator=generator, dtype=torch.float64)
    return embeddings, torch.arange(size) % classes


def cosines(loss, embeddings):
    return F.cosine_similarity(embeddings[:, None], loss.weight[None], dim=-1)


def test_without_margin_the_loss_is_the_cross_entropy_of_scaled_cosines():
    loss = head(margin=0.0, scale=10.0)
    embeddings, labels = batch()
    value, logits = loss(embeddings, labels)
    expected = 10 * cosines(loss, embeddings)
    torch.testing.assert_close(logits, expected.detach())
    torch.testing.assert_close(value, F.cross_entropy(expected, labels))


def test_the_loss_adds_the_margin_to_the_angle_of_the_target_only():
    loss = head(margin=0.3, scale=8.0)
    embeddings, labels = batch()
    logits = cosines(loss, embeddings).detach()
    assert (logits > -math.cos(0.3)).all()
    rows = torch.arange(len(labels))
    logits[rows, labels] = torch.cos(torch.arccos(logits[rows, labels]) + 0.3)
    torch.testing.assert_close(loss(embeddings, labels)[0], F.cross_entropy(8 * logits, labels))


def test_the_returned_logits_carry_neither_margin_nor_gradient():
    loss = head(margin=0.5)
    embeddings, labels = batch()
    logits = loss(embeddings.requires_grad_(), labels)[1]
    torch.testing.assert_close(logits, 32 * cosines(loss, embeddings).detach())
    assert not logits.requires_grad


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
def test_the_margin_is_cos_of_angle_plus_margin_until_pi_and_a_lower_line_beyond(margin):
    angles = torch.linspace(0.01, math.pi - 0.01, 500, dtype=torch.float64)
    got = add_margin(torch.cos(angles), margin)
    within = angles + margin < math.pi
    torch.testing.assert_close(got[within], torch.cos(angles + margin)[within])
    torch.testing.assert_close(got[~within], torch.cos(angles[~within]) - margin * math.sin(math.pi - margin))
    assert (got.diff() < 0).all()


def test_the_gradient_agrees_with_finite_differences():
    loss = head()
    embeddings, labels = batch()
    assert torch.autograd.gradcheck(
        lambda e, w: torch.func.functional_call(loss, {"weight": w}, (e, labels))[0],
        (embeddings.requires_grad_(), loss.weight.detach().requires_grad_()),
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_embedding_on_or_opposite_its_speaker_has_a_finite_gradient(sign, dtype):
    loss = head().to(dtype)
    embeddings = (sign * loss.weight.detach()[:3]).requires_grad_()
    value, _ = loss(embeddings, torch.arange(3))
    value.backward()
    assert value.isfinite()
    assert embeddings.grad.isfinite().all()
    assert loss.weight.grad.isfinite().all()


def test_an_embedding_of_zeros_has_a_finite_loss_and_gradient():
    loss = head()
    embeddings = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    value, _ = loss(embeddings, torch.tensor([0, 1]))
    value.backward()
    assert value.isfinite()
    assert embeddings.grad.isfinite().all()


def test_the_margin_can_be_raised_during_training():
    loss = head(margin=0.0)
    losses = []
    for margin in (0.0, 0.2, 0.4):
        loss.margin = margin
        losses.append(loss(*batch())[0].item())
    assert losses == sorted(losses)
    assert losses[1] == head(margin=0.2)(*batch())[0].item()


def test_a_label_beyond_the_classes_is_an_error():
    embeddings, labels = batch()
    with pytest.raises((RuntimeError, IndexError)):
        head(classes=3)(embeddings, labels)


@pytest.mark.parametrize("classes", [0, 1])
def test_fewer_than_two_speakers_are_an_error(classes):
    with pytest.raises(InputError, match="two speakers or more"):
        head(classes=classes)


@pytest.mark.parametrize("wrong", [{"margin": -0.1}, {"margin": 2.0}, {"margin": math.nan}, {"scale": 0.0}])
def test_a_margin_or_scale_out_of_range_is_an_error(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} must be"):
        AAMArguments(**wrong)


def test_a_mistyped_loss_names_the_near_miss():
    with pytest.raises(InputError, match="did you mean 'aam_softmax'"):
        LOSSES.arguments("aam_sofmax")
