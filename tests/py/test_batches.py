"""Training batches: functions of (seed, epoch, step) and of nothing else; crops, speeds, labels, masks, failures."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from loader_data import LENGTHS, make_audio

from sv_py.augmentation.speed import speed, speed_input_samples
from sv_py.cli import InputError
from sv_py.config import from_dict
from sv_py.data import SAMPLERS
from sv_py.data.batches import Preparation, TrainingBatches, class_names
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.pool import Pool
from sv_py.features import FRONTENDS
from sv_py.registry import Part
from sv_py.schema import Augment, Data, Features, Mask, Phase

RAW = Features(cmn="none")
CPU = torch.device("cpu")
FBANK = Part("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")(num_mel_bins=20, dither=1.0))


@pytest.fixture(scope="module")
def audio_set(audio_dir):
    return AudioSet(audio_dir, Features(frontend=FBANK))


def phase_of(**options):
    return Phase(**{"name": "p", "epochs": 1, "batch_size": 4, "crop": 30} | options)


def batches(folder, options=RAW, seed=1, epoch=0, data=None, **phase):
    return TrainingBatches(FeatureSet(folder, options), phase_of(**phase), data or Data(), seed, epoch)


def prepared(made, steps=None):
    """The finished batches of an epoch."""
    prepare = Preparation(made.utterances.frames, made.chain, made.phase.mask, CPU)
    return [prepare(made[step]) for step in (range(len(made)) if steps is None else steps)]


def same(one, other):
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(one, other, strict=True))


def crops(made):
    """All crops of an epoch as (first frame, number of the utterance)."""
    return [(int(crop[0, 0]), int(crop[0, 1]) - 1) for frames, _ in prepared(made) for crop in frames]


def test_steps_can_be_asked_for_in_any_order_and_again(data):
    made = batches(data, mask=Mask(time=5, frequency=2))
    assert same(prepared(made, (2, 0, 1)), [prepared(made)[step] for step in (2, 0, 1)])


def test_other_seeds_and_other_epochs_give_other_crops_and_masks(data):
    orders = [crops(batches(data, seed=seed, epoch=epoch)) for seed, epoch in ((1, 0), (1, 1), (1, 2), (2, 0), (0, 1))]
    assert len({tuple(order) for order in orders}) == len(orders)
    masks = [
        prepared(batches(data, epoch=e, mask=Mask(frequency=3), crops_per_utt=9, crop=99), [0])[0][0] == 0
        for e in (0, 1)
    ]
    assert not torch.equal(*masks)


def test_the_last_smaller_batch_is_left_out_and_labels_are_those_of_the_speakers(data):
    made = batches(data, batch_size=5)
    assert len(made) == 2
    frames, labels = prepared(made)[0]
    assert frames.dtype == torch.float32 and frames.shape == (5, 30, 6) and labels.dtype == torch.int64
    assert [(int(utt) - 1) // 4 for utt in frames[:, 0, 1]] == labels.tolist()


def test_less_than_one_batch_in_an_epoch_is_an_error(data):
    with pytest.raises(InputError, match="phase p: an epoch of 12 crops, less than one batch of 13"):
        batches(data, batch_size=13)


def test_crops_are_consecutive_frames_that_begin_anywhere(data):
    firsts = {}
    for frames, _ in prepared(batches(data, batch_size=1, crops_per_utt=100)):
        utt = int(frames[0, 0, 1]) - 1
        if list(LENGTHS.values())[utt] >= 30:
            assert torch.equal(frames[0, :, 0], frames[0, 0, 0] + torch.arange(30))
            firsts.setdefault(utt, set()).add(int(frames[0, 0, 0]))
    longest = list(LENGTHS).index("cy-3")
    assert min(firsts[longest]) < 5 and max(firsts[longest]) > LENGTHS["cy-3"] - 35 and len(firsts[longest]) > 40


def test_the_length_of_the_crops_is_drawn_for_each_batch(data):
    lengths = [frames.shape[1] for frames, _ in prepared(batches(data, crop=(20, 24), crops_per_utt=20))]
    assert set(lengths) == {20, 21, 22, 23, 24}
    again = [frames.shape[1] for frames, _ in prepared(batches(data, crop=(20, 24), crops_per_utt=20))]
    assert again == lengths


def test_mean_normalisation_leaves_no_mean_in_what_the_network_sees(data):
    for frames, _ in prepared(batches(data, Features(cmn="utterance"))):
        assert frames.mean(dim=1).abs().max() < 1e-4 and frames[:, :, 0].std() > 1


@pytest.mark.parametrize("mask", [Mask(time=6), Mask(frequency=3), Mask(time=6, frequency=3), Mask(time=999)])
def test_masks_are_one_stripe_of_frames_and_one_of_bins(data, mask):
    widths = set()
    for (masked, _), (original, _) in zip(prepared(batches(data, mask=mask)), prepared(batches(data)), strict=True):
        for crop, before in zip(masked.numpy(), original.numpy(), strict=True):
            rows, columns = (crop == 0).all(axis=1), (crop == 0).all(axis=0)
            for stripe, most in ((rows, mask.time), (columns, mask.frequency)):
                if not (crop == 0).all():
                    assert stripe.sum() <= most and np.abs(np.diff(stripe.astype(int))).sum() <= 2
            kept = ~rows[:, None] & ~columns[None]
            assert np.array_equal(crop[kept], before[kept])
            widths.add((int(rows.sum()), int(columns.sum())))
    assert len(widths) > 1


def masked_rows_and_columns(made):
    """Which frames and which bins of each crop are zero throughout."""
    return [
        ((crop == 0).all(axis=1), (crop == 0).all(axis=0)) for frames, _ in prepared(made) for crop in frames.numpy()
    ]


def test_a_mask_is_applied_with_its_probability_and_has_its_number_of_stripes(data):
    often = masked_rows_and_columns(batches(data, mask=Mask(0.3, time=20), crops_per_utt=100))
    assert np.mean([rows.any() for rows, _ in often]) == pytest.approx(0.3 * 20 / 21, abs=0.05)
    mask = Mask(time=4, time_stripes=3, frequency=1, frequency_stripes=2)
    several = masked_rows_and_columns(batches(data, mask=mask, crops_per_utt=100))
    runs = [np.count_nonzero(np.diff(rows.astype(int), prepend=0) == 1) for rows, _ in several]
    assert set(runs) == {0, 1, 2, 3} and max(rows.sum() for rows, _ in several) in (11, 12)
    assert {int(columns.sum()) for _, columns in several} == {0, 1, 2}


def test_a_crop_at_another_speed_is_a_longer_or_shorter_slice_resampled(audio_set, waves):
    augment = Augment(speed=(0.9, 1.1), speed_expand=True)
    made = TrainingBatches(audio_set, phase_of(crop=20, augment=augment), Data(source="audio"), 0, 0)
    length = audio_set.values_of(20)
    assert length == 19 * 160 + 400
    seen = Counter()
    for step in range(len(made)):
        raw = made[step]
        values = Preparation(audio_set.frames, None, Mask(), CPU)._at_speed(raw)
        for part in raw.crops:
            assert part.values.dtype == torch.int16
            assert part.values.shape[1] == speed_input_samples(length, part.speed)
            for place, samples in zip(part.rows, part.values.numpy(), strict=True):
                label = int(raw.labels[place])
                name = class_names(audio_set.speakers, augment.speed)[label]
                assert name == ("" if part.speed == 1 else f"sp{part.speed:g}-") + audio_set.speakers[label % 4]
                utts = [u for u, wave in waves.items() if samples.tobytes() in wave.tobytes()]
                assert len(utts) == 1 and utts[0].startswith(audio_set.speakers[label % 4])
                seen[utts[0], part.speed] += 1
                expected = torch.from_numpy(samples)[None].float()
                expected = expected if part.speed == 1 else speed(expected, part.speed, length)
                assert torch.allclose(values[place], expected[0], atol=1e-2)
    assert seen == Counter((utt, factor) for utt in waves for factor in (1.0, 0.9, 1.1))


def test_speeds_that_are_drawn_make_all_classes(audio_set):
    phase = phase_of(augment=Augment(speed=(0.9, 1.1)), crops_per_utt=20)
    made = TrainingBatches(audio_set, phase, Data(source="audio"), 0, 0)
    labels = np.concatenate([made[step].labels for step in range(len(made))])
    assert set(labels) == set(range(12)) and len(class_names(audio_set.speakers, (0.9, 1.1))) == 12


def test_training_sees_what_extraction_sees_of_the_same_audio(waves, tmp_path):
    clean = Part("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")(num_mel_bins=20))
    samples = {utt: wave[:8240] for utt, wave in waves.items() if len(wave) >= 8240}  # 50 frames, all of it
    utterances = AudioSet(make_audio(tmp_path, samples, 1), Features(frontend=clean))
    made = TrainingBatches(utterances, phase_of(crop=50, batch_size=1), Data(source="audio"), 0, 0)
    for step, (frames, _) in enumerate(prepared(made)):
        utt = utterances.table.utt(made.plan.rows[step])
        assert np.array_equal(frames[0].numpy(), utterances.read(utt))


def test_dither_is_drawn_anew_for_each_batch_and_never_in_extraction(audio_set):
    made = TrainingBatches(audio_set, phase_of(batch_size=8), Data(source="audio"), 0, 0)
    first, again = prepared(made), prepared(made)
    assert same(first, again)
    raw = made[0]
    other = type(raw)(**{**vars(raw), "dither": raw.dither + 1})
    prepare = Preparation(audio_set.frames, None, Mask(), CPU)
    assert not torch.equal(prepare(other)[0], prepare(raw)[0])
    assert np.array_equal(audio_set.read("ann-1"), audio_set.read("ann-1")) and not audio_set.frames.training


@pytest.fixture(scope="module")
def augmented(audio_set):
    """Batches with noise, babble and speeds from the recordings themselves."""
    config = from_dict(
        {
            "model": {"name": "ecapa_tdnn"},
            "data": {"source": "audio"},
            "features": {"frontend": {"name": "kaldi_fbank"}},
            "phases": [
                {
                    "name": "p", "epochs": 1, "batch_size": 4, "crop": 40, "crops_per_utt": 2,
                    "augment": {
                        "speed": [0.9], "waveform": [
                            {"name": "noise", "args": {"probability": 0.5}},
                            {"name": "babble", "args": {"probability": 0.5}},
                            {"name": "reverb", "args": {"probability": 0.5}},
                        ],
                    },
                }
            ],
        }, "test",
    )  # fmt: skip
    pools = dict.fromkeys(("noise", "train", "rir"), Pool(audio_set.store))
    return TrainingBatches(audio_set, config.phases[0], config.data, 0, 0, pools)


def test_augmentation_depends_on_seed_epoch_utterance_and_visit_only(augmented):
    """The same crop has the same numbers drawn for it, whatever the batches that it lies in."""

    def drawn_of(made):
        found = {}
        for step in range(len(made)):
            for k, drawn in enumerate(made[step].drawn):
                item = step * made.phase.batch_size + k
                key = int(made.plan.rows[item]), int(made.plan.visits[item])
                found[key] = pickle.dumps([None if x is None else np.asarray(x, object).tolist() for x in drawn])
        return found

    again = TrainingBatches(
        augmented.utterances, phase_of(**{**vars(augmented.phase), "batch_size": 8}), Data(source="audio", window=1),
        0, 0, dict.fromkeys(("noise", "train", "rir"), Pool(augmented.utterances.store)),
    )  # fmt: skip
    first, second = drawn_of(augmented), drawn_of(again)
    assert len(first) == len(second) == 16
    assert len(set(first.values())) > 8


def test_batches_survive_the_way_to_another_process(augmented):
    prepare = Preparation(augmented.utterances.frames, augmented.chain, Mask(time=3), CPU)
    for step in range(len(augmented)):
        raw = augmented[step]
        assert same([prepare(pickle.loads(pickle.dumps(raw)))], [prepare(raw)])
        assert any(entry is not None for drawn in raw.drawn for entry in drawn)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU in this machine")
def test_a_gpu_prepares_the_same_batches(augmented):
    clean = FRONTENDS.build("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")())
    frames = type(augmented.utterances.frames)(Features(), clean)
    for step in range(len(augmented)):
        raw = augmented[step]
        expected, _ = Preparation(frames, augmented.chain, Mask(time=3), CPU)(raw)
        found, labels = Preparation(frames, augmented.chain, Mask(time=3), torch.device("cuda"))(raw)
        assert labels.is_cuda and torch.allclose(found.cpu(), expected, atol=2e-2)


def test_a_role_that_is_not_bound_is_an_error_that_says_how(audio_set, augmented):
    with pytest.raises(InputError, match="--augment-set noise="):
        TrainingBatches(audio_set, augmented.phase, Data(source="audio"), 0, 0)


def test_windows_that_hold_few_of_the_speakers_are_warned_of(data, caplog):
    batches(data, data=Data(window=1)).warn_of_narrow_windows()
    assert "a window of 1 shards has 1 of 3 speakers" in caplog.text
    caplog.clear()
    batches(data, data=Data(window=2)).warn_of_narrow_windows()
    batches(data).warn_of_narrow_windows()
    assert not caplog.text


def spoil(data, utt):
    """Put NaN into the features of an utterance, in place."""
    ark, offset = FeatureSet(data, RAW).table.place(list(LENGTHS).index(utt))
    with open(ark, "r+b") as file:
        file.seek(offset + 15)
        file.write(np.full(6 * LENGTHS[utt], np.nan, "<f4").tobytes())


def test_an_unreadable_utterance_ends_the_run_by_name(data):
    spoil(data, "bob-1")
    made = batches(data)
    with pytest.raises(InputError, match=r"feats\.1\.ark:\d+: 'bob-1' has features that are NaN"):
        prepared(made)


def test_unreadable_utterances_are_replaced_by_those_that_come_next_up_to_a_limit(data):
    sound = prepared(batches(data, batch_size=12))[0]
    spoil(data, "bob-1")
    spoil(data, "cy-2")
    made = batches(data, batch_size=12, data=Data(max_bad=2))
    raw = made[0]
    assert sorted(message.split("'")[1] for message in raw.unreadable) == ["bob-1", "cy-2"]
    frames, labels = prepared(made)[0]
    rows = made.plan.rows.tolist()
    for k in range(12):
        source = k
        while rows[source] in (list(LENGTHS).index("bob-1"), list(LENGTHS).index("cy-2")):
            source = (source + 1) % 12
        assert torch.equal(frames[k], sound[0][source]) and labels[k] == sound[1][source]
    with pytest.raises(
        InputError, match=r"2 utterances cannot be read, and data\.max_bad is 1: .*'(bob-1|cy-2)'.*'(bob-1|cy-2)'"
    ):
        prepared(batches(data, batch_size=12, data=Data(max_bad=1)))


def test_batches_of_speakers_times_utterances_stay_so_when_one_cannot_be_read(data):
    sampler = Part("speakers_times_utts", SAMPLERS.arguments("speakers_times_utts")(speakers=2, utts=2))
    options = {"sampler": sampler, "crop": 10, "crops_per_utt": 10, "data": Data(max_bad=1)}
    spoil(data, "bob-1")
    made = batches(data, **options)
    raws = [made[step] for step in range(len(made))]
    assert sum(len(raw.unreadable) for raw in raws) > 3
    for raw in raws:
        assert sorted(Counter(raw.labels.tolist()).values()) == [2, 2]
        values = raw.crops[0].values
        assert len({value.numpy().tobytes() for value in values}) == 4, "nothing is there twice"


def test_a_training_set_of_which_nothing_can_be_read_ends_however_high_the_limit(data):
    for utt in LENGTHS:
        spoil(data, utt)
    with pytest.raises(InputError, match="12 utterances cannot be read"):
        prepared(batches(data, data=Data(max_bad=100)))
