"""The plan of an epoch: who is visited, how often, in which order. A function of seed, epoch, data, configuration."""

from collections import Counter

import numpy as np
import pytest
from loader_data import make_features

from sv_py.cli import InputError
from sv_py.data.arguments import SpeakerBalancedArguments, SpeakersTimesUttsArguments, UniformArguments
from sv_py.data.plan import plan_epoch, share_of_steps, speakers_per_window
from sv_py.data.random_streams import Kind, stream
from sv_py.data.samplers import _distinct
from sv_py.data.table import open_table
from sv_py.registry import Part
from sv_py.schema import Augment, Data, Phase

# 6 speakers of 1 to 30 utterances in 8 shards
LENGTHS = {f"s{s}-{n:02d}": 30 + 10 * s + 7 * n for s, size in enumerate((1, 2, 5, 12, 20, 30)) for n in range(size)}
UNIFORM = Part("uniform", UniformArguments())
BALANCED = Part("speaker_balanced", SpeakerBalancedArguments())


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return open_table(make_features(tmp_path_factory.mktemp("data"), LENGTHS, shards=8), "feats")


def plan(table, sampler=UNIFORM, seed=1, epoch=0, window=3, length=30, speed=(), expand=False, **phase):
    phase = {"name": "p", "epochs": 1, "batch_size": 4} | phase
    augment = Augment(speed=speed, speed_expand=expand)
    return plan_epoch(table, Phase(**phase, sampler=sampler, augment=augment), Data(window=window), seed, epoch, length)


def times(speakers, utts):
    return Part("speakers_times_utts", SpeakersTimesUttsArguments(speakers, utts))


def test_streams_of_other_seeds_kinds_and_places_are_others_and_the_same_ones_again():
    places = [(0, Kind.ORDER, 0), (1, Kind.ORDER, 0), (0, Kind.MASK, 0), (0, Kind.ORDER, 1), (0, Kind.ITEM, 0, 1)]
    places += [(0, Kind.ITEM, 0, 0, 1), (0, Kind.ITEM, 1, 0, 0)]
    first = [stream(*place).random(3).tobytes() for place in places]
    assert len(set(first)) == len(places)
    assert first == [stream(*place).random(3).tobytes() for place in places]


def test_the_numbers_of_a_stream_are_those_of_the_published_generator():
    key, counter = (7 + (int(Kind.ITEM) << 64)), 3 << 64 | 2 << 128 | 1 << 192
    expected = np.random.Generator(np.random.Philox(key=key, counter=counter)).random(5)
    assert np.array_equal(stream(7, Kind.ITEM, 1, 2, 3).random(5), expected)


@pytest.mark.parametrize(("crops_per_utt", "expected"), [(1, {1}), (3, {3}), (1.5, {1, 2}), (0.5, {0, 1})])
def test_each_utterance_is_visited_as_often_as_asked(table, crops_per_utt, expected):
    made = plan(table, crops_per_utt=crops_per_utt, batch_size=1)
    visits = np.bincount(made.rows, minlength=70)
    assert len(made) == round(70 * crops_per_utt) and set(visits.tolist()) == expected


def test_fractions_of_a_visit_are_made_up_over_the_epochs(table):
    visits = sum(np.bincount(plan(table, epoch=e, crops_per_utt=0.5).rows, minlength=70) for e in range(60))
    assert visits.min() >= 15 and visits.max() <= 45


def test_any_two_utterances_may_share_an_epoch_of_half_of_them(table):
    together = np.zeros((len(table), len(table)), int)
    for epoch in range(400):
        rows = plan(table, crops_per_utt=0.5, epoch=epoch).rows
        together[np.ix_(rows, rows)] += 1
    assert np.diag(together).min() > 140 and np.diag(together).max() < 260
    np.fill_diagonal(together, 100)
    assert together.min() > 55 and together.max() < 145


def test_crops_by_length_visit_long_utterances_in_proportion(table):
    made = plan(table, Part("uniform", UniformArguments(by_length=True)), crops_per_utt=50, length=100)
    weights = np.maximum(table.length, 100)
    assert np.allclose(np.bincount(made.rows), 3500 * weights / weights.sum(), atol=1)


def test_visits_tell_the_crops_of_an_utterance_apart_in_every_window(table):
    for window in (1, 3, 8):
        made = plan(table, crops_per_utt=2.5, window=window)
        pairs = sorted(zip(made.rows.tolist(), made.visits.tolist(), strict=True))
        counts = Counter(made.rows.tolist())
        assert pairs == [(row, visit) for row in sorted(counts) for visit in range(counts[row])]


