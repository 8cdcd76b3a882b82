"""Numbers on held-out data: exact error rates, the loss over all classes, the same bits for any number of processes."""

import numpy as np
import pytest
import torch
from heads import make_head, make_loss
from loader_data import make_features
from ranks import run_ranks

from sv_py.cli import InputError
from sv_py.data.dataset import FeatureSet
from sv_py.io.text import read_table, write_lines, write_table
from sv_py.models.backbone import Backbone
from sv_py.schema import Data, Features, Mask, Phase, Result
from sv_py.scoring.metrics import eer, min_dcf
from sv_py.train.distributed import Processes
from sv_py.train.validation import Validation

CPU = torch.device("cpu")
DEV = {f"dev{s}-{n}": 25 + 5 * n + s for s in range(4) for n in range(3)}
VALID = {f"{name}-{n}": 15 + 9 * n for name in ("ann", "bob", "cy") for n in range(3)}
CLASSES = ["sp0.9-ann", "cy", "bob", "ann", "other"]


class Network(Backbone):
    """Mean and deviation over frames by a fixed matrix; in training nothing but noise."""

    embedding_dim, head_dim, min_frames = 8, 8, 30

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(12, 8, generator=generator))

    def forward(self, x):
        return (
            torch.randn(len(x), 8) if self.training else torch.cat([x.mean(dim=1), x.std(dim=1)], dim=1) @ self.weight
        )

    def project(self, embeddings):
        return embeddings / 100


def head(kind="full", speakers=CLASSES, **arguments):
    return make_head(make_loss("aam_softmax"), kind, speakers, dim=8, **arguments).float()


def phase_of(**options):
    return Phase(**{"name": "p", "epochs": 1, "batch_size": 4, "crop": (30, 40)} | options)


def trials_of(folder):
    utts = list(DEV)
    pairs = [(a, b) for i, a in enumerate(utts) for b in utts[:i]]
    lines = [f"{a} {b} {'target' if a[:4] == b[:4] else 'nontarget'}" for a, b in pairs]
    write_lines(folder / "trials", lines)
    return pairs


def validation(folder, valid=VALID, **options):
    dev = FeatureSet(make_features(folder / "dev", DEV), Features())
    trials_of(folder / "dev")
    valid = FeatureSet(make_features(folder / "valid", valid), Features()) if valid else None
    return Validation(dev, folder / "dev/trials", valid, CPU, **options)


def numbers(made, of_head=None, phase=None, processes=None):
    return made(Network().train(), of_head or head(), phase or phase_of(), processes or Processes(CPU))


def test_the_error_rates_are_those_of_cosines_of_whole_utterances(tmp_path):
    made = validation(tmp_path, valid=None)
    network = Network().eval()
    embeddings = {}
    for utt in DEV:
        frames = made.dev.read(utt)
        frames = np.resize(frames, (max(30, len(frames)), 6))  # as many as the network takes, by repetition
        with torch.no_grad():
            embedding = network(torch.from_numpy(frames)[None])[0].numpy()
        embeddings[utt] = embedding / np.linalg.norm(embedding)
    pairs = trials_of(tmp_path / "dev")
    scores = np.array([embeddings[a] @ embeddings[b] for a, b in pairs])
    target = np.array([a[:4] == b[:4] for a, b in pairs])
    expected = {"dev_eer": eer(scores, target), "dev_min_dcf": min_dcf(scores, target, 0.01)}
    assert numbers(made) == pytest.approx(expected) and 0 < expected["dev_eer"] < 1


