"""The sounds that augmentation mixes in: how roles are bound, and what is refused."""

import numpy as np
import pytest
from sounds import audio_dir

from sv_py.augmentation.arguments import parse_bindings
from sv_py.cli import InputError
from sv_py.data.pool import Pool, open_pools
from sv_py.data.store import AudioStore


@pytest.fixture
def ramp(tmp_path):
    """One utterance whose samples are their own places."""
    return Pool(AudioStore(audio_dir(tmp_path / "ramp", {"a-1": np.arange(1000, dtype=np.int16)})))


def test_a_segment_comes_from_anywhere_in_an_utterance(ramp):
    starts = set()
    for seed in range(300):
        segment = ramp.segment(np.random.default_rng(seed), 900)
        assert segment.dtype == np.int16 and np.array_equal(segment, np.arange(900) + segment[0])
        starts.add(int(segment[0]))
    assert min(starts) < 5 and max(starts) > 95


def test_what_is_shorter_is_repeated_without_a_gap(ramp):
    for seed in range(20):
        segment = ramp.segment(np.random.default_rng(seed), 2500)
        assert len(segment) == 2500 and set(np.diff(segment)) <= {1, -999}


def test_every_utterance_is_drawn_as_often_as_any_other(tmp_path):
    sounds = {f"s-{n}": np.full(100 * n, n, np.int16) for n in range(1, 6)}
    pool = Pool(AudioStore(audio_dir(tmp_path / "d", sounds)))
    rng = np.random.default_rng(0)
    drawn = [int(pool.whole(rng)[0]) for _ in range(2000)]
    assert np.bincount(drawn)[1:] / 2000 == pytest.approx([0.2] * 5, abs=0.04)


def test_bindings_are_roles_and_folders():
    assert {role: str(path) for role, path in parse_bindings(["noise=data/musan_noise", "rir=a=b"]).items()} == {
        "noise": "data/musan_noise",
        "rir": "a=b",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noise", "--augment-set noise: expected ROLE=DIR"),
        ("noise=", "expected ROLE=DIR"),
        ("nois=x", r"'nois' is no role \(did you mean 'noise'\?\); known: noise, music, speech, rir"),
        ("train=x", "'train' is the training set itself"),
    ],
)
def test_a_binding_that_cannot_be_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_bindings([text])


def test_a_role_cannot_be_bound_twice():
    with pytest.raises(InputError, match="'rir' a second time"):
        parse_bindings(["rir=a", "rir=b"])


def test_only_roles_that_are_needed_are_opened(tmp_path, ramp):
    pools = open_pools({"noise": tmp_path / "not_there", "rir": ramp.store.path}, {"rir", "train"}, 16000, ramp.store)
    assert pools.keys() == {"rir", "train"} and pools["train"].store is ramp.store


def test_a_folder_without_audio_shards_says_how_to_make_them(tmp_path, ramp):
    folder = audio_dir(tmp_path / "rir", {"a-1": np.ones(9, np.int16)})
    (folder / "audio.scp").unlink()
    with pytest.raises(InputError, match=r"rir: has no audio.scp: run steps/make_shards.sh"):
        open_pools({"rir": folder}, {"rir"}, 16000, ramp.store)


def test_sounds_of_another_rate_are_refused(tmp_path, ramp):
    folder = audio_dir(tmp_path / "rir", {"a-1": np.ones(9, np.int16)}, rate=8000)
    with pytest.raises(InputError, match=r"audio\.id: is of 8000 Hz, as 'rir' for audio of 16000 Hz"):
        open_pools({"rir": folder}, {"rir"}, 16000, ramp.store)