def test_an_epoch_goes_through_windows_of_shards(table):
    made = plan(table, window=3)
    assert sorted(np.concatenate(made.windows).tolist()) == list(range(8))
    assert [len(window) for window in made.windows] == [3, 3, 2] and made.ends[-1] == 70
    for number, shards in enumerate(made.windows):
        first = made.ends[number - 1] if number else 0
        assert set(table.shard[made.rows[first : made.ends[number]]].tolist()) == set(shards.tolist())
    assert [made.window_of(step) for step in (0, len(made) - 1)] == [0, 2]


def test_shards_and_what_is_in_a_window_are_shuffled_anew_in_each_epoch(table):
    plans = [plan(table, seed=seed, epoch=epoch) for seed, epoch in ((1, 0), (1, 1), (2, 0))]
    assert (
        len({made.rows.tobytes() for made in plans}) == len({np.concatenate(m.windows).tobytes() for m in plans}) == 3
    )
    rows = plan(table, window=8).rows
    assert abs(np.corrcoef(rows, np.arange(70))[0, 1]) < 0.4 and (np.diff(rows) != 1).sum() > 50
    assert np.array_equal(rows, plan(table, window=8).rows)


def test_every_speed_is_drawn_alike_or_each_utterance_is_taken_at_all_of_them(table):
    made = plan(table, speed=(0.9, 1.1), crops_per_utt=30)
    assert len(made.rows) == 2100 and np.bincount(made.speeds).min() > 600
    made = plan(table, speed=(0.9, 1.1), expand=True)
    assert Counter(zip(made.rows.tolist(), made.speeds.tolist(), strict=True)) == Counter(
        (row, speed) for row in range(70) for speed in range(3)
    )


def test_the_balanced_sampler_draws_speakers_alike_and_each_ones_utterances_alike(table):
    made = plan(table, BALANCED, crops_per_utt=60)
    speakers = np.bincount(table.speaker[made.rows])
    assert len(made.rows) == 4200 and abs(speakers - 700).max() < 120  # 4.9 deviations
    last = np.bincount(made.rows, minlength=70)[-30:]  # of the speaker with 30 utterances
    assert last.min() > 3 and abs(last.mean() - 700 / 30) < 4


@pytest.mark.parametrize(("speakers", "utts", "speed"), [(3, 4, ()), (6, 2, ()), (2, 20, ()), (8, 3, (0.9,))])
def test_batches_are_so_many_speakers_times_so_many_utterances(table, speakers, utts, speed):
    made = plan(table, times(speakers, utts), batch_size=speakers * utts, crops_per_utt=9, speed=speed)
    assert len(made) == 630 // (speakers * utts) and not made.windows
    sizes = np.bincount(table.speaker)
    seen = Counter()
    for step in range(len(made)):
        batch = slice(step * speakers * utts, (step + 1) * speakers * utts)
        rows = made.rows[batch].reshape(speakers, utts)
        classes = {(int(table.speaker[r]), int(s)) for r, s in zip(made.rows[batch], made.speeds[batch], strict=True)}
        assert len(classes) == speakers
        for group in rows:
            speaker = set(table.speaker[group].tolist())
            assert len(speaker) == 1
            assert len(set(group.tolist())) == utts or sizes[speaker.pop()] < utts
        seen.update(classes)
    assert max(seen.values()) - min(seen.values()) <= len(made) * speakers / len(seen) * 0.6 + 2


def test_different_utterances_of_a_speaker_are_drawn_alike():
    drawn = _distinct(np.full(6000, 5), 3, np.random.default_rng(0))
    assert all(len(set(row)) == 3 for row in drawn.tolist())
    sets = Counter(frozenset(row) for row in drawn.tolist())
    assert len(sets) == 10 and abs(np.array(list(sets.values())) - 600).max() < 120


def test_all_shards_are_shuffled_together_unless_a_window_is_asked_for(table):
    made = plan(table, window=0)
    assert len(made.windows) == 1 and made.ends.tolist() == [70]
    assert np.array_equal(made.rows, plan(table, window=8).rows)
    assert speakers_per_window(table, made) == 6 and speakers_per_window(table, plan(table, window=1)) < 3


def test_more_speakers_in_a_batch_than_there_are_is_an_error(table):
    with pytest.raises(InputError, match="sampler: 7 speakers in a batch, and there are 6"):
        plan(table, times(7, 1), batch_size=7)


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("first", [0, 2])
def test_ranks_share_out_the_micro_batches_of_each_step_in_order_of_the_plan(ranks, first):
    shares = [share_of_steps(first, 4, 6, rank, ranks) for rank in range(ranks)]
    together = [number for dealt in zip(*shares, strict=True) for number in dealt]
    assert together == list(range(first * 6, 24))


def test_ranks_have_unequal_shares_where_they_do_not_divide_a_steps_micro_batches():
    assert share_of_steps(1, 3, 5, 0, 2) == [5, 7, 9, 10, 12, 14]
    assert share_of_steps(1, 3, 5, 1, 2) == [6, 8, 11, 13]
    assert share_of_steps(3, 3, 5) == []
