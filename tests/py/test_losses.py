"""Each loss against its formula, in its limits, and with gradients that agree with finite differences."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from heads import DIM, VARIANTS, batch, label, make_head, make_loss

from sv_py.cli import InputError
from sv_py.losses import LOSSES
from sv_py.losses.arguments import AAMArguments, AMArguments, MarginArguments, SphereFace2Arguments
from sv_py.losses.margin import add_margin, take_off

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=label)


def cosines(head, embeddings):
    """Those to the nearest of each speaker's rows, by another way."""
    return F.cosine_similarity(embeddings[:, None, None], head.rows.detach()[None], dim=-1).amax(2)


def value(name, seed=0, **arguments):
    """The loss of a batch."""
    return make_head(make_loss(name, **arguments), seed=seed)(*batch())[0]


def test_every_loss_of_the_table_is_tested_here():
    assert {name for name, _ in VARIANTS} == set(LOSSES.entries)


@every_variant
def test_the_gradient_agrees_with_finite_differences(variant):
    name, arguments = variant
    head, (embeddings, labels) = make_head(make_loss(name, **arguments)), batch()
    parameters = {key: value.detach().clone().requires_grad_() for key, value in head.named_parameters()}

    def loss(embeddings, *values):
        return torch.func.functional_call(head, dict(zip(parameters, values, strict=True)), (embeddings, labels))[0]

    assert torch.autograd.gradcheck(loss, (embeddings.requires_grad_(), *parameters.values()))


@every_variant
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("place", ["on", "opposite", "between", "nowhere"])
def test_wherever_an_embedding_lies_loss_and_gradients_are_finite(variant, dtype, place):
    name, arguments = variant
    head = make_head(make_loss(name, scale=None, **arguments)).to(dtype)
    row = head.rows.detach()[:3, 0, :DIM]
    where = {"on": row, "opposite": -row, "between": row - row.flip(0), "nowhere": torch.zeros_like(row)}
    embeddings = where[place].clone().requires_grad_()
    loss, _ = head(embeddings, torch.arange(3))
    loss.backward()
    gradients = [embeddings.grad, *(parameter.grad for parameter in head.parameters())]
    assert loss.isfinite() and all(gradient.isfinite().all() for gradient in gradients)
    assert embeddings.grad.abs().max() < 1e7, "a gradient of 1e12 is the end of the network, too"


@every_variant
def test_no_second_copy_of_all_rows_is_kept_for_the_gradient(variant):
    name, arguments = variant
    head = make_head(make_loss(name, **arguments), speakers=[f"s{i}" for i in range(100)])
    embeddings, labels = batch(1)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        head(embeddings.requires_grad_(), labels)
    large = [x for x in kept if x.numel() >= 100 * DIM]
    assert large and all(x.untyped_storage().data_ptr() == head.rows.untyped_storage().data_ptr() for x in large)


@every_variant
def test_half_precision_embeddings_are_computed_with_in_single_precision(variant):
    name, arguments = variant
    head, (embeddings, labels) = make_head(make_loss(name, **arguments)).float(), batch()
    half = embeddings.to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = head(half, labels)
    loss.backward()
    assert loss.dtype == torch.float32 and half.grad.isfinite().all()
    assert torch.equal(loss, head(half.float(), labels)[0])


def test_plain_softmax_is_the_cross_entropy_of_a_linear_layer():
    head, (embeddings, labels) = make_head(make_loss("softmax")), batch()
    with torch.no_grad():
        head.rows[:, 0, -1] = torch.arange(7.0)
    weight, bias = head.rows[:, 0, :-1], head.rows[:, 0, -1]
    torch.testing.assert_close(head(embeddings, labels)[0], F.cross_entropy(embeddings @ weight.T + bias, labels))


def test_without_margin_the_loss_is_the_cross_entropy_of_scaled_cosines():
    head, (embeddings, labels) = make_head(make_loss("aam_softmax", margin=0.0)), batch()
    torch.testing.assert_close(head(embeddings, labels)[0], F.cross_entropy(8 * cosines(head, embeddings), labels))


