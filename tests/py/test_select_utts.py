"""What may train: utterances that are long enough, of speakers with enough of them."""

import sys

import numpy as np
import pytest

from sv_py import select_utts
from sv_py.cli import InputError
from sv_py.io.ark import write_ark
from sv_py.io.text import write_table

FRAMES = {"a-1": 100, "a-2": 30, "b-1": 60, "b-2": 70, "b-3": 80, "c-1": 500}


@pytest.fixture
def data(tmp_path):
    write_table(tmp_path / "utt2spk", {utt: utt[0] for utt in FRAMES})
    write_table(tmp_path / "utt2num_frames", FRAMES)
    voiced = {utt: np.arange(n) < (n // 2 if utt[0] == "b" else n) for utt, n in FRAMES.items()}
    write_ark(tmp_path / "vad.ark", tmp_path / "vad.scp", voiced.items())
    return tmp_path


@pytest.fixture
def select(data, monkeypatch):
    def call(*options):
        monkeypatch.setattr(sys, "argv", ["select_utts", *options, str(data), str(data / "out")])
        select_utts.main()
        return (data / "out").read_text().split()

    return call


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), list(FRAMES)),
        (("--min-frames", "60"), ["a-1", "b-1", "b-2", "b-3", "c-1"]),
        (("--min-utts", "2"), ["a-1", "a-2", "b-1", "b-2", "b-3"]),
        (("--min-frames", "60", "--min-utts", "2"), ["b-1", "b-2", "b-3"]),
        (("--min-voiced-frames", "40"), ["a-1", "b-3", "c-1"]),
        (("--min-voiced-frames", "35", "--min-utts", "2"), ["b-2", "b-3"]),
    ],
)
def test_short_utterances_go_first_and_then_speakers_with_few(select, options, expected):
    assert select(*options) == expected


@pytest.mark.parametrize("line", ["--encoding=pcm16", "--sample-frequency=0", "--sample-frequency=16k"])
def test_audio_of_unknown_rate_is_an_error(select, data, line):
    write_table(data / "utt2num_samples", FRAMES)
    (data / "audio.id").write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"audio\.id: does not say --sample-frequency=<Hz>"):
        select("--source", "audio")


def test_frames_of_audio_are_of_ten_milliseconds(select, data):
    write_table(data / "utt2num_samples", {utt: 80 * frames for utt, frames in FRAMES.items()})
    (data / "audio.id").write_text("--sample-frequency=8000\n")
    assert select("--source", "audio", "--min-frames", "70") == ["a-1", "b-2", "b-3", "c-1"]


def test_nothing_left_is_an_error_and_writes_nothing(select, data):
    with pytest.raises(InputError, match="none of 6 utterances is long enough"):
        select("--min-frames", "501")
    assert not (data / "out").exists()


@pytest.mark.parametrize("name", ["utt2num_frames", "vad.scp"])
def test_an_utterance_of_unknown_length_is_an_error_and_not_a_short_one(select, data, name):
    lines = (data / name).read_text().splitlines(keepends=True)
    (data / name).write_text("".join(lines[1:]))
    with pytest.raises(InputError, match=f"{name}: lacks a-1"):
        select("--min-frames", "10", "--min-voiced-frames", "10")


def test_a_count_that_is_no_number_has_its_line(select, data):
    write_table(data / "utt2num_frames", FRAMES | {"b-1": "many"})
    with pytest.raises(InputError, match="utt2num_frames:3: 'b-1' has a count that is no whole number: 'many'"):
        select()


@pytest.fixture
def other(tmp_path):
    (tmp_path / "other").mkdir()
    write_table(tmp_path / "other/utt2spk", {"b-9": "b", "z-1": "z"})
    return tmp_path / "other"


def test_speakers_of_another_data_dir_are_left_out_or_an_error(select, other, data):
    assert select("--exclude-speakers", str(other)) == ["a-1", "a-2", "c-1"]
    (data / "out").unlink()
    with pytest.raises(InputError, match=r"1 of its speakers are in .*other, too: b; data\.shared_speakers"):
        select("--forbid-speakers", str(other))
    write_table(other / "utt2spk", {utt: utt[0] for utt in FRAMES})
    with pytest.raises(InputError, match=r"none of 6 utterances is long enough, of a speaker who is not in .*other"):
        select("--exclude-speakers", str(other))
    assert not (data / "out").exists()
