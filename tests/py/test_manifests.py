"""Manifests and data dirs: one from the other and back, and Lhotse's own opinion of them."""

import gzip
import json
import os
import sys
import tracemalloc

import lhotse
import numpy as np
import pytest
import soundfile as sf

from sv_py import prepare
from sv_py.cli import InputError
from sv_py.data.manifests import data_dir_to_manifests, manifest_paths, manifests_to_data_dir, write_manifests
from sv_py.data.utterance import Utterance
from sv_py.io.data_dir import check
from sv_py.io.text import read_table, write_lines


@pytest.fixture
def audio(tmp_path):
    """Two recordings of 2 s."""
    paths = [tmp_path / "first.wav", tmp_path / "second.flac"]
    for path, level in zip(paths, (0.1, 0.2), strict=True):
        sf.write(path, np.full(32000, level), 16000)
    return paths


def data_dir(folder, audio, **tables):
    """A data dir of two speakers; ``tables`` adds or replaces some."""
    folder.mkdir()
    tables = {
        "wav.scp": [f"anna-1 {audio[0]}", f"bert-1 {audio[1]}"],
        "utt2spk": ["anna-1 anna", "bert-1 bert"],
        "spk2utt": ["anna anna-1", "bert bert-1"],
        "utt2dur": ["anna-1 2", "bert-1 2"],
        **tables,
    }
    for name, lines in tables.items():
        write_lines(folder / name, lines)
    return folder


GENDERS = {"spk2gender": ["anna f", "bert m"]}
SEGMENTS = {
    "segments": ["anna-1 rec1 0 0.51", "anna-2 rec1 0.6 1.8125", "bert-1 rec2 0.0001 2"],
    "wav.scp": ["rec1 {0}", "rec2 {1}"],
    "utt2spk": ["anna-1 anna", "anna-2 anna", "bert-1 bert"],
    "spk2utt": ["anna anna-1 anna-2", "bert bert-1"],
    "utt2dur": ["anna-1 0.51", "anna-2 1.2125", "bert-1 1.9999"],
}


@pytest.mark.parametrize("tables", [{}, GENDERS, SEGMENTS, {**SEGMENTS, **GENDERS}], ids=["", "g", "s", "gs"])
def test_a_data_dir_comes_back_from_manifests_as_it_was(tmp_path, audio, tables):
    tables = {name: [line.format(*audio) for line in lines] for name, lines in tables.items()}
    source = data_dir(tmp_path / "source", audio, **tables)
    manifests = data_dir_to_manifests(source, tmp_path, "x")
    assert manifests_to_data_dir(*manifests, tmp_path / "result") == len(tables.get("utt2spk", "12"))
    assert {p.name: p.read_text() for p in source.iterdir()} == {
        p.name: p.read_text() for p in (tmp_path / "result").iterdir()
    }
    check(tmp_path / "result", audio=True)


def test_lhotse_reads_validates_and_cuts_what_was_written(tmp_path, audio):
    tables = {name: [line.format(*audio) for line in lines] for name, lines in SEGMENTS.items()}
    data_dir_to_manifests(data_dir(tmp_path / "source", audio, **tables), tmp_path, "x")
    recordings, supervisions = (lhotse.load_manifest(p) for p in manifest_paths(tmp_path, "x"))
    lhotse.validate(recordings, read_data=True)
    lhotse.validate(supervisions)
    cuts = lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions).trim_to_supervisions()
    lhotse.validate(cuts)
    sound = {cut.supervisions[0].id: cut.load_audio() for cut in cuts}
    assert sound["anna-2"].shape == (1, 19400)
    assert np.allclose(sound["bert-1"], 0.2, atol=1e-3)


def test_manifests_of_an_unchanged_corpus_are_the_same_bytes(tmp_path, audio):
    utterances = [
        Utterance(f"s-{i}", "s", str(audio[0]), (audio[0], None), session="one", sampling_rate=16000, num_samples=32000)
        for i in (2, 1)
    ]
    first = [p.read_bytes() for p in write_manifests(utterances, tmp_path, "x")]
    assert first == [p.read_bytes() for p in write_manifests(reversed(utterances), tmp_path, "x")]
    supervision = json.loads(gzip.decompress(first[1]).splitlines()[0])
    assert supervision["id"] == "s-1"
    assert supervision["custom"] == {"session": "one"}


