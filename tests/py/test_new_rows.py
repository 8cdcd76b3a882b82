"""Means of new speakers: of their own utterances, at the speed of the class, the same for any number of processes."""

import numpy as np
import pytest
import torch
from loader_data import make_audio, make_features
from ranks import run_ranks

from sv_py.augmentation.speed import speed, speed_input_samples
from sv_py.cli import InputError
from sv_py.data.arguments import SpeakersTimesUttsArguments
from sv_py.data.dataset import AudioSet, FeatureSet
from sv_py.data.joined import join
from sv_py.features import FRONTENDS
from sv_py.io.text import read_table, write_table
from sv_py.models.backbone import Backbone
from sv_py.registry import Part
from sv_py.schema import Augment, Data, Features, Mask, Phase
from sv_py.train.distributed import Processes
from sv_py.train.new_rows import mean_embeddings

CPU = torch.device("cpu")
LENGTHS = {f"{name}-{n:02d}": 30 + n for name, size in (("ann", 1), ("bob", 5), ("cy", 19)) for n in range(size)}


class Network(Backbone):
    """The mean over frames, which the classifier sees in one more dimension; in training nothing but noise."""

    embedding_dim = 6
    head_dim = 7

    def __init__(self, dim=6):
        super().__init__()
        self.embedding_dim, self.scale = dim, torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * (torch.randn(len(x), self.embedding_dim) if self.training else x.mean(dim=1))

    def project(self, embeddings):
        return torch.nn.functional.pad(embeddings, (0, 1), value=3.0)


def phase_of(**options):
    return Phase(**{"name": "p", "epochs": 1, "batch_size": 6, "micro_batch": 3, "crop": (10, 20)} | options)


def means(utterances, names, phase=None, data=None, network=None, processes=None, **options):
    network = network or Network()
    return mean_embeddings(
        network, utterances, phase or phase_of(), data or Data(), names, CPU, processes or Processes(CPU), **options
    )


def features(folder, **options):
    return FeatureSet(make_features(folder, LENGTHS), Features(**{"cmn": "none"} | options))


def expected(crops):
    """The normalised mean of normalised embeddings of frames."""
    embeddings = [np.append(frames.mean(axis=0), 3.0) for frames in crops]
    mean = np.mean([e / np.linalg.norm(e) for e in embeddings], axis=0)
    return mean / np.linalg.norm(mean)


def same(found, wanted):
    return np.allclose(found / found.norm(), wanted, atol=1e-5)


def test_a_row_begins_at_the_mean_of_crops_from_the_middle_of_its_speakers_utterances(tmp_path):
    utterances = features(tmp_path)
    found = means(utterances, ["bob", "ann"])
    assert list(found) == ["bob", "ann"]
    for name, mean in found.items():
        rows = [row for row, utt in enumerate(LENGTHS) if utt.startswith(name)]
        assert same(mean, expected([utterances.crop(row, 0.5, 20) for row in rows]))


def test_of_many_utterances_eight_are_taken_that_lie_evenly_among_them(tmp_path):
    utterances = features(tmp_path)
    rows = [6 + n for n in (1, 3, 5, 8, 10, 13, 15, 17)]
    assert same(means(utterances, ["cy"])["cy"], expected([utterances.crop(row, 0.5, 20) for row in rows]))


def test_neither_masks_nor_seeds_nor_generators_nor_reading_processes_change_a_bit(tmp_path):
    utterances = features(tmp_path)
    first = means(utterances, ["cy", "bob"])
    torch.manual_seed(7)
    second = means(utterances, ["cy", "bob"], phase_of(mask=Mask(time=9, frequency=3)), workers=2)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_class_at_another_speed_has_the_mean_of_crops_at_that_speed(waves, tmp_path):
    frontend = Part("kaldi_fbank", FRONTENDS.arguments("kaldi_fbank")(num_mel_bins=20, dither=1.0))
    utterances = AudioSet(make_audio(tmp_path, waves), Features(frontend=frontend, cmn="none"))
    found = means(
        utterances, ["sp0.9-bea", "bea"], phase_of(augment=Augment(speed=(1.1, 0.9))), network=FilterBankNetwork()
    )
    length = utterances.values_of(20)
    for name, factor in (("bea", 1.0), ("sp0.9-bea", 0.9)):
        crops = []
        for utt in ("bea-1", "bea-2"):
            samples = utterances.crop(utterances.table.row(utt), 0.5, speed_input_samples(length, factor))
            samples = torch.from_numpy(samples)[None].float()
            crops.append(utterances.frames(samples if factor == 1 else speed(samples, factor, length))[0].numpy())
        assert same(found[name], expected(crops))
    assert not torch.allclose(found["bea"], found["sp0.9-bea"], atol=1e-3)


class FilterBankNetwork(Network):
    """The same of 20 bins."""

    head_dim = 21

    def __init__(self):
        super().__init__(20)


def test_speakers_of_joined_sets_are_found_in_the_set_that_has_them(tmp_path):
    other = FeatureSet(make_features(tmp_path / "b", {"bob-9": 40, "dan-1": 50}), Features(cmn="none"))
    joined = join([features(tmp_path / "a"), other], "merge")
    found = means(joined, ["dan", "bob"], phase_of(sets=("train", "extra"), mix=(1, 1)))
    assert same(found["dan"], expected([other.crop(1, 0.5, 20)]))
    rows = [row for row in range(len(joined)) if joined.table.utt(row).startswith("bob")]
    assert len(rows) == 6 and same(found["bob"], expected([joined.crop(row, 0.5, 20) for row in rows]))


def test_fewer_crops_than_a_batch_are_enough_whatever_the_sampler(tmp_path):
    sampler = Part("speakers_times_utts", SpeakersTimesUttsArguments(2, 32))
    utterances = features(tmp_path)
    found = means(utterances, ["ann"], phase_of(sampler=sampler, batch_size=64, micro_batch=0, crops_per_utt=1e-9))
    assert same(found["ann"], expected([utterances.crop(0, 0.5, 20)]))


def spoil(folder, *utts):
    scp = read_table(folder / "feats.scp")
    write_table(folder / "feats.scp", scp | {utt: f"{folder}/gone.ark:0" for utt in utts})
    return FeatureSet(folder, Features(cmn="none"))


def test_who_cannot_be_read_has_no_mean_and_counts_as_unreadable(tmp_path):
    features(tmp_path)
    utterances, unreadable = spoil(tmp_path, "ann-00", "bob-01"), []
    found = means(utterances, ["ann", "bob"], data=Data(max_bad=2), unreadable=unreadable)
    assert list(found) == ["bob"] and len(unreadable) == 2
    assert found["bob"].isfinite().all()
    with pytest.raises(InputError, match=r"gone\.ark"):
        means(utterances, ["ann", "bob"])


def of_rank(folder, processes):
    """What one of several processes finds."""
    return means(features(folder / str(processes.rank)), ["cy", "ann", "bob"], processes=processes)


@pytest.mark.parametrize("count", [2, 3])
def test_any_number_of_processes_finds_the_same(tmp_path, count):
    alone = means(features(tmp_path / "alone"), ["cy", "ann", "bob"])
    for found in run_ranks(tmp_path, count, of_rank):
        assert found.keys() == alone.keys()
        assert all(torch.allclose(found[name], alone[name], atol=1e-6) for name in alone)
