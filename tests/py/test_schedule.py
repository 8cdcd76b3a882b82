"""Learning rate and margin by samples seen."""

import pytest

from sv_py.cli import InputError
from sv_py.schema import Phase, Rate
from sv_py.train.schedule import learning_rate, margin_share


def test_the_warm_up_is_linear_from_zero():
    rate = Rate(peak=0.1, final=0.1, warmup=2, decay="constant")
    assert [learning_rate(rate, epoch, 10) for epoch in (0, 0.5, 1, 2, 3)] == pytest.approx([0, 0.025, 0.05, 0.1, 0.1])


@pytest.mark.parametrize("decay", ["exponential", "cosine"])
def test_a_decay_ends_at_the_final_rate(decay):
    rate = Rate(peak=0.1, final=1e-4, warmup=0, decay=decay)
    rates = [learning_rate(rate, epoch, 10) for epoch in range(11)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(1e-4)
    assert rates == sorted(rates, reverse=True)


def test_the_exponential_decay_falls_by_the_same_factor_every_epoch():
    rate = Rate(peak=0.1, final=1e-4, warmup=0)
    rates = [learning_rate(rate, epoch, 3) for epoch in range(4)]
    assert rates == pytest.approx([1e-1, 1e-2, 1e-3, 1e-4])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": "linear"}, "exponential, cosine or constant"),
        ({"peak": 1e-5}, "final <= peak"),
        ({"final": 0.0}, "0 < final"),
        ({"warmup": -1.0}, "negative"),
    ],
)
def test_a_rate_that_makes_no_sense_is_an_error(arguments, message):
    with pytest.raises(InputError, match=message):
        Rate(**arguments)


def test_margins_grow_between_the_epochs_of_their_ramp():
    phase = Phase("a", epochs=10, margin_ramp=(2, 4))
    assert [margin_share(phase, epoch) for epoch in (0, 2, 2.5, 3, 4, 9)] == [0, 0, 0.25, 0.5, 1, 1]
    assert [margin_share(Phase("a", epochs=10, margin_ramp=(2, 2)), epoch) for epoch in (1, 2)] == [0, 1]
    assert margin_share(Phase("a", epochs=1), 0) == 1


def test_a_phase_replaces_those_margins_that_it_names():
    assert Phase("a", epochs=1, margin=0.5, inter_topk_margin=0.0).margins == {"margin": 0.5, "inter_topk_margin": 0.0}
    assert Phase("a", epochs=1).margins == {}
