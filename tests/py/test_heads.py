"""Heads in one process: rows kept by name, the sampled head's steps, states that come back to the bit."""

import sys

import pytest
import torch
import torch.nn.functional as F
from heads import DIM, SPEAKERS, VARIANTS, batch, label, make_head, make_loss

from sv_py.cli import InputError
from sv_py.losses import HEADS
from sv_py.losses.arguments import SampledArguments, ShardedArguments
from sv_py.train import OPTIMIZERS

every_kind = pytest.mark.parametrize(
    ("kind", "arguments"),
    [("full", {}), ("sampled", {"rate": 0.5}), ("sharded", {}), ("sharded", {"rate": 0.5})],
    ids=["full", "sampled", "sharded", "sharded-sampled"],
)
every_optimizer = pytest.mark.parametrize("optimizer", list(OPTIMIZERS.entries))


def follow(head, name="sgd", rate=0.05):
    """An optimiser of the trainer's for a head's rows."""
    optimizer = OPTIMIZERS.build(name, OPTIMIZERS.arguments(name)(), parameters=[head.rows])
    optimizer.param_groups[0]["lr"] = rate
    head.follow(optimizer)
    return optimizer


def train(head, optimizer, steps):
    """Take the given steps, each with a batch of its own."""
    for step in steps:
        embeddings, labels = batch(4, seed=step, speakers=len(head.speakers))
        head.begin_step(labels)
        loss, _ = head(embeddings, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def all_rows(head):
    return head.full_state()["rows"].clone()


def same(first, second):
    """Whether two states are the same bits."""
    tensors = [(first["rows"], second["rows"])]
    tensors += [(first[part][key], second[part][key]) for part in ("optimizer", "loss") for key in first[part]]
    return first["speakers"] == second["speakers"] and all(torch.equal(*pair) for pair in tensors)


@every_kind
def test_a_head_begins_with_rows_of_xavier_that_the_seed_decides(kind, arguments):
    rows = [all_rows(make_head(make_loss("am_softmax"), kind, seed=seed, dim=50, **arguments)) for seed in (3, 3, 4)]
    assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])
    bound = (6 / (len(SPEAKERS) + 50)) ** 0.5
    assert rows[0].abs().max() <= bound and rows[0].std() == pytest.approx(bound / 3**0.5, rel=0.1)
    torch.manual_seed(9)
    assert torch.equal(all_rows(make_head(make_loss("am_softmax"), kind, seed=3, dim=50, **arguments)), rows[0])


def test_many_speakers_are_drawn_in_blocks():
    names = [f"s{i}" for i in range(10_000)]
    rows = all_rows(make_head(make_loss("am_softmax"), speakers=names, dim=2))
    assert rows.shape == (10_000, 1, 2) and len(rows.unique(dim=0)) == 10_000


def test_the_bias_of_plain_softmax_begins_at_zero():
    rows = all_rows(make_head(make_loss("softmax")))
    assert rows.shape == (7, 1, DIM + 1) and not rows[..., -1].any() and rows[..., :-1].all()


@every_kind
@pytest.mark.parametrize("variant", VARIANTS, ids=label)
def test_known_speakers_keep_their_rows_to_the_bit_and_new_ones_are_drawn(kind, arguments, variant):
    name, of_loss = variant
    head = make_head(make_loss(name, **of_loss), kind, **arguments)
    train(head, follow(head), range(3))
    before = dict(zip(head.speakers, all_rows(head), strict=True))
    kept = ["speaker5", "new", "speaker0", "another"]
    head.select(kept)
    assert head.speakers == kept
    after = dict(zip(kept, all_rows(head), strict=True))
    assert all(torch.equal(after[name], before[name]) for name in ("speaker5", "speaker0"))
    assert after["new"].any() and not torch.equal(after["new"], after["another"])
    train(head, follow(head), range(3))
    again = make_head(make_loss(name, **of_loss), kind, **arguments)
    again.select(kept)
    assert torch.equal(all_rows(again)[3], after["another"]), "drawn by seed and names, not by what was before"


@every_kind
def test_the_same_speakers_leave_a_head_and_its_optimiser_alone(kind, arguments):
    head = make_head(make_loss("am_softmax"), kind, **arguments)
    train(head, follow(head), range(2))
    before = head.full_state()
    head.select(list(SPEAKERS))
    assert before["optimizer"] and same(before, head.full_state())


def test_the_order_of_speakers_may_change():
    head = make_head(make_loss("am_softmax"))
    embeddings, labels = batch()
    expected = head(embeddings, labels)[0]
    head.select(SPEAKERS[::-1])
    torch.testing.assert_close(head(embeddings, len(SPEAKERS) - 1 - labels)[0], expected)


