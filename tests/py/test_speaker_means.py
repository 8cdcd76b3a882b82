"""The mean embedding of each speaker."""

import sys

import kaldiio
import numpy as np
import pytest

from sv_py import speaker_means
from sv_py.cli import InputError
from sv_py.io.ark import write_ark
from sv_py.io.text import read_table, write_table

EMBEDDINGS = {
    f"{spk}-{n}": np.full(3, value + n, np.float32) for spk, value in (("a", 0), ("b", 10)) for n in (1, 2, 3)
}


@pytest.fixture
def means(tmp_path, monkeypatch):
    def call(utts):
        write_table(tmp_path / "utt2spk", {utt: utt[0] for utt in utts})
        write_ark(tmp_path / "x.ark", tmp_path / "x.scp", EMBEDDINGS.items())
        (tmp_path / "out").mkdir(exist_ok=True)
        argv = ["speaker_means", *(str(tmp_path / name) for name in ("utt2spk", "x.scp", "out"))]
        monkeypatch.setattr(sys, "argv", argv)
        speaker_means.main()
        return tmp_path / "out"

    return call


def test_each_speaker_has_the_mean_of_its_utterances_and_their_number(means):
    out = means(["a-1", "a-2", "a-3", "b-2"])
    found = kaldiio.load_scp(str(out / "spk_xvector.scp"))
    assert {spk: found[spk].tolist() for spk in found} == {"a": [2, 2, 2], "b": [12, 12, 12]}
    assert read_table(out / "num_utts") == {"a": "3", "b": "1"}


def test_an_utterance_without_embedding_is_an_error_and_nothing_is_written(means, tmp_path):
    with pytest.raises(InputError, match=r"x\.scp: lacks 'b-4'"):
        means(["a-1", "b-4"])
    assert not list((tmp_path / "out").iterdir())
