"""Training sets joined: every crop has the bits it has alone, speakers are one or an error, shares are exact."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from loader_data import LENGTHS, make_audio, make_features

from sv_py.augmentation import AUGMENTATIONS
from sv_py.cli import InputError
from sv_py.data.arguments import SpeakerBalancedArguments, SpeakersTimesUttsArguments, UniformArguments
from sv_py.data.batches import Preparation, TrainingBatches, class_names
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.joined import _common, join, join_roles
from sv_py.data.plan import plan_epoch
from sv_py.data.pool import Pool
from sv_py.data.read_ahead import ReadAhead
from sv_py.features import FRONTENDS
from sv_py.io.text import read_table, write_table
from sv_py.registry import Part
from sv_py.schema import Augment, Data, Features, Phase

RAW = Features(cmn="none")
OTHERS = {f"{spk}-{n}": 40 + n for spk in ("abe", "bob", "zoe") for n in range(10, 14)}  # bob is in both
BOTH = ("train", "extra")


def phase_of(**options):
    return Phase(**{"name": "p", "epochs": 1, "batch_size": 4, "crop": 30, "sets": BOTH} | options)


@pytest.fixture
def sets(tmp_path):
    folders = make_features(tmp_path / "one"), make_features(tmp_path / "other", OTHERS, shards=2)
    return [FeatureSet(folder, RAW) for folder in folders]


@pytest.fixture
def joined(sets):
    return join(sets, "merge")


def test_one_set_is_itself(sets):
    assert join(sets[:1], "error") is sets[0]


def test_rows_come_one_set_after_the_other_and_speakers_are_united_by_name(sets, joined):
    table = joined.table
    assert len(joined) == len(table) == 24 and joined.speakers == ["abe", "ann", "bob", "cy", "zoe"]
    for part, first in ((sets[0].table, 0), (sets[1].table, 12)):
        for row in range(12):
            assert table.utt(first + row) == part.utt(row) and table.row(part.utt(row)) == first + row
            assert table.length[first + row] == part.length[row]
            assert joined.speakers[table.speaker[first + row]] == part.speaker_of(row)
            assert table.shards[table.shard[first + row]] == part.place(row)[0]
    with pytest.raises(InputError, match=r"no utterance 'dan-1' in .*one, .*other"):
        table.row("dan-1")


@pytest.mark.parametrize("options", [RAW, Features(cmn="none", vad=True)], ids=["all", "speech"])
def test_every_crop_has_the_bits_that_it_has_alone(sets, options):
    alone = [FeatureSet(one.store.path, options) for one in sets]
    joined = join(alone, "merge")
    for row in range(24):
        for start, length in ((0.0, 15), (0.7, 15), (0.3, 100)):
            expected = alone[row // 12].crop(row % 12, start, length)
            assert np.array_equal(joined.crop(row, start, length), expected)
    assert np.array_equal(joined.read("zoe-11"), alone[1].read("zoe-11"))
    assert joined.feature_dim() == 6 and joined.id == alone[0].id


def test_a_speaker_in_two_sets_is_an_error_unless_it_is_to_be_one_class(sets, joined):
    with pytest.raises(InputError, match=r"other: 1 of its speakers are in .*one, too: bob; data\.shared_speakers"):
        join(sets, "error")
    made = TrainingBatches(joined, phase_of(batch_size=24), Data(), 0, 0)
    labels = Counter(made[0].labels.tolist())
    assert labels == {joined.speakers.index(name): 8 if name == "bob" else 4 for name in joined.speakers}


def test_unions_are_made_once_and_sets_that_never_meet_are_compared_too(sets):
    roles = dict(zip(BOTH, sets, strict=True))
    first, second, third = join_roles(roles, [("train",), BOTH, BOTH], "merge")
    assert first is sets[0] and second is third and len(second) == 24
    with pytest.raises(InputError, match="1 of its speakers are in"):
        join_roles(roles, [("train",), ("extra",)], "error")


def test_an_utterance_in_two_sets_is_an_error_even_of_one_speaker(tmp_path, sets):
    other = make_features(tmp_path / "more", {"ann-1": 30, "ann-30000": 30, "cy-3": 30})
    with pytest.raises(InputError, match=r"more: 2 of its utterances are in .*one, too: ann-1, cy-3"):
        join([sets[0], FeatureSet(other, RAW)], "merge")


def test_ids_are_compared_whole_whatever_the_width_of_their_columns():
    one, other = np.array([b"a1", b"b", b"b11"]), np.array([b"a", b"a11", b"b", b"b111"])
    assert _common(one, other) == _common(other, one) == [b"b"]


def test_sets_of_different_features_are_an_error(tmp_path, sets):
    (sets[1].store.path / "feats.id").write_text("frontend=test\n--snip-edges=true\n")
    with pytest.raises(InputError, match=r"other: its features are not those of .*one: --snip-edges=true"):
        join([sets[0], FeatureSet(sets[1].store.path, RAW)], "merge")


def test_a_joined_set_survives_the_way_to_another_process_without_its_columns(joined):
    packed = pickle.dumps(joined.table)
    assert len(packed) < 2000
    again = pickle.loads(packed)
    assert np.array_equal(again.speaker, joined.table.speaker) and again.shards == joined.table.shards


@pytest.mark.parametrize(
    ("mix", "crops_per_utt", "expected"),
    [((), 2, (24, 24)), ((1, 1), 2, (24, 24)), ((3, 1), 1, (18, 6)), ((0.1, 0.2), 1, (8, 16)), ((1, 2.2), 1, (8, 16))],
)
@pytest.mark.parametrize("window", [0, 2])
def test_a_mix_shares_out_the_crops_to_the_number(joined, mix, crops_per_utt, expected, window):
    phase = phase_of(mix=mix, crops_per_utt=crops_per_utt, batch_size=1)
    plan = plan_epoch(joined.table, phase, Data(window=window), 0, 0, 30)
    assert tuple(np.bincount(plan.rows // 12)) == expected
    visits = np.bincount(plan.rows, minlength=24).reshape(2, 12)
    assert (np.ptp(visits, axis=1) <= 1).all(), "within a set all utterances alike"
    for number, shards in enumerate(plan.windows):
        first = plan.ends[number - 1] if number else 0
        assert set(joined.table.shard[plan.rows[first : plan.ends[number]]]) <= set(shards.tolist())


def test_sets_of_different_sizes_give_as_many_crops_each_where_the_mix_says_so(tmp_path, sets):
    few = FeatureSet(make_features(tmp_path / "few", {"eve-1": 50, "fay-1": 60, "gus-1": 70}), RAW)
    joined = join([sets[0], few], "error")
    plan = plan_epoch(joined.table, phase_of(mix=(1, 1), crops_per_utt=2), Data(), 0, 0, 30)
    assert np.bincount(plan.rows, minlength=15)[12:].tolist() == [5, 5, 5] and len(plan.rows) == 30
    assert plan.visits[plan.rows == 13].tolist() != [0] * 5 and set(plan.visits[plan.rows == 13]) == set(range(5))
    order = plan.rows >= 12
    assert 5 < np.abs(np.diff(order.astype(int))).sum() < 25, "shuffled together"


def test_a_mix_has_the_sampler_choose_in_each_set_and_without_it_among_all(joined):
    balanced = Part("speaker_balanced", SpeakerBalancedArguments())
    rows = plan_epoch(joined.table, phase_of(sampler=balanced, crops_per_utt=300), Data(), 0, 0, 30).rows
    assert np.allclose(np.bincount(joined.table.speaker[rows]), 1440, atol=150)  # of 5 speakers, in either set
    phase = phase_of(sampler=balanced, crops_per_utt=300, mix=(3, 1))
    rows = plan_epoch(joined.table, phase, Data(), 0, 0, 30).rows
    assert (rows < 12).sum() == 5400 and np.allclose(
        np.bincount(joined.table.speaker[rows[rows < 12]])[1:4], 1800, atol=150
    )


def test_batches_of_speakers_times_utterances_take_a_shared_speakers_from_both_sets(joined):
    sampler = Part("speakers_times_utts", SpeakersTimesUttsArguments(2, 2))
    made = plan_epoch(joined.table, phase_of(sampler=sampler, crops_per_utt=50), Data(), 0, 0, 30)
    bob = made.rows[joined.table.speaker[made.rows] == joined.speakers.index("bob")]
    assert {row // 12 for row in bob.tolist()} == {0, 1}


def test_crops_by_length_are_shared_out_by_the_mix_first(joined):
    sampler = Part("uniform", UniformArguments(by_length=True))
    rows = plan_epoch(joined.table, phase_of(sampler=sampler, mix=(1, 1), crops_per_utt=50), Data(), 0, 0, 30).rows
    assert np.bincount(rows // 12).tolist() == [600, 600]
    lengths = np.maximum(30, list(LENGTHS.values()))
    assert np.allclose(np.bincount(rows)[:12], 600 * lengths / lengths.sum(), atol=1)


# Audio, augmentation and reading processes


@pytest.fixture(scope="module")
def audio_sets(waves, tmp_path_factory):
    frontend = Part("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")(num_mel_bins=20))
    utts = sorted(waves)
    parts = [{utt: waves[utt] for utt in utts[:4]}, {utt: waves[utt] for utt in utts[4:]}]
    folders = [make_audio(tmp_path_factory.mktemp("audio"), part, shards=2) for part in parts]
    return [AudioSet(folder, Features(frontend=frontend)) for folder in folders]


def test_babble_is_of_all_sets_and_never_of_the_speaker_himself(tmp_path):
    features = Features(frontend=Part("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")()))
    sets = []
    for first, names in ((0, ("ann", "bob")), (4, ("cy", "dan"))):
        utts = [f"{name}-{n}" for name in names for n in (1, 2)]
        audio = {utt: np.full(2000, first + i, np.int16) for i, utt in enumerate(utts)}  # says which row it is
        sets.append(AudioSet(make_audio(tmp_path / utts[0], audio, shards=2), features))
    joined = join(sets, "error")
    pool, speaker = Pool(joined.store), joined.table.speaker
    drawn = {(row, *pool.segment(np.random.default_rng(seed), 9, row)) for row in range(8) for seed in range(60)}
    assert {(row, other) for row, other, *_ in drawn} == {
        (row, other) for row in range(8) for other in range(8) if speaker[row] != speaker[other]
    }


@pytest.mark.parametrize("fetch", ["slices", "shards"])
def test_processes_and_fetching_change_no_bit_of_a_mix_with_augmentation(audio_sets, fetch):
    babble = Part("babble", AUGMENTATIONS.arguments("babble")(probability=0.7))
    augment = Augment(speed=(0.9,), waveform=(babble,))
    phase = phase_of(mix=(1, 2), crops_per_utt=3, augment=augment, micro_batch=2)
    joined = join(audio_sets, "error")
    names = class_names(joined.speakers, (0.9,))

    def epoch(workers, data):
        made = TrainingBatches(joined, phase, data, 0, 0)
        prepare = Preparation(joined.frames, made.chain, phase.mask, torch.device("cpu"))
        with ReadAhead(made, prepare, workers) as ahead:
            return [(frames.numpy().tobytes(), [names[label] for label in labels]) for frames, labels in ahead]

    expected = epoch(0, Data(source="audio", window=2))
    assert len(expected) == 12 and len({frames for frames, _ in expected}) == 12
    assert epoch(2, Data(source="audio", window=2, fetch=fetch)) == expected


def test_a_step_is_so_many_micro_batches_and_an_epoch_so_many_whole_steps(joined):
    made = TrainingBatches(joined, phase_of(batch_size=10, micro_batch=5), Data(), 0, 0)
    assert (made.steps, len(made), len(made[3].labels)) == (2, 4, 5)
    with pytest.raises(InputError, match="phase p: an epoch of 24 crops, less than one batch of 26"):
        TrainingBatches(joined, phase_of(batch_size=26, micro_batch=2), Data(), 0, 0)


def test_what_stands_in_for_the_unreadable_is_of_a_later_step(tmp_path):
    utterances = FeatureSet(make_features(tmp_path), RAW)
    scp = read_table(tmp_path / "feats.scp")
    write_table(tmp_path / "feats.scp", scp | {"bob-1": f"{tmp_path}/gone.ark:0"})
    utterances = FeatureSet(tmp_path, RAW)
    for seed in range(5):
        made = TrainingBatches(
            utterances, phase_of(sets=("train",), batch_size=6, micro_batch=2), Data(max_bad=1), seed, 0
        )
        for step in range(2):
            values = torch.cat([made[3 * step + m].crops[0].values for m in range(3)])
            assert len({value.numpy().tobytes() for value in values}) == 6