@pytest.mark.parametrize("name", ["softmax", "aam_softmax"])
def test_a_new_speaker_may_begin_at_its_mean_embedding(name):
    head = make_head(make_loss(name))
    mean = 5 * torch.randn(DIM)
    head.select([*SPEAKERS, "new"], {"new": mean, "speaker0": mean, "nobody": mean})
    rows = all_rows(head)[:, 0, :DIM]
    torch.testing.assert_close(F.normalize(rows[7], dim=0), F.normalize(mean.double(), dim=0), atol=1e-6, rtol=0)
    assert rows[7].norm() == pytest.approx((2 * DIM / (8 + DIM)) ** 0.5), "as long as a drawn one"
    torch.testing.assert_close(F.normalize(rows[0], dim=0), F.normalize(mean.double(), dim=0), atol=1e-6, rtol=0)
    assert torch.equal(rows[1], all_rows(make_head(make_loss(name)))[1, 0, :DIM]), "known, and without a mean"


@pytest.mark.parametrize(
    ("speakers", "message"),
    [([], "two speakers or more"), (["a"], "two speakers or more"), (["a", "b", "a"], "a second time: a")],
)
def test_speakers_that_make_no_classifier_are_an_error(speakers, message):
    with pytest.raises(InputError, match=message):
        make_head(make_loss("am_softmax"), speakers=speakers)


@every_kind
@pytest.mark.parametrize("wrong", [-1, 7])
def test_a_label_of_no_speaker_is_an_error(kind, arguments, wrong):
    head = make_head(make_loss("am_softmax"), kind, **arguments)
    head.begin_step(torch.zeros(1, dtype=torch.int64))
    with pytest.raises(IndexError, match="no number of one of 7 speakers"):
        head(torch.ones(1, DIM), torch.tensor([wrong]))


@every_optimizer
def test_a_sampled_head_with_all_speakers_trains_as_a_full_one(optimizer):
    states = []
    for kind, arguments in (("full", {}), ("sampled", {"rate": 1.0})):
        head = make_head(make_loss("aam_softmax", sub_centres=2), kind, **arguments)
        train(head, follow(head, optimizer), range(6))
        states.append(head.full_state())
    torch.testing.assert_close(states[1]["rows"], states[0]["rows"])
    torch.testing.assert_close(states[1]["optimizer"], states[0]["optimizer"])


@every_optimizer
def test_only_the_speakers_of_a_step_change(optimizer):
    names = [f"s{i}" for i in range(100)]
    head = make_head(make_loss("aam_softmax"), "sampled", speakers=names, rate=0.1)
    optimizer = follow(head, optimizer)
    changed = torch.zeros(100, dtype=torch.bool)
    for step in range(5):
        before = all_rows(head)
        train(head, optimizer, [step])
        moved = (all_rows(head) != before).flatten(1).any(1)
        assert moved.sum() == 10 and moved[batch(4, seed=step, speakers=100)[1]].all()
        changed |= moved
    assert changed.sum() > 25, "others are drawn in every step"
    momentum = [value for value in head.full_state()["optimizer"].values() if value.ndim]
    assert momentum and all(torch.equal(value.flatten(1).any(1), changed) for value in momentum)


def test_a_step_of_a_sampled_head_is_that_of_a_full_head_of_its_speakers():
    head = make_head(make_loss("aam_softmax"), "sampled", rate=0.5)
    embeddings, labels = batch(3)
    head.begin_step(labels)
    loss, correct = head(embeddings, labels)
    chosen = [SPEAKERS[i] for i in head.drawn]
    small = make_head(make_loss("aam_softmax"))
    small.select(chosen)
    numbers = torch.tensor([chosen.index(SPEAKERS[i]) for i in labels])
    expected, recognised = small(embeddings, numbers)
    assert len(chosen) == 4 and torch.equal(loss, expected) and torch.equal(correct, recognised)


def test_more_speakers_in_a_batch_than_the_rate_has_room_for_all_take_part():
    head = make_head(make_loss("aam_softmax"), "sampled", rate=0.1)
    head.begin_step(torch.arange(7))
    assert len(head.drawn) == 7


@every_kind
@every_optimizer
def test_training_goes_on_from_a_state_with_the_same_bits(kind, arguments, optimizer, tmp_path):
    def fresh():
        head = make_head(make_loss("sphereface2"), kind, **arguments)
        return head, follow(head, optimizer)

    head, steps = fresh()
    train(head, steps, range(7))
    stopped, steps = fresh()
    train(stopped, steps, range(3))
    embeddings, labels = batch(4, seed=99)
    stopped.begin_step(labels)
    stopped(embeddings, labels)[0].backward()  # the process dies in a step
    torch.save(stopped.full_state(), tmp_path / "head.pt")
    resumed, steps = fresh()
    resumed.load_full_state(torch.load(tmp_path / "head.pt", weights_only=True))
    assert same(resumed.full_state(), stopped.full_state())
    train(resumed, steps, range(3, 7))
    assert same(resumed.full_state(), head.full_state()) and head.full_state()["optimizer"]