def test_manifests_are_written_item_by_item(tmp_path, audio):
    count = 4000
    utterances = [
        Utterance(f"s-{i:06d}", "s", str(audio[0]), (audio[0], None), sampling_rate=16000, num_samples=32000)
        for i in range(count)
    ]
    tracemalloc.start()
    try:
        write_manifests(utterances, tmp_path, "x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000  # the objects of Lhotse would take three times as much


def test_a_segment_that_ends_behind_its_recording_is_cut_there(tmp_path, audio):
    source = data_dir(
        tmp_path / "source", audio, **{"wav.scp": [f"r1 {audio[0]}", f"r2 {audio[1]}"]},
        segments=["anna-1 r1 0 2.009", "bert-1 r2 0 1"], utt2dur=["anna-1 2.009", "bert-1 1"],
    )  # fmt: skip
    manifests_to_data_dir(*data_dir_to_manifests(source, tmp_path, "x"), tmp_path / "result")
    assert read_table(tmp_path / "result/segments")["anna-1"] == "r1 0 2"


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"utt2spk": ["anna-1 anna"]}, "bert-1"),
        ({"wav.scp": ["anna-1 touch owned |", "bert-1 {1}"]}, r"wav\.scp:1: a command, run only with"),
        ({"wav.scp": ["anna-1 {0}.gone", "bert-1 {1}"]}, "No such file"),
        ({"wav.scp": ["anna-1 {0}", "bert-1 /etc/passwd"]}, "1 of 2 files cannot be used: /etc/passwd"),
        ({"segments": ["anna-1 first 0 1"]}, "bert-1"),
    ],
)  # fmt: skip
def test_a_broken_data_dir_makes_no_manifests(tmp_path, audio, tables, message):
    tables = {name: [line.format(*audio) for line in lines] for name, lines in tables.items()}
    source = data_dir(tmp_path / "source", audio, **tables)
    with pytest.raises(InputError, match=message):
        data_dir_to_manifests(source, tmp_path / "new", "x")
    assert not (tmp_path / "new").exists()


def recording(path, **changes):
    source = {"type": "file", "channels": [0], "source": str(path)}
    return {"id": "r", "sources": [source], "sampling_rate": 16000, "num_samples": 32000, "duration": 2.0, **changes}


def supervision(**changes):
    return {"id": "u", "recording_id": "r", "start": 0.0, "duration": 2.0, "channel": 0, "speaker": "s", **changes}


def users_manifests(folder, recordings, supervisions):
    """Plain JSONL, as a user's own Lhotse scripts may leave it."""
    paths = folder / "r.jsonl", folder / "s.jsonl"
    for path, items in zip(paths, (recordings, supervisions), strict=True):
        write_lines(path, map(json.dumps, items))
    return paths


def test_a_users_own_manifests_make_a_data_dir(tmp_path, audio, monkeypatch):
    paths = users_manifests(
        tmp_path,
        [recording(os.path.relpath(audio[0], tmp_path), id="u"), recording(audio[1], id="s-x")],
        [supervision(recording_id="u", gender="Female", text="none"), supervision(id="s-x", recording_id="s-x")],
    )
    monkeypatch.chdir(tmp_path)
    options = ["--recordings", *paths[:1], "--supervisions", *paths[1:], "--name", "own", "--data-root", "data"]
    monkeypatch.setattr(sys, "argv", ["prepare", "manifests", *map(str, options)])
    prepare.main()
    assert read_table(tmp_path / "data/own/wav.scp") == {"s-u": str(audio[0]), "s-x": str(audio[1])}
    assert read_table(tmp_path / "data/own/spk2gender") == {"s": "f"}
    assert not (tmp_path / "data/own/segments").exists()

    options = ["--data-dir", "data/own", "--name", "back", "--data-root", "data"]
    monkeypatch.setattr(sys, "argv", ["prepare", "data-dir-to-manifests", *options])
    prepare.main()
    assert [s.id for s in lhotse.SupervisionSet.from_file("data/manifests/back_supervisions.jsonl.gz")] == [
        "s-u",
        "s-x",
    ]


