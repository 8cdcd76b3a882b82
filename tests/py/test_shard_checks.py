"""Shards against their index: damage is found and named; a move is written down only when all is in its new place."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.ark import ArkReader, write_ark
from sv_py.io.audio_ark import AudioArkReader, write_audio_ark
from sv_py.io.shard_checks import check_shards, relocate
from sv_py.io.shard_index import Shard, read_index, sha256_of
from sv_py.io.text import read_table, write_lines, write_table

UTTS = [f"{speaker}-{n}" for speaker in ("ann", "bob") for n in range(3)]


def add_to_index(index: Path, ark: Path, utts: list[str]) -> None:
    lines = index.read_text().splitlines() if index.exists() else []
    shard = Shard(ark, ark.stat().st_size, sha256_of(ark), len(utts), 1.5, len({utt[:3] for utt in utts}))
    write_lines(index, sorted([*lines, shard.line()]))


@pytest.fixture
def data(tmp_path) -> Path:
    """A data dir with two shards of audio in tmp_path/old/audio and one of features in tmp_path/old/fbank."""
    folder, audio, fbank = tmp_path / "data", tmp_path / "old" / "audio", tmp_path / "old" / "fbank"
    for path in (folder, audio, fbank):
        path.mkdir(parents=True)
    places: dict[str, str] = {}
    for number, utts in ((1, UTTS[:3]), (2, UTTS[3:])):
        ark, scp = audio / f"audio.{number}.ark", audio / f"audio.{number}.scp"
        write_audio_ark(ark, scp, ((utt, np.full(100, number, np.int16)) for utt in utts), 16000)
        add_to_index(audio / "audio.index", ark, utts)
        places |= read_table(scp)
    write_table(folder / "audio.scp", places)
    write_ark(fbank / "fbank.ark", folder / "feats.scp", ((utt, np.ones((4, 3))) for utt in UTTS))
    add_to_index(fbank / "fbank.index", fbank / "fbank.ark", UTTS)
    write_table(folder / "wav.scp", places | {"bob-2": "/corpus/bob-2.wav"})
    return folder


def faults(path: Path, checksums: bool = True) -> list[str]:
    return [str(fault) for fault in check_shards(path, checksums)[0]]


def test_whole_shards_are_found_by_index_folder_and_data_dir(data, tmp_path):
    paths = {tmp_path / "old/audio/audio.index": 2, tmp_path / "old/audio": 2, tmp_path / "old/fbank": 1, data: 3}
    for path, count in paths.items():
        for checksums in (True, False):
            assert check_shards(path, checksums) == ([], count)


def change_byte(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def test_truncated_altered_and_missing_shards_are_named(data, tmp_path):
    first, second = (tmp_path / f"old/audio/audio.{n}.ark" for n in (1, 2))
    change_byte(first, 200)
    for path in (first.parent, first.with_name("audio.index"), data):
        assert faults(path) == [f"{first}: altered: its checksum is not that of the index"]
        assert faults(path, checksums=False) == []
    size = first.stat().st_size
    shutil.copy(second, tmp_path / "copy")
    with first.open("r+b") as file:
        file.truncate(size - 1)
    second.unlink()
    expected = [
        f"{first}: truncated: {size - 1} instead of {size} bytes",
        f"{second}: missing: No such file or directory",
    ]
    for checksums in (True, False):
        assert faults(first.parent, checksums) == expected and faults(data, checksums) == expected
    shutil.copy(tmp_path / "copy", second)
    with first.open("ab") as file:
        file.write(b"12")
    assert faults(data) == [f"{first}: too long: {size + 1} instead of {size} bytes"]


def test_every_place_of_a_data_dir_lies_in_a_shard_and_is_that_of_its_utterance(data, tmp_path):
    places = read_table(data / "audio.scp")
    write_table(data / "audio.scp", places | {"ann-0": places["ann-1"], "bob-2": f"{tmp_path}/old/audio/audio.2.ark:3"})
    assert faults(data) == [f"{data}/audio.scp: 2 entries are not at their places: ann-0, bob-2"]
    write_table(data / "audio.scp", places)
    (tmp_path / "old/fbank/fbank.index").unlink()
    assert faults(data) == [
        f"{tmp_path}/old/fbank/fbank.ark: in no index of its folder (*.index), but in {data}/feats.scp"
    ]


def test_utterances_that_were_renamed_are_at_the_places_of_their_former_names(data, tmp_path):
    places = read_table(data / "audio.scp")
    (data / "feats.scp").unlink()
    renamed = {f"noisy-{utt}-1": place for utt, place in places.items()}
    write_table(data / "audio.scp", renamed)
    assert faults(data) == []
    write_table(data / "audio.scp", renamed | {"noisy-ann-0-1": places["ann-1"]})
    assert faults(data) == [f"{data}/audio.scp: 1 entries are not at their places: noisy-ann-0-1"]


def test_a_thousand_shards_in_one_index_take_no_longer_than_their_number(tmp_path):
    data, old, new = (tmp_path / name for name in ("data", "old", "new"))
    data.mkdir()
    old.mkdir()
    utts = [f"u{n:03}" for n in range(1000)]
    for utt in utts:
        (old / f"{utt}.ark").write_bytes(f"{utt} abc".encode())
    write_lines(old / "x.index", (Shard(old / f"{utt}.ark", 8, "0" * 64, 1, 1.0, 1).line() for utt in utts))
    write_table(data / "feats.scp", {utt: f"{old}/{utt}.ark:5" for utt in utts})
    shutil.copytree(old, new)
    begin = time.process_time()
    assert faults(data, checksums=False) == [] and relocate(data, str(old), str(new)) == {"feats.scp": 1000}
    assert time.process_time() - begin < 2  # ten times that if each shard reads the index


def test_the_name_of_a_shard_may_hold_spaces(tmp_path):
    ark = tmp_path / "audio_my train.1.ark"
    write_ark(ark, tmp_path / "x.scp", [("u", np.ones((1, 1)))])
    add_to_index(tmp_path / "x.index", ark, ["u"])
    assert list(read_index(tmp_path / "x.index")) == [ark] and faults(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("a.ark 12 abc 1 1.0\n", ":1: not 'ark bytes sha256 utterances seconds speakers': 'a.ark 12 abc 1 1.0'"),
        ("a.ark twelve abc 1 1.0 1\n", ":1: not 'ark bytes sha256 utterances seconds speakers': 'a.ark twelve"),
        ("a.ark 12 abc 1 1.0 1\na.ark 12 abc 1 1.0 1\n", ":2: 'a.ark' a second time"),
    ],
)
def test_a_damaged_index_is_an_error_with_its_line(tmp_path, text, expected):
    (tmp_path / "x.index").write_text(text)
    with pytest.raises(InputError) as error:
        check_shards(tmp_path, checksums=True)
    assert f"{tmp_path}/x.index{'' if expected.startswith(':') else ': '}{expected}" in str(error.value)


def test_what_has_no_shards_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="no index"):
            check_shards(path, checksums=True)


def test_after_a_move_the_places_are_the_new_ones_and_give_the_same_audio(data, tmp_path):
    shutil.move(tmp_path / "old", tmp_path / "new")
    changed = relocate(data, f"{tmp_path}/old/", f"{tmp_path}/new")
    assert changed == {"audio.scp": 6, "feats.scp": 6, "wav.scp": 5}
    assert faults(data) == []
    assert AudioArkReader().read(read_table(data / "audio.scp")["bob-0"]).tolist() == [2] * 100
    assert ArkReader().read(read_table(data / "feats.scp")["bob-0"]).shape == (4, 3)
    assert read_table(data / "wav.scp")["bob-2"] == "/corpus/bob-2.wav"
    assert {path.name for path in data.iterdir()} == {"audio.scp", "feats.scp", "wav.scp"}


def test_places_are_absolute_though_the_new_folder_is_named_from_here(data, tmp_path, monkeypatch):
    shutil.move(tmp_path / "old", tmp_path / "new")
    monkeypatch.chdir(tmp_path)
    relocate(data, f"{tmp_path}/old", "new/")
    assert read_table(data / "audio.scp")["ann-0"] == f"{tmp_path}/new/audio/audio.1.ark:6"


def test_only_what_lies_under_the_old_folder_moves(data, tmp_path):
    shutil.copytree(tmp_path / "old/audio", tmp_path / "elsewhere")
    assert relocate(data, f"{tmp_path}/old/audio", f"{tmp_path}/elsewhere") == {"audio.scp": 6, "wav.scp": 5}
    with pytest.raises(InputError, match="no ark under"):
        relocate(data, f"{tmp_path}/old/fb", f"{tmp_path}/elsewhere")


def spoil_size(new: Path) -> str:
    with (new / "audio/audio.2.ark").open("ab") as file:
        file.write(b"1")
    return "audio.2.ark: too long: "


def spoil_ark(new: Path) -> str:
    (new / "fbank/fbank.ark").unlink()
    return "fbank.ark: missing: "


def spoil_index(new: Path) -> str:
    (new / "audio/audio.index").unlink()
    return "audio.1.ark: in no index of its folder"


@pytest.mark.parametrize("spoil", [spoil_size, spoil_ark, spoil_index])
def test_nothing_changes_unless_every_shard_is_whole_in_its_new_place(data, tmp_path, spoil):
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    expected = spoil(tmp_path / "new")
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    with pytest.raises(InputError, match="nothing was changed") as error:
        relocate(data, f"{tmp_path}/old", f"{tmp_path}/new")
    assert expected in str(error.value)
    assert before == {path.name: path.read_bytes() for path in data.iterdir()}


def test_a_mistaken_old_folder_is_an_error_with_the_near_miss(data, tmp_path):
    with pytest.raises(InputError) as error:
        relocate(data, f"{tmp_path}/old/adio", f"{tmp_path}/new")
    assert f"no ark under {tmp_path}/old/adio (did you mean '{tmp_path}/old/audio'?); they are in " in str(error.value)


def test_the_scripts_tell_by_their_exit_status(data, tmp_path, root, run):
    run(root / "utils/validate_shards.sh", data)
    change_byte(tmp_path / "old/audio/audio.1.ark", 90)
    done = run(root / "utils/validate_shards.sh", data, code=1)
    assert "audio.1.ark: altered" in done.stderr
    done = run(root / "utils/validate_shards.sh", "--checksums", "false", data)
    assert "3 shards whole, by their sizes" in done.stdout
    shutil.move(tmp_path / "old", tmp_path / "new")
    done = run(root / "utils/validate_shards.sh", data, code=1)
    assert "audio.1.ark: in no index" in done.stderr
    done = run(root / "utils/relocate_shards.sh", data, tmp_path / "old", tmp_path / "new")
    assert f"{data}/audio.scp: 6 lines now in {tmp_path}/new" in done.stdout
    run(root / "utils/relocate_shards.sh", data, tmp_path / "old", tmp_path / "new", code=1)
    assert len(read_index(tmp_path / "new/audio/audio.index")) == 2
