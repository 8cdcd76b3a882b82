"""Training crops: functions of (seed, epoch, step) and of nothing else, of every utterance, and of sound features."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sv_py.cli import InputError
from sv_py.data.dataset import FeatureSet, TrainingBatches
from sv_py.io.ark import write_ark
from sv_py.io.text import write_table
from sv_py.schema import Features, Mask, Phase

LENGTHS = {f"{spk}-{n}": 20 + 25 * n + i for i, spk in enumerate(("ann", "bob", "cy")) for n in range(4)}
SPEAKERS = ("ann", "bob", "cy")
RAW = Features(cmn=False)


@pytest.fixture
def data(tmp_path):
    """Features of 12 utterances; value [t, 0] is the frame's number t, value [t, 1] that of the utterance, from 1."""
    feats = {
        utt: np.stack([np.arange(length), np.full(length, 1 + i), *np.random.default_rng(i).normal(size=(4, length))]).T
        for i, (utt, length) in enumerate(LENGTHS.items())
    }
    write_ark(tmp_path / "feats.ark", tmp_path / "feats.scp", feats.items())
    voiced = {utt: np.arange(length) % 2 for utt, length in LENGTHS.items()}
    write_ark(tmp_path / "vad.ark", tmp_path / "vad.scp", voiced.items())
    write_table(tmp_path / "utt2spk", {utt: utt.split("-")[0] for utt in LENGTHS})
    write_table(tmp_path / "utt2num_frames", LENGTHS)
    (tmp_path / "feats.id").write_text("frontend=test\n")
    return tmp_path


def batches(folder, options=RAW, seed=1, epoch=0, **phase):
    phase = Phase(**{"name": "p", "epochs": 1, "batch_size": 4, "crop": 30} | phase)
    return TrainingBatches(FeatureSet(folder, options), SPEAKERS, phase, seed, epoch)


def crops(made):
    """All crops of an epoch as (first frame, number of the utterance)."""
    return [(int(crop[0, 0]), int(crop[0, 1]) - 1) for step in range(len(made)) for crop in made[step][0]]


