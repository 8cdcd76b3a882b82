"""VoxBlink and VoxBlink2 as their scripts crop them: sets by the corpus's lists, genders, languages, bad input."""

import logging

import pytest
from corpus_trees import copy, text, tone

from sv_py.cli import InputError
from sv_py.io.data_dir import check
from sv_py.io.text import read_table

CLEAN = ["id00000-DwgYRqnQZHM-00000", "id00007-a-b_c-00002"]
FULL = [*CLEAN, "id00007-zzz-00000"]


@pytest.fixture
def voxblink(tmp_path, shared):
    """Three listed utterances, and one that is not listed; one more is listed and was not to be had."""
    folder = tmp_path / "corpus"
    files = iter(sorted((shared / "corpora/an4/wav").rglob("*.flac")))
    for place in ("id00000/DwgYRqnQZHM/00000", "id00007/a-b_c/00002", "id00007/zzz/00000", "id00009/x/00000"):
        copy(next(files), folder / f"audio/{place}.wav")
    text(folder / "resource/data/utt_clean", "".join(f"{utt}\n" for utt in CLEAN))
    text(folder / "resource/data/utt_full", "".join(f"{utt}\n" for utt in [*FULL, "id00008-gone-00001"]))
    text(folder / "resource/meta/spk2gender", "id00007 male\nid00000 f\n")
    text(folder / "resource/meta/spk2lan", "id00000 en\nid00007 pt\n")
    return folder


def prefixed(names):
    return [f"vb1-{name}" for name in names]


def test_the_lists_make_a_full_and_a_clean_set(voxblink, prepare, caplog):
    data = prepare("voxblink")
    assert list(read_table(data / "voxblink_full/utt2spk")) == prefixed(FULL)
    assert list(read_table(data / "voxblink_clean/utt2spk")) == prefixed(CLEAN)
    assert "1 of 4 listed utterances are not there: id00008-gone-00001" in caplog.text
    assert read_table(data / "voxblink_clean/spk2gender") == {"vb1-id00000": "f", "vb1-id00007": "m"}
    assert list(read_table(data / "voxblink_clean/utt2lang").values()) == ["en", "pt"]
    for name in ("voxblink_full", "voxblink_clean"):
        check(data / name)


def test_audio_in_the_folder_of_the_croppers_guide_and_lists_with_more_columns_give_the_same(voxblink, prepare):
    before = (prepare("voxblink") / "voxblink_full/utt2spk").read_bytes()
    (voxblink / "data").mkdir()
    (voxblink / "audio").rename(voxblink / "data/audio")
    text(voxblink / "resource/data/utt_full", "".join(f"{utt} 3.25 \n" for utt in FULL))
    assert (prepare("voxblink") / "voxblink_full/utt2spk").read_bytes() == before


def test_videos_that_were_not_cropped_are_told(tmp_path, prepare):
    tone(tmp_path / "corpus/audio/id000000/DwgYRqnQZHM.wav")
    with pytest.raises(InputError, match="corpus: no audio files found"):
        prepare("voxblink2")


def test_where_only_the_clean_part_was_downloaded_that_is_the_only_set(voxblink, prepare):
    (voxblink / "resource/data/utt_full").unlink()
    data = prepare("voxblink")
    assert list(read_table(data / "voxblink_clean/utt2spk")) == prefixed(CLEAN)
    assert not (data / "voxblink_full").exists()


def test_without_lists_everything_is_taken_and_that_is_said(voxblink, prepare, caplog):
    (voxblink / "resource").rename(voxblink / "elsewhere")
    data = prepare("voxblink")
    assert list(read_table(data / "voxblink_full/utt2spk")) == prefixed([*FULL, "id00009-x-00000"])
    assert not (data / "voxblink_clean").exists() and not (data / "voxblink_full/spk2gender").exists()
    assert "every file is taken, and no clean set made" in caplog.text


def test_voxblink2_has_no_list_and_speakers_of_its_own(tmp_path, voxblink, prepare):
    (voxblink / "audio/id00000").rename(voxblink / "audio/id000000")
    data = prepare("voxblink2")
    assert list(read_table(data / "voxblink2/spk2utt")) == ["vb2-id000000", "vb2-id00007", "vb2-id00009"]
    assert len(read_table(data / "voxblink2/utt2spk")) == 4


def test_files_that_the_download_spoilt_stop_it_unless_they_may_be_left_out(voxblink, prepare, tmp_path, caplog):
    tone(voxblink / "audio/id00007/zzz/00000.wav", channels=2)
    with pytest.raises(InputError, match=r"1 of 3 files cannot be used: .*zzz/00000\.wav: 2 channels"):
        prepare("voxblink")
    assert not (tmp_path / "data").exists()
    caplog.set_level(logging.INFO)
    assert list(read_table(prepare("voxblink", "--skip-bad", "true") / "voxblink_full/utt2spk")) == prefixed(CLEAN)
    assert "1 of 3 files left out" in caplog.text


@pytest.mark.parametrize(
    ("path", "contents", "message"),
    [
        ("data/utt_clean", "id00001-x-00000\n", r"utt_clean: not in utt_full: id00001-x-00000"),
        ("data/utt_full", "id00008-gone-00001\n", r"not in utt_full"),
        ("data/utt_full", "", r"utt_full: is empty"),
        ("meta/spk2gender", "id00000 x\n", r"spk2gender:1: gender 'x'"),
        ("meta/spk2gender", "id00000\n", r"spk2gender:1: expected 'id value'"),
        ("meta/spk2lan", "id00000 en\nid00000 fr\n", r"spk2lan:2: 'id00000' a second time"),
    ],
)
def test_broken_lists_are_told_with_the_line_before_anything_is_written(
    voxblink, prepare, tmp_path, path, contents, message
):
    text(voxblink / "resource" / path, contents)
    with pytest.raises(InputError, match=message):
        prepare("voxblink")
    assert not (tmp_path / "data").exists()


def test_another_folder_and_lists_of_which_nothing_is_there_are_errors(voxblink, prepare):
    text(voxblink / "resource/data/utt_full", "id00008-gone-00001\n")
    (voxblink / "resource/data/utt_clean").unlink()
    with pytest.raises(InputError, match="not one of the listed utterances is there"):
        prepare("voxblink")
    (voxblink / "audio").rename(voxblink / "sound")
    for corpus in ("voxblink", "voxblink2"):
        with pytest.raises(InputError, match=r"corpus: no audio/idNNNNN here"):
            prepare(corpus)