@every_kind
def test_the_batches_of_a_step_add_up_to_the_step_of_one_batch(kind, arguments):
    heads = [make_head(make_loss("sphereface2"), kind, **arguments) for _ in range(2)]
    optimizers = [follow(head) for head in heads]
    embeddings, labels = batch(8)
    for head in heads:
        head.begin_step(labels)
    heads[0](embeddings, labels)[0].backward()
    for part in (slice(0, 4), slice(4, 8)):
        (heads[1](embeddings[part], labels[part])[0] / 2).backward()
    gradients = [head.row_gradient().clone() for head in heads]
    torch.testing.assert_close(*gradients)
    torch.testing.assert_close(heads[0].loss.bias.grad, heads[1].loss.bias.grad)
    for optimizer in optimizers:
        optimizer.step()
    torch.testing.assert_close(*map(all_rows, heads))
    assert (all_rows(heads[0]) != all_rows(make_head(make_loss("sphereface2"), kind, **arguments))).any()


@every_kind
def test_what_is_done_to_the_gradient_of_the_rows_counts(kind, arguments):
    head = make_head(make_loss("am_softmax"), kind, **arguments)
    optimizer, before = follow(head), all_rows(head)
    embeddings, labels = batch(4)
    head.begin_step(labels)
    head(embeddings, labels)[0].backward()
    assert head.shared_gradients()[0] is head.row_gradient() and head.row_gradient().any()
    head.row_gradient().zero_()
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    optimizer.step()
    assert torch.equal(all_rows(head), before)


@every_kind
def test_an_evaluation_is_over_all_speakers_and_leaves_the_next_step_as_it_was(kind, arguments):
    head = make_head(make_loss("aam_softmax"), kind, **arguments)
    alone = make_head(make_loss("aam_softmax"), kind, **arguments)
    expected = make_head(make_loss("aam_softmax"))(*batch())
    head.eval()
    loss, correct = head(*batch())
    assert torch.equal(loss, expected[0]) and torch.equal(correct, expected[1])
    head.train()
    for one in (head, alone):
        train(one, follow(one), range(2))
    assert same(head.full_state(), alone.full_state())


def test_a_forward_of_a_sampled_head_outside_a_step_is_an_error():
    head = make_head(make_loss("am_softmax"), "sampled")
    assert head.needs_labels and not make_head(make_loss("am_softmax")).needs_labels
    with pytest.raises(RuntimeError, match="begin_step"):
        head(*batch())
    assert head.row_gradient() is None and head.shared_gradients() == []


def test_another_seed_or_step_draws_other_speakers():
    def drawn(seed, steps):
        head = make_head(make_loss("am_softmax"), "sampled", [f"s{i}" for i in range(1000)], seed, rate=0.1)
        train(head, follow(head), range(steps))
        head.begin_step(batch(4, seed=99)[1])
        return set(head.drawn.tolist())

    assert drawn(0, 1) == drawn(0, 1)
    assert len(drawn(0, 0) & drawn(0, 1)) < 50 > len(drawn(0, 0) & drawn(1, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s | {"speakers": SPEAKERS[::-1]}, "other speakers"),
        (lambda s: s | {"rows": s["rows"][:, :, 1:]}, "'rows' of shape .7, 1, 5., not .7, 1, 6."),
        (lambda s: s | {"optimizer": {"momentum_buffer": s["rows"][1:]}}, "'momentum_buffer' of shape .6, 1, 6."),
        (lambda s: s | {"loss": {}}, "(?s)does not fit its loss.*bias"),
        (lambda s: s | {"steps": 3}, "lacks or has too much: steps"),
        (lambda s: {"weight": s["rows"]}, "lacks or has too much: loss, optimizer, rows and 2 more"),
    ],
)
def test_a_state_of_another_head_is_refused(change, message):
    head = make_head(make_loss("sphereface2"))
    follow(head)
    before = head.full_state()
    with pytest.raises(InputError, match=message):
        head.load_full_state(change(dict(before)))
    assert same(head.full_state(), before)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1])
@pytest.mark.parametrize("kind", [SampledArguments, ShardedArguments])
def test_a_rate_that_is_none_is_an_error(kind, rate):
    with pytest.raises(InputError, match="rate must be above 0 and at most 1"):
        kind(rate=rate)


def test_every_head_of_the_table_is_tested_here():
    assert set(HEADS.entries) == {"full", "sampled", "sharded"}


def test_a_head_in_another_process_draws_the_same_speakers(root, run):
    code = (
        "from heads import *; head = make_head(make_loss('am_softmax'), 'sampled', [f's{i}' for i in range(1000)]); "
        "head.begin_step(batch()[1]); print(head.drawn.tolist(), head.all_rows[0].tolist())"
    )
    head = make_head(make_loss("am_softmax"), "sampled", [f"s{i}" for i in range(1000)])
    head.begin_step(batch()[1])
    done = run(sys.executable, "-c", code, cwd=root / "tests/py", PYTHONPATH=root)
    assert done.stdout == f"{head.drawn.tolist()} {head.all_rows[0].tolist()}\n"
