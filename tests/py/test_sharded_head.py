"""The head whose rows are divided among processes: in 1, 2, 3 and 4 of them, with all losses, as the full one."""

import pytest
import torch
from heads import SPEAKERS, VARIANTS, batch, label, make_head, make_loss
from ranks import run_job
from sharded_job import FIRST, OTHERS, SIZE, measure

RANKS = (FIRST, *OTHERS)
every_variant = pytest.mark.parametrize("variant", range(len(VARIANTS)), ids=lambda i: label(VARIANTS[i]))
every_number = pytest.mark.parametrize("ranks", RANKS)


@pytest.fixture(scope="module")
def found(tmp_path_factory, root):
    """What each process found, by number of processes. 4 of them begin anew; 2 and 3, from their trained state."""
    folder = tmp_path_factory.mktemp("sharded")
    run_job("sharded_job.py", folder, root, timeout=300)
    return {n: [torch.load(folder / f"{n}.{rank}.pt", weights_only=True) for rank in range(n)] for n in RANKS}


def full(variant: int, ranks: int, found: dict) -> dict:
    """The same of a full head and the whole batch, in this process; begun from the state that the others began from."""
    state = None if ranks == FIRST else found[FIRST][0][variant]["trained"]
    return measure("full", VARIANTS[variant], 0, 1, state)


@every_number
@every_variant
def test_loss_and_gradients_are_those_of_the_full_head(found, ranks, variant):
    expected, parts = full(variant, ranks, found), [part[variant] for part in found[ranks]]
    for part in parts:
        torch.testing.assert_close(part["loss"], expected["loss"], rtol=1e-12, atol=1e-12)
    for key in ("correct", "embeddings", "rows"):
        torch.testing.assert_close(torch.cat([part[key] for part in parts]), expected[key], rtol=1e-9, atol=1e-12)
    for shared, of_full in zip(zip(*(part["shared"] for part in parts), strict=True), expected["shared"], strict=True):
        torch.testing.assert_close(sum(shared), of_full, rtol=1e-9, atol=1e-12)
    assert expected["rows"].abs().max() > 1e-3


@every_number
@every_variant
def test_training_and_a_change_of_speakers_go_as_with_the_full_head(found, ranks, variant):
    expected = full(variant, ranks, found)
    for part in found[ranks]:
        for moment in ("trained", "selected"):
            ours, theirs = part[variant][moment], expected[moment]
            assert ours["speakers"] == theirs["speakers"]
            for key in ("rows", "optimizer", "loss"):
                torch.testing.assert_close(dict(ours)[key], theirs[key], rtol=1e-9, atol=1e-12)
    assert expected["trained"]["optimizer"] and not expected["selected"]["optimizer"]


@pytest.mark.parametrize("ranks", OTHERS)
@pytest.mark.parametrize("variant", [*range(len(VARIANTS)), "sampled"])
def test_a_state_saved_by_four_processes_is_the_same_bits_in_another_number(found, ranks, variant):
    saved = found[FIRST][0][variant]["trained"]
    for part in found[ranks]:
        loaded = part[variant]["begun"]
        assert torch.equal(loaded["rows"], saved["rows"]) and loaded["speakers"] == saved["speakers"]
        assert saved["optimizer"].keys() == loaded["optimizer"].keys() == {"momentum_buffer"}
        assert torch.equal(loaded["optimizer"]["momentum_buffer"], saved["optimizer"]["momentum_buffer"])


@every_number
def test_speakers_are_divided_evenly_in_their_order(found, ranks):
    spans = [part[0]["span"] for part in found[ranks]]
    assert [i for span in spans for i in span] == list(range(len(SPEAKERS)))
    assert {len(span) for span in spans} <= {len(SPEAKERS) // ranks, len(SPEAKERS) // ranks + 1}


@every_number
def test_processes_that_sample_their_rows_agree_on_the_loss_and_learn(found, ranks):
    parts = [part["sampled"] for part in found[ranks]]
    assert len({part["loss"].item() for part in parts}) == 1
    assert all(torch.equal(part["trained"]["rows"], parts[0]["trained"]["rows"]) for part in parts)
    assert parts[0]["trained"]["steps"] == parts[0]["begun"]["steps"] + 3
    moved = (parts[0]["trained"]["rows"] != parts[0]["begun"]["rows"]).flatten(1).any(1)
    assert moved[batch(SIZE, 10)[1]].all(), "the speakers of the batch, whichever process has them"


def test_speakers_of_whom_a_process_would_have_none_are_an_error(found):
    assert ["one for each process, not 3" in part["refused"] for part in found[4]] == [True] * 4
    assert not found[3][0]["refused"]


@every_variant
def test_alone_a_sharded_head_is_the_full_one_and_takes_up_the_state_of_four(found, variant):
    state = found[FIRST][0][variant]["trained"]
    ours, expected = (measure(kind, VARIANTS[variant], 0, 1, state) for kind in ("sharded", "full"))
    assert torch.equal(ours["loss"], expected["loss"])
    assert torch.equal(ours["trained"]["rows"], expected["trained"]["rows"])


def test_a_head_without_processes_needs_no_process_group():
    assert not torch.distributed.is_initialized()
    name, arguments = VARIANTS[1]
    assert make_head(make_loss(name, **arguments), "sharded").span == range(len(SPEAKERS))