def same(one, other):
    return all(np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("first", [0, 2])
def test_workers_and_the_step_of_a_resume_change_no_bit(data, workers, first):
    phase = {"mask": Mask(time=5, frequency=2), "crops_per_utt": 2.5}
    expected = batches(data, **phase)
    loader = DataLoader(
        batches(data, **phase), batch_size=None, sampler=range(first, len(expected)), num_workers=workers
    )
    found = [(feats.numpy(), labels.numpy()) for feats, labels in loader]
    assert len(found) == len(expected) - first == 7 - first
    assert same(found, [expected[step] for step in range(first, len(expected))])


def test_steps_can_be_asked_for_in_any_order_and_again(data):
    made = batches(data, mask=Mask(time=5, frequency=2))
    expected = [made[step] for step in range(3)]
    assert same([made[step] for step in (2, 0, 1)], [expected[step] for step in (2, 0, 1)])


def test_other_seeds_and_other_epochs_give_other_crops_and_masks(data):
    orders = [crops(batches(data, seed=seed, epoch=epoch)) for seed, epoch in ((1, 0), (1, 1), (1, 2), (2, 0), (0, 1))]
    assert len({tuple(order) for order in orders}) == len(orders)
    masks = [batches(data, epoch=e, mask=Mask(frequency=3), crops_per_utt=9, crop=99)[0][0] == 0 for e in (0, 1)]
    assert not np.array_equal(*masks)


@pytest.mark.parametrize(("crops_per_utt", "expected"), [(1, {1}), (3, {3}), (1.5, {1, 2}), (0.5, {0, 1})])
def test_each_utterance_is_visited_as_often_as_asked(data, crops_per_utt, expected):
    made = batches(data, crops_per_utt=crops_per_utt, batch_size=1)
    visits = Counter(utt for _, utt in crops(made))
    assert len(made) == round(12 * crops_per_utt)
    assert {visits[i] for i in range(12)} == expected


def test_fractions_of_a_visit_are_made_up_over_the_epochs(data):
    visits = Counter()
    for epoch in range(60):
        visits.update(utt for _, utt in crops(batches(data, epoch=epoch, crops_per_utt=0.5, batch_size=1)))
    assert all(15 <= visits[i] <= 45 for i in range(12))


def test_crops_by_length_visit_long_utterances_in_proportion(data):
    made = batches(data, crops_by_length=True, crops_per_utt=50, batch_size=1, crop=30)
    visits = Counter(utt for _, utt in crops(made))
    weights = np.maximum(list(LENGTHS.values()), 30)
    assert np.allclose([visits[i] for i in range(12)], 600 * weights / weights.sum(), atol=1)


def test_the_last_smaller_batch_is_left_out_and_labels_are_those_of_the_speakers(data):
    made = batches(data, batch_size=5)
    assert len(made) == 2
    feats, labels = made[0]
    assert feats.dtype == np.float32 and feats.shape == (5, 30, 6) and labels.dtype == np.int64
    assert [(int(utt) - 1) // 4 for utt in feats[:, 0, 1]] == labels.tolist()


def test_crops_are_consecutive_frames_that_begin_anywhere(data):
    made = batches(data, batch_size=1, crops_per_utt=100)
    firsts = {}
    for step in range(len(made)):
        crop = made[step][0][0]
        utt = int(crop[0, 1]) - 1
        if list(LENGTHS.values())[utt] >= 30:
            assert np.array_equal(crop[:, 0], crop[0, 0] + np.arange(30))
            firsts.setdefault(utt, set()).add(int(crop[0, 0]))
    longest = list(LENGTHS).index("cy-3")
    assert min(firsts[longest]) == 0 and max(firsts[longest]) == LENGTHS["cy-3"] - 30


def test_short_utterances_are_repeated(data):
    frames = FeatureSet(data, RAW).read("ann-0", 0.7, 50)
    assert np.array_equal(frames[:, 0], np.arange(50) % 20)


def test_a_whole_utterance_is_read_as_it_is(data):
    assert np.array_equal(FeatureSet(data, RAW).read("bob-2")[:, 0], np.arange(LENGTHS["bob-2"]))


def test_mean_normalisation_leaves_no_mean_in_what_the_network_sees(data):
    features = FeatureSet(data, Features(cmn=True))
    for length in (None, 30):
        assert abs(features.read("cy-3", 0.5, length).mean(axis=0)).max() < 1e-4
    assert features.read("cy-3")[:, 0].std() > 1


def test_voice_activity_drops_frames_before_crop_and_mean(data):
    frames = FeatureSet(data, Features(cmn=False, vad=True)).read("cy-3", 0.5, 30)
    assert np.array_equal(np.diff(frames[:, 0]), np.full(29, 2)) and frames[0, 0] % 2 == 1
    normalised = FeatureSet(data, Features(cmn=True, vad=True)).read("cy-3")
    assert len(normalised) == LENGTHS["cy-3"] // 2 and abs(normalised.mean(axis=0)).max() < 1e-4


@pytest.mark.parametrize("mask", [Mask(time=6), Mask(frequency=3), Mask(time=6, frequency=3), Mask(time=999)])
def test_masks_are_one_stripe_of_frames_and_one_of_bins(data, mask):
    made, plain = batches(data, mask=mask), batches(data)
    widths = set()
    for step in range(3):
        masked, original = made[step][0], plain[step][0]
        for crop, before in zip(masked, original, strict=True):
            rows, columns = (crop == 0).all(axis=1), (crop == 0).all(axis=0)
            for stripe, most in ((rows, mask.time), (columns, mask.frequency)):
                if not (crop == 0).all():
                    assert stripe.sum() <= most and np.abs(np.diff(stripe.astype(int))).sum() <= 2
            kept = ~rows[:, None] & ~columns[None]
            assert np.array_equal(crop[kept], before[kept])
            widths.add((int(rows.sum()), int(columns.sum())))
    assert len(widths) > 1


def test_nan_in_features_is_an_error_that_names_the_utterance(data):
    bad = np.ones((LENGTHS["ann-0"], 6))
    bad[3, 2] = np.nan
    write_ark(data / "bad.ark", data / "bad.scp", [("ann-0", bad)])
    text = (data / "feats.scp").read_text().splitlines()
    (data / "feats.scp").write_text("\n".join([(data / "bad.scp").read_text().strip(), *text[1:]]) + "\n")
    with pytest.raises(InputError, match=r"bad\.ark:\d+: 'ann-0' has features that are NaN"):
        FeatureSet(data, RAW).read("ann-0")


def test_an_utterance_without_speech_is_an_error(data):
    silent = {utt: np.zeros(length) for utt, length in LENGTHS.items()}
    write_ark(data / "vad.ark", data / "vad.scp", silent.items())
    with pytest.raises(InputError, match="'ann-0' has no frames of speech"):
        FeatureSet(data, Features(vad=True)).read("ann-0")


@pytest.mark.parametrize("name", ["feats.scp", "vad.scp", "utt2num_frames"])
def test_a_table_that_lacks_utterances_is_named_at_once(data, name):
    path = data / name
    path.write_text("".join(path.read_text().splitlines(keepends=True)[2:]))
    with pytest.raises(InputError, match=f"{name}: lacks ann-0, ann-1"):
        FeatureSet(data, Features(vad=True))
    path.unlink()
    with pytest.raises(InputError, match=f"{name}: no such file"):
        FeatureSet(data, Features(vad=True))


def test_counts_and_decisions_that_disagree_with_the_features_are_errors(data):
    write_table(data / "utt2num_frames", LENGTHS | {"cy-3": 500})
    with pytest.raises(InputError, match="'cy-3' has fewer frames than utt2num_frames says"):
        FeatureSet(data, RAW).read("cy-3", 0.99, 30)
    write_ark(data / "vad.ark", data / "vad.scp", [(utt, np.ones(30)) for utt in LENGTHS])
    with pytest.raises(InputError, match="'ann-0' has 20 frames, and decisions for 30"):
        FeatureSet(data, Features(vad=True)).read("ann-0")


def test_the_identity_of_the_features_is_known_or_empty(data):
    assert FeatureSet(data, RAW).id == "frontend=test\n"
    (data / "feats.id").unlink()
    assert FeatureSet(data, RAW).id == ""


def test_batches_become_tensors_without_a_copy_of_another_type(data):
    feats, labels = next(iter(DataLoader(batches(data), batch_size=None)))
    assert feats.dtype == torch.float32 and labels.dtype == torch.int64
