"""Learning rate and margin by samples seen."""

import pytest

from sv_py.cli import InputError
from sv_py.schema import Phase, Rate
from sv_py.train.schedule import learning_rate, margin_share


def rates(rate: Rate, epochs: int, *at: float) -> list[float]:
    """The rates at some moments, or at the beginnings of all epochs and at the end."""
    return [learning_rate(rate, epoch, epochs) for epoch in at or range(epochs + 1)]


def test_the_warm_up_is_linear_from_zero():
    rate = Rate(peak=0.1, final=0.1, warmup=2, decay="constant")
    assert rates(rate, 10, 0, 0.5, 1, 2, 3) == pytest.approx([0, 0.025, 0.05, 0.1, 0.1])


@pytest.mark.parametrize("decay", ["exponential", "cosine"])
def test_a_decay_ends_at_the_final_rate(decay):
    found = rates(Rate(peak=0.1, final=1e-4, warmup=0, decay=decay), 10)
    assert (found[0], found[-1]) == pytest.approx((0.1, 1e-4))
    assert found == sorted(found, reverse=True)


def test_the_exponential_decay_falls_by_the_same_factor_every_epoch():
    assert rates(Rate(peak=0.1, final=1e-4, warmup=0), 3) == pytest.approx([1e-1, 1e-2, 1e-3, 1e-4])


def test_the_cosine_decay_is_halfway_between_its_rates_in_the_middle():
    rate = Rate(peak=0.1, final=0.02, warmup=0, decay="cosine")
    assert rates(rate, 4) == pytest.approx([0.1, 0.08828427, 0.06, 0.03171573, 0.02])


@pytest.mark.parametrize(
    ("decay", "after"),
    [
        ("exponential", [0.1, 0.01, 0.001]),
        ("cosine", [0.1, 0.0505, 0.001]),
        ("step", [0.1, 0.01, 0.001]),
        ("constant", [0.1, 0.1, 0.1]),
    ],
)
def test_a_hold_puts_off_every_decay(decay, after):
    rate = Rate(peak=0.1, final=0.001, warmup=0, hold=2, decay=decay, every=1)
    assert rates(rate, 4) == pytest.approx([0.1, 0.1, *after])


def test_a_hold_as_long_as_the_phase_leaves_no_decay():
    assert rates(Rate(peak=0.1, final=0.001, warmup=0, hold=3), 2) == [0.1, 0.1, 0.1]


def test_steps_are_taken_at_once_and_no_deeper_than_the_final_rate():
    rate = Rate(peak=1.0, final=0.2, warmup=0, decay="step", every=1.5, factor=0.5)
    assert rates(rate, 6, 0, 1.49, 1.5, 2.99, 3, 4.5, 6) == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.2, 0.2])


# VoxBlink (section 3.2): a warm-up of 5 epochs to 0.1, which a tenth every 10 epochs brings to 1e-4 within 30.


def test_voxblinks_steps_with_the_warm_up_among_the_30_epochs():
    rate = Rate(peak=0.1, final=1e-4, warmup=5, decay="step", every=10)
    warm_up = [0, 0.02, 0.04, 0.06, 0.08]
    assert rates(rate, 30) == pytest.approx([*warm_up, *[0.1] * 5, *[1e-2] * 10, *[1e-3] * 10, 1e-4])
    assert learning_rate(rate, 29.999, 30) == pytest.approx(1e-3)  # the third step is the end


def test_voxblinks_steps_after_the_warm_up():
    rate = Rate(peak=0.1, final=1e-4, warmup=5, hold=5, decay="step", every=10)
    warm_up = [0, 0.02, 0.04, 0.06, 0.08]
    assert rates(rate, 35) == pytest.approx([*warm_up, *[0.1] * 10, *[1e-2] * 10, *[1e-3] * 10, 1e-4])


def test_voxblinks_mix_ft_falls_from_one_thousandth_smoothly_or_in_steps():
    smoothly = Rate(peak=1e-3, final=1e-5, warmup=0)
    assert rates(smoothly, 4) == pytest.approx([1e-3, 3.1622777e-4, 1e-4, 3.1622777e-5, 1e-5])
    in_steps = Rate(peak=1e-3, final=1e-5, warmup=0, decay="step", every=2)
    assert rates(in_steps, 6) == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-5])


@pytest.mark.parametrize("scale", [1, 4, 16])  # WeSpeaker multiplies both rates by processes times batch / 64
def test_wespeakers_curve(scale):
    rate = Rate(peak=0.1 * scale, final=5e-5 * scale, warmup=6)
    at = {0: 0.0, 3: 0.042948639, 6: 0.073783423, 75: 0.0022360680, 150: 5e-5}
    assert rates(rate, 150, *at) == pytest.approx([scale * value for value in at.values()], rel=1e-7)
    assert max(rates(rate, 150)) == learning_rate(rate, 6, 150)


def test_wespeakers_large_margin_fine_tuning():
    rate = Rate(peak=1e-4, final=2.5e-5, warmup=1)
    at = {0: 0.0, 0.5: 4.3527528e-5, 1: 7.5785828e-5, 2.5: 5e-5, 5: 2.5e-5}
    assert rates(rate, 5, *at) == pytest.approx(list(at.values()))


def test_zhaws_rate_stays_as_it_is():
    assert set(rates(Rate(peak=3e-4, warmup=0, decay="constant"), 32)) == {3e-4}


def test_a_constant_rate_has_no_final_one_to_be_above():
    assert set(rates(Rate(peak=1e-5, warmup=0, decay="constant"), 3)) == {1e-5}
    with pytest.raises(InputError, match="0 < final <= peak"):
        Rate(peak=0.0, decay="constant")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": "linear"}, "exponential, cosine, step or constant"),
        ({"peak": 1e-5}, "final <= peak"),
        ({"final": 0.0}, "0 < final"),
        ({"warmup": -1.0}, "warmup must not be negative"),
        ({"hold": -1.0}, "hold must not be negative"),
        ({"every": 0.0}, "every must be positive"),
        ({"factor": 1.0}, "factor must be above 0 and below 1"),
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


def test_an_exponential_ramp_is_wespeakers_and_full_at_its_end():
    phase = Phase("a", epochs=150, margin_ramp=(19, 39), margin_growth="exponential")
    shares = [margin_share(phase, epoch) for epoch in (0, 19, 24, 29, 37, 38.99, 39, 150)]
    assert shares == pytest.approx([0, 0, 0.82217206, 0.96837722, 0.99800474, 0.998997, 1, 1], rel=1e-5)
    assert shares[-2:] == [1, 1]


def test_another_growth_of_margins_is_an_error():
    with pytest.raises(InputError, match="margin_growth is linear or exponential, not 'fast'"):
        Phase("a", epochs=1, margin_growth="fast")


def test_a_phase_replaces_those_margins_that_it_names():
    assert Phase("a", epochs=1, margin=0.5, inter_topk_margin=0.0).margins == {"margin": 0.5, "inter_topk_margin": 0.0}
    assert Phase("a", epochs=1).margins == {}