@pytest.mark.parametrize(
    ("name", "arguments", "moved"),
    [
        ("aam_softmax", {"margin": 0.3}, lambda angle: torch.cos(angle + 0.3)),
        ("am_softmax", {"margin": 0.3}, lambda angle: torch.cos(angle) - 0.3),
        ("margin_softmax", {"m1": 1.2}, lambda angle: torch.cos(1.2 * angle)),
        ("margin_softmax", {"m1": 1.2, "m2": 0.1, "m3": 0.2}, lambda angle: torch.cos(1.2 * angle + 0.1) - 0.2),
    ],
)
def test_the_margin_moves_the_speaker_itself_and_no_other(name, arguments, moved):
    head, (embeddings, labels) = make_head(make_loss(name, **arguments)), batch()
    logits = cosines(head, embeddings)
    rows = torch.arange(len(labels))
    angle = torch.arccos(logits[rows, labels])
    assert (1.2 * angle + 0.3 < math.pi).all()
    logits[rows, labels] = moved(angle)
    torch.testing.assert_close(head(embeddings, labels)[0], F.cross_entropy(8 * logits, labels))


def test_the_combined_margin_has_the_others_as_special_cases():
    scaled = value("aam_softmax", margin=0.0)
    assert torch.equal(value("margin_softmax", m1=1.0, m2=0.0, m3=0.0), scaled)
    assert torch.equal(value("margin_softmax", m2=0.3), value("aam_softmax", margin=0.3))
    assert torch.equal(value("margin_softmax", m3=0.3), value("am_softmax", margin=0.3))
    torch.testing.assert_close(value("margin_softmax", m1=1 + 1e-9), scaled)
    assert value("margin_softmax", m1=2.0) > scaled


@pytest.mark.parametrize("margins", [(1, 0, 0), (1, 0.2, 0), (1, 0.5, 0.1), (2, 0.3, 0), (4, 0, 0), (1.35, 0.2, 0.3)])
def test_a_margin_follows_the_cosine_until_pi_and_then_falls_on_along_a_line(margins):
    m1, m2, m3 = margins
    angles = torch.linspace(0.01, math.pi - 0.01, 1000, dtype=torch.float64)
    got = add_margin(torch.cos(angles), *margins)
    within = m1 * angles + m2 < math.pi
    torch.testing.assert_close(got[within], torch.cos(m1 * angles + m2)[within] - m3)
    beyond = torch.cos(angles) - math.cos((math.pi - m2) / m1) - 1 - m3
    torch.testing.assert_close(got[~within], beyond[~within])
    steps = got.diff()
    assert (steps < 0).all() and steps.abs().max() < 0.02, "it falls everywhere, without a jump"


def test_a_penalty_brings_others_nearer_by_an_angle():
    angles = torch.linspace(0.01, math.pi, 500, dtype=torch.float64)
    got = take_off(torch.cos(angles), 0.3)
    torch.testing.assert_close(got[angles > 0.3], torch.cos(angles - 0.3)[angles > 0.3], atol=2e-4, rtol=0)
    assert (got.diff() < 0).all() and (got >= torch.cos(angles)).all()


def test_of_several_centres_the_nearest_counts():
    head, (embeddings, labels) = make_head(make_loss("aam_softmax", margin=0.0, sub_centres=3)), batch()
    assert head.rows.shape == (7, 3, DIM)
    torch.testing.assert_close(head(embeddings, labels)[0], F.cross_entropy(8 * cosines(head, embeddings), labels))


@pytest.mark.parametrize("others", [1, 3, 6, 50])
def test_the_penalty_falls_on_the_nearest_others_only(others):
    arguments = {"margin": 0.2, "inter_topk": others, "inter_topk_margin": 0.3}
    head, (embeddings, labels) = make_head(make_loss("am_softmax", **arguments)), batch()
    logits = cosines(head, embeddings)
    for row, speaker in zip(logits, labels, strict=True):
        order = [i for i in row.argsort(descending=True).tolist() if i != speaker]
        for i in order[:others]:
            row[i] = torch.cos(torch.arccos(row[i]) - 0.3)
        row[speaker] -= 0.2
    torch.testing.assert_close(head(embeddings, labels)[0], F.cross_entropy(8 * logits, labels))


def test_one_centre_and_no_penalised_speakers_change_nothing():
    plain = value("aam_softmax")
    assert torch.equal(value("aam_softmax", sub_centres=1, inter_topk=0), plain)
    assert torch.equal(value("aam_softmax", inter_topk=3, inter_topk_margin=0.0), plain)