def crops_of(made, rows, length=40):
    """Embeddings of crops from the middle, as the head sees them."""
    frames = torch.from_numpy(np.stack([made.valid.crop(row, 0.5, length) for row in rows]))
    network = Network().eval()
    return network.project(network(made.valid.frames(frames)))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_loss_is_that_of_one_crop_of_each_utterance_with_full_margins_even_while_they_grow(tmp_path, share):
    made, of_head = validation(tmp_path), head()
    of_head.loss.set_margins(share)
    found = numbers(made, of_head, phase_of(mask=Mask(time=20), margin=0.3))
    of_head.loss.set_margins(1.0, margin=0.3)
    with torch.no_grad():
        labels = torch.tensor([CLASSES.index(utt.split("-")[0]) for utt in VALID])
        loss, correct = of_head(crops_of(made, range(9)), labels)
    assert found["valid_loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert found["valid_accuracy"] == pytest.approx(correct.double().mean().item())
    assert 0 < found["valid_accuracy"] < 1


def test_the_middle_of_an_utterance_is_taken_and_a_short_one_repeated(tmp_path):
    made = validation(tmp_path)
    crop = made.valid.crop(2, 0.5, 11)  # of 33 frames
    assert crop[:, 0].tolist() == list(range(11, 22))
    assert made.valid.crop(0, 0.5, 40)[:, 0].tolist() == [n % 15 for n in range(40)]


def test_speakers_without_a_row_are_left_out_and_if_all_are_so_is_the_loss(tmp_path):
    made = validation(tmp_path)
    of_head = head(speakers=["bob", "ann"])
    with torch.no_grad():
        expected, _ = of_head(crops_of(made, range(6)), torch.tensor([1, 1, 1, 0, 0, 0]))
    assert numbers(made, of_head)["valid_loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert numbers(made, head(speakers=["x", "y"])).keys() == {"dev_eer", "dev_min_dcf"}
    with pytest.raises(InputError, match=r"phase p: result\.by valid_loss needs held-out utterances"):
        numbers(made, head(speakers=["x", "y"]), phase_of(result=Result(by="valid_loss")))


def test_the_loss_is_over_all_rows_of_a_head_that_samples_and_leaves_its_draws_alone(tmp_path):
    made = validation(tmp_path)
    of_head = head("sampled", rate=0.3)
    before = of_head.full_state()
    assert numbers(made, of_head) == pytest.approx(numbers(made, head()))
    assert of_head.full_state()["steps"] == before["steps"]


def test_nothing_that_is_drawn_and_no_reading_process_changes_a_bit(tmp_path):
    first = numbers(validation(tmp_path))
    torch.manual_seed(7)
    assert numbers(validation(tmp_path, workers=2)) == first


def test_an_utterance_that_cannot_be_read_is_an_error_unless_some_may_be_unreadable(tmp_path):
    made = validation(tmp_path)
    scp = read_table(tmp_path / "valid/feats.scp")
    write_table(tmp_path / "valid/feats.scp", scp | {"bob-1": f"{tmp_path}/gone.ark:0"})
    valid = FeatureSet(tmp_path / "valid", Features())
    trials = tmp_path / "dev/trials"
    with pytest.raises(InputError, match=r"gone\.ark"):
        numbers(Validation(made.dev, trials, valid, CPU))
    tolerant = Validation(made.dev, trials, valid, CPU, Data(max_bad=1))
    assert numbers(tolerant)["valid_loss"] == numbers(tolerant)["valid_loss"] > 0
    assert len(tolerant.unreadable) == 1


def test_trials_of_unknown_utterances_are_an_error_at_once(tmp_path):
    dev = FeatureSet(make_features(tmp_path, DEV), Features())
    write_lines(tmp_path / "trials", ["dev0-0 dev9-0 target", "dev0-0 dev1-0 nontarget"])
    with pytest.raises(InputError, match="trials:1: 1 of the 3 ids in the trials are unknown: dev9-0"):
        Validation(dev, tmp_path / "trials", None, CPU)


def of_rank(folder, processes, kind):
    """What one of several processes finds."""
    made = validation(folder / str(processes.rank))
    return numbers(made, head(kind), processes=processes)


@pytest.mark.parametrize(("count", "kind"), [(2, "full"), (3, "sharded")])
def test_any_number_of_processes_finds_the_same_whoever_has_the_rows(tmp_path, count, kind):
    alone = numbers(validation(tmp_path / "alone"))
    found = run_ranks(tmp_path, count, of_rank, kind)
    assert all(one == found[0] for one in found)
    assert found[0] == (alone if kind == "full" else pytest.approx(alone, rel=1e-6))