BAD_RECORDINGS = {
    "a supervision": (supervision(), r"r\.jsonl:1: a SupervisionSegment instead of a Recording"),
    "stereo": (recording("a.wav", sources=[{"type": "file", "channels": [0, 1], "source": "a.wav"}]), "2 channels"),
    "command": (
        recording("a.wav", sources=[{"type": "command", "channels": [0], "source": "ls"}]),
        "not one audio file",
    ),
    "pipe": (recording("touch owned |"), "pipes are not run"),
    "transforms": (recording("a.wav", transforms=[{"name": "Speed", "kwargs": {"factor": 1.1}}]), "has transforms"),
    "missing field": ({"id": "r", "sources": []}, r"r\.jsonl:1: not a Lhotse Recording"),
    "id": (recording("a.wav", id="../r"), r"recording id '\.\./r'"),
}
BAD_SUPERVISIONS = {
    "no recording": (supervision(recording_id="q"), r"s\.jsonl:1: recording 'q' of supervision 'u' is not in"),
    "no speaker": (supervision(speaker=None), "has no speaker"),
    "speaker": (supervision(speaker="a b"), "speaker id 'a b'"),
    "gender": (supervision(gender="robot"), "gender 'robot'"),
    "outside": (supervision(start=1.5), "'u' is 1.5 to 3.5 s of a recording of 2.0 s"),
    "empty": (supervision(duration=0.0), "'u' is 0.0 to 0.0 s"),
    "NaN": (supervision(duration=float("nan")), "'u' is 0.0 to nan s"),
    "not an object": ("text", r"s\.jsonl:1: not a Lhotse SupervisionSegment"),
}


@pytest.mark.parametrize("case", BAD_RECORDINGS)
def test_a_recording_that_a_data_dir_cannot_hold_is_told_by_its_line(tmp_path, case):
    item, message = BAD_RECORDINGS[case]
    refuses(users_manifests(tmp_path, [item], [supervision()]), tmp_path / "data", message)


@pytest.mark.parametrize("case", BAD_SUPERVISIONS)
def test_a_supervision_that_a_data_dir_cannot_hold_is_told_by_its_line(tmp_path, case):
    item, message = BAD_SUPERVISIONS[case]
    refuses(users_manifests(tmp_path, [recording("a.wav")], [item]), tmp_path / "data", message)


def test_repeated_ids_and_contradictions_are_told_by_their_line(tmp_path):
    once = [recording("a.wav")]
    for recordings, supervisions, message in (
        (once * 2, [supervision()], r"r\.jsonl:2: recording 'r' a second time"),
        (once, [supervision()] * 2, r"s\.jsonl:2: supervision 's-u' a second time"),
        (once, [supervision(gender="f"), supervision(id="v", gender="m")], r"s\.jsonl:2: speaker s is 'm' here"),
        (once, [], r"s\.jsonl: no supervisions"),
    ):
        refuses(users_manifests(tmp_path, recordings, supervisions), tmp_path / "data", message)


def test_files_that_are_no_manifests_are_told(tmp_path):
    recordings, supervisions = users_manifests(tmp_path, [recording("a.wav")], [supervision()])
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(supervisions.read_bytes() * 99)[:-20])
    yaml = tmp_path / "s.yaml"
    yaml.write_text("!!python/object/apply:os.system ['touch owned']\n")
    for path, message in (
        (tmp_path / "none.jsonl", "no such manifest"),
        (yaml, "not JSONL"),
        (cut, r"cut\.jsonl\.gz:\d+: "),
    ):
        refuses((recordings, path), tmp_path / "data", message)


def refuses(manifests, folder, message):
    with pytest.raises(InputError, match=message):
        manifests_to_data_dir(*manifests, folder)
    assert not folder.exists()