@pytest.mark.parametrize("margin_type", ["C", "A"])
def test_sphereface2_asks_about_each_speaker_by_itself(margin_type):
    loss = make_loss("sphereface2", margin=0.1, margin_type=margin_type, balance=0.6, t=2.0)
    head, (embeddings, labels) = make_head(loss), batch()
    with torch.no_grad():
        loss.bias.fill_(0.5)

    def spread(cosine):
        return 2 * ((cosine + 1) / 2) ** 2 - 1

    expected = []
    for row, speaker in zip(cosines(head, embeddings), labels, strict=True):
        sides = [0.1 if i == speaker else -0.1 for i in range(len(row))]
        if margin_type == "C":
            logits = [8 * (spread(c) - side) + 0.5 for c, side in zip(row, sides, strict=True)]
        else:
            logits = [8 * spread(torch.cos(torch.arccos(c) + side)) + 0.5 for c, side in zip(row, sides, strict=True)]
        terms = [
            0.6 * torch.log1p(torch.exp(-z)) if side > 0 else 0.4 * torch.log1p(torch.exp(z))
            for z, side in zip(logits, sides, strict=True)
        ]
        expected.append(sum(terms))
    torch.testing.assert_close(head(embeddings, labels)[0], torch.stack(expected).mean(), atol=1e-3, rtol=1e-5)


@every_variant
def test_a_speaker_is_recognised_if_it_is_the_nearest(variant):
    name, arguments = variant
    head, (embeddings, labels) = make_head(make_loss(name, **arguments)), batch(100)
    similar = head.loss.similarities(embeddings, head.rows)
    assert torch.equal(head(embeddings, labels)[1], similar.argmax(1) == labels)
    assert torch.equal(head(0 * embeddings, labels)[1], labels == 0), "not all, where all are equally near"


@every_variant
def test_a_schedule_brings_every_margin_from_none_to_full(variant):
    name, arguments = variant
    head, losses = make_head(make_loss(name, **arguments)), []
    for share in (0.0, 0.5, 1.0):
        head.loss.set_margins(share)
        losses.append(head(*batch())[0].item())
    assert losses == sorted(losses) and (losses[0] < losses[2]) == (name != "softmax")
    assert losses[2] == make_head(make_loss(name, **arguments))(*batch())[0].item()
    head.loss.set_margins(0.0)
    none = {key: 1.0 if key == "m1" else 0.0 for key in ("margin", "m1", "m2", "m3", "inter_topk_margin")}
    without = {**arguments, **{key: v for key, v in none.items() if hasattr(head.loss.arguments, key)}}
    assert head(*batch())[0].item() == make_head(make_loss(name, **without))(*batch())[0].item()


@pytest.mark.parametrize("name", ["aam_softmax", "am_softmax", "sphereface2"])
def test_a_phase_may_replace_the_one_margin(name):
    head = make_head(make_loss(name))
    head.loss.set_margins(0.5, margin=0.5)
    assert head.loss.margin == 0.25
    assert head(*batch())[0] == value(name, margin=0.25)


def test_of_several_margins_none_can_be_replaced():
    with pytest.raises(TypeError):
        make_loss("margin_softmax").set_margins(1.0, margin=0.1)
    assert make_loss("softmax").margin is None


def test_several_margins_are_told_as_a_list():
    loss = make_loss("margin_softmax", m1=1.5, m2=0.1, m3=0.2)
    loss.set_margins(0.5)
    assert loss.margin == [1.25, 0.05, 0.1]


def test_a_phase_may_go_without_the_penalty_of_the_nearest_others():
    head = make_head(make_loss("aam_softmax", inter_topk=3))
    head.loss.set_margins(1.0, margin=0.5, inter_topk_margin=0.0)
    assert head(*batch())[0] == value("aam_softmax", margin=0.5) != value("aam_softmax", margin=0.5, inter_topk=3)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (AAMArguments, {"margin": -0.1}),
        (AAMArguments, {"margin": 2.0}),
        (AAMArguments, {"margin": math.nan}),
        (AAMArguments, {"scale": 0.0}),
        (AAMArguments, {"sub_centres": 0}),
        (AMArguments, {"margin": 1.0}),
        (AMArguments, {"inter_topk": -1}),
        (AMArguments, {"inter_topk_margin": 1.6}),
        (MarginArguments, {"m1": 0.9}),
        (MarginArguments, {"m2": -0.1}),
        (MarginArguments, {"m3": 1.0}),
        (SphereFace2Arguments, {"margin": 1.2}),
        (SphereFace2Arguments, {"margin_type": "B"}),
        (SphereFace2Arguments, {"t": 0.5}),
        (SphereFace2Arguments, {"balance": 1.0}),
        (SphereFace2Arguments, {"scale": math.inf}),
    ],
)
def test_an_argument_out_of_range_is_an_error_that_names_it(kind, wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"^{name} "):
        kind(**wrong)
    assert dataclasses.is_dataclass(kind())


def test_a_mistyped_loss_names_the_near_miss():
    with pytest.raises(InputError, match="did you mean 'aam_softmax'"):
        LOSSES.arguments("aam_sofmax")
