"""What holds for every data dir, tried on made-up ones."""

import gc
import sys
from pathlib import Path

import pytest
from data_dirs import put, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from sv_py import data_dir
from sv_py.cli import InputError
from sv_py.io.data_dir import load, save, validate
from sv_py.io.data_dir_edit import combine, select, split
from sv_py.io.data_dir_mend import fix
from sv_py.io.data_tables import COLUMNS, Table, _scan_lines, _well_formed
from sv_py.io.text import read_table

few = settings(max_examples=25, derandomize=True, deadline=None)


@st.composite
def data_dirs(draw) -> dict[str, dict[str, str]]:
    """Tables of a valid data dir, with or without segments."""
    speakers = draw(st.lists(st.text("abé0-", min_size=1, max_size=3), min_size=1, max_size=5, unique=True))
    counts = {speaker: draw(st.integers(1, 4)) for speaker in speakers}
    utts = {f"{speaker}_{i}": speaker for speaker, n in counts.items() for i in range(n)}
    tables = {
        "utt2spk": utts,
        "utt2dur": {utt: str(draw(st.integers(1, 9))) for utt in utts},
        "utt2num_frames": {utt: str(draw(st.integers(1, 9))) for utt in utts},
        "spk2gender": {speaker: draw(st.sampled_from("mf")) for speaker in speakers},
    }
    if draw(st.booleans()):
        recos = [f"reco{draw(st.integers(0, 2))}" for _ in utts]
        tables["segments"] = {
            utt: f"{reco} {i} {i + 1.5}" for i, (utt, reco) in enumerate(zip(utts, recos, strict=True))
        }
        tables["wav.scp"] = {reco: f"{reco} of tape.wav" for reco in recos}
    else:
        tables["wav.scp"] = {utt: f"{utt}.wav" for utt in utts}
    return tables


def made(tables: dict[str, dict[str, str]], tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "data"
    save({name: Table(folder / name, entries) for name, entries in tables.items()}, {"feats.id": b"x\n"}, folder)
    return folder


@few
@given(tables=data_dirs(), n=st.integers(1, 4), per_utt=st.booleans())
def test_split_then_combine_is_the_identity(tables, n, per_utt, tmp_path_factory):
    folder = made(tables, tmp_path_factory)
    n = min(n, len(set(tables["utt2spk"].values())))
    parts, _ = split(folder, n, per_utt)
    before = snapshot(folder)
    sources = [load(parts / str(job)) for job in range(1, n + 1)]
    combined, extras = combine(sources, note=lambda message: None)
    save(combined, extras, folder.parent / "combined")
    del before["feats.id"]  # goes with feats.scp, of which there is none
    expected = {name: contents for name, contents in before.items() if not name.startswith("split")}
    assert snapshot(folder.parent / "combined") == expected


@few
@given(tables=data_dirs(), data=st.data())
def test_fix_is_idempotent_and_its_result_is_valid(tables, data, tmp_path_factory):
    folder = made(tables, tmp_path_factory)
    for name in sorted(tables):
        entries = tables[name]
        dropped = data.draw(st.sampled_from([None, *sorted(entries)])) if name in ("utt2dur", "wav.scp") else None
        lines = [f"{key} {value}" for key, value in entries.items() if key != dropped]
        put(folder, name, *data.draw(st.permutations(lines)), *lines[:1])
    try:
        fix(folder, note=lambda message: None)
    except InputError as error:
        assert "no utterance is in all of its files" in str(error) or "is empty" in str(error)
        return
    assert validate(folder, wav=False) == []
    once = snapshot(folder)
    fix(folder, note=lambda message: None)
    assert snapshot(folder) == once


@few
@given(tables=data_dirs(), data=st.data())
def test_every_part_of_a_valid_data_dir_is_valid(tables, data, tmp_path_factory):
    folder = made(tables, tmp_path_factory)
    utts = data.draw(st.lists(st.sampled_from(sorted(tables["utt2spk"])), min_size=1, unique=True))
    save(select(load(folder).tables, utts), {}, folder.parent / "part")
    assert validate(folder.parent / "part", wav=False) == []
    assert list(read_table(folder.parent / "part/utt2spk")) == sorted(utts)


@few
@given(tables=data_dirs())
def test_utt2spk_to_spk2utt_and_back_is_the_identity(tables, tmp_path_factory):
    folder = made(tables, tmp_path_factory)
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        for name, source, result in (("to-spk2utt", "utt2spk", "a"), ("to-utt2spk", "a", "b")):
            context.setattr(sys, "argv", ["data_dir.py", name, str(folder / source)])
            with (folder / result).open("w") as out:
                context.setattr(sys, "stdout", out)
                data_dir.main()
    gc.enable()
    assert (folder / "a").read_bytes() == (folder / "spk2utt").read_bytes()
    assert (folder / "b").read_bytes() == (folder / "utt2spk").read_bytes()


@few
@given(tables=data_dirs(), extra=st.sampled_from(["", "\n", "  ", " x"]))
def test_the_fast_reader_accepts_only_what_the_explaining_one_does_not_complain_about(tables, extra):
    for name, entries in tables.items():
        text = "".join(f"{key} {value}\n" for key, value in entries.items())
        text = text.replace(" ", f" {extra}", 1)
        columns = COLUMNS.get(name)
        quick = _well_formed(text.encode(), columns, True)
        slow, complaints = _scan_lines(text, Path(name), columns, True)
        assert quick is None or (quick == slow.entries and not complaints)
        assert quick is not None or complaints
