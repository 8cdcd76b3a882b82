"""The tools that make data dirs from data dirs: copy, combine, take a part, split."""

import shutil
from pathlib import Path

import pytest
from data_dirs import UTTS, append, change, put, rewrite, snapshot

from sv_py.io.data_dir import check, save
from sv_py.io.data_tables import Table
from sv_py.io.text import read_table


def test_copy_takes_every_known_file_and_no_other(plain, tool, tmp_path):
    (plain / "notes.txt").write_text("mine")
    assert tool("copy", plain, tmp_path / "deep" / "copy")[0] == 0
    expected = snapshot(plain)
    del expected["notes.txt"]
    assert snapshot(tmp_path / "deep" / "copy") == expected


def test_models_of_trials_are_copied_and_left_out_of_a_part_that_lacks_their_utterances(plain, tool, tmp_path):
    put(plain, "enrol_spk2utt", "ann-model ann-1 ann-2", "bob bob-1")
    put(plain, "trials_models", "ann-model bob-1 nontarget", "ann-model ann-2 target")
    assert tool("copy", plain, tmp_path / "copy")[0] == 0
    assert snapshot(tmp_path / "copy") == snapshot(plain)
    (tmp_path / "utts").write_text("ann-2\nbob-1\n")
    code, _, err = tool("subset", "--utt-list", tmp_path / "utts", plain, tmp_path / "part")
    assert code == 0 and "enrol_spk2utt names utterances outside the part" in err and "trials_models" in err
    check(tmp_path / "part")
    assert not {"enrol_spk2utt", "trials_models"} & {path.name for path in (tmp_path / "part").iterdir()}


def test_a_model_with_an_unknown_utterance_is_told_with_its_line(plain, tool):
    put(plain, "enrol_spk2utt", "ann-model ann-1", "bob-model bob-1 bob-99")
    put(plain, "trials_models", "bob-model bob-1 target", "ann-model bob-1 nontarget")
    code, _, err = tool("validate", plain)
    assert code == 1
    assert "enrol_spk2utt:2: utterances of 'bob-model' are not in utt2spk: bob-99" in err
    assert "trials_models:1: 1 of the 2 ids in the trials are unknown: bob-model" in err


def test_copy_with_affixes_renames_utterances_and_speakers(plain, tool, tmp_path):
    code, _, err = tool(
        "copy", "--spk-prefix", "sp0.9-", "--utt-prefix", "sp0.9-", "--utt-suffix", "-noise", plain, tmp_path / "x"
    )
    assert code == 0
    assert "not copied" in err and "trials" in err
    check(tmp_path / "x")
    assert (tmp_path / "x/utt2spk").read_text().splitlines()[0] == "sp0.9-ann-1-noise sp0.9-ann"
    assert (tmp_path / "x/spk2gender").read_text().splitlines()[0] == "sp0.9-ann f"
    assert (tmp_path / "x/feats.id").read_bytes() == (plain / "feats.id").read_bytes()


def test_copy_renames_segments_but_not_recordings(cut, tool, tmp_path):
    assert tool("copy", "--utt-suffix", "-noise", cut, tmp_path / "x")[0] == 0
    check(tmp_path / "x")
    assert (tmp_path / "x/wav.scp").read_bytes() == (cut / "wav.scp").read_bytes()


@pytest.mark.parametrize("affix", ["--spk-prefix=x-", "--utt-prefix=a/", "--utt-suffix=a b", "--spk-suffix=-long"])
def test_copy_refuses_affixes_that_make_an_invalid_data_dir(affix, plain, tool, tmp_path):
    assert tool("copy", affix, plain, tmp_path / "x")[0] == 1
    assert not (tmp_path / "x").exists()


def test_copy_over_a_data_dir_removes_its_stale_tables_and_keeps_its_other_files(plain, tool, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(plain, old)
    put(old, "utt2lang", *(f"{u} en" for u in UTTS))
    (old / "notes.txt").write_text("mine")
    assert tool("copy", plain, old)[0] == 0
    assert snapshot(old) == {**snapshot(plain), "notes.txt": b"mine"}


def test_no_tool_writes_into_something_that_is_not_a_data_dir(plain, tool, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis").write_text("dear")
    (tmp_path / "file").write_text("dear")
    before = snapshot(tmp_path)
    for dest in (home, tmp_path / "file", plain):
        assert tool("copy", plain, dest)[0] == 1
        assert tool("subset", plain, 2, dest)[0] == 1
        assert tool("combine", dest, plain, plain)[0] == 1
    assert snapshot(tmp_path) == before


def test_copy_checks_the_source_as_validate_opts_say(plain, tool, tmp_path):
    change("wav.scp", "bob-1.wav", "bob-x.wav")(plain)
    code, _, err = tool("copy", "--validate-opts", "--no-text", plain, tmp_path / "x")
    assert code == 1
    assert f"{plain}/wav.scp:3: No such file" in err
    assert tool("copy", "--validate-opts", "--no-wav --no-text", plain, tmp_path / "x")[0] == 0


# --- combine


def two_halves(plain: Path, tool, tmp_path: Path) -> tuple[Path, Path]:
    (plain / "trials").unlink()
    assert tool("subset", "--first", plain, 3, tmp_path / "a")[0] == 0
    assert tool("subset", "--last", plain, 3, tmp_path / "b")[0] == 0
    return tmp_path / "a", tmp_path / "b"


def test_combine_of_two_halves_is_the_whole(plain, tool, tmp_path):
    a, b = two_halves(plain, tool, tmp_path)
    assert tool("combine", tmp_path / "both", a, b)[0] == 0
    assert snapshot(tmp_path / "both") == snapshot(plain)


def test_combine_leaves_out_files_that_not_all_have_and_says_so(plain, tool, tmp_path):
    a, b = two_halves(plain, tool, tmp_path)
    (b / "vad.scp").unlink()
    code, _, err = tool("combine", tmp_path / "both", a, b)
    assert code == 0
    assert f"not combined: vad.scp, which is not in {b}" in err
    assert not (tmp_path / "both/vad.scp").exists()


def test_combine_refuses_an_utterance_in_two_data_dirs_naming_both(plain, tool, tmp_path):
    a, _ = two_halves(plain, tool, tmp_path)
    code, _, err = tool("combine", tmp_path / "both", plain, a)
    assert code == 1
    assert f"{a}/utt2spk:1: 'ann-1' is also in {plain}/utt2spk:1" in err
    assert not (tmp_path / "both").exists()


@pytest.mark.parametrize("name", ["feats.id", "audio.id"])
def test_combine_refuses_features_and_shards_of_two_makes(plain, tool, tmp_path, name):
    a, b = two_halves(plain, tool, tmp_path)
    put(b, name, "another make")
    code, _, err = tool("combine", tmp_path / "both", a, b)
    assert code == 1
    assert f"{b / name}: differs from {a / name}: they cannot be mixed" in err
    (b / name).unlink()
    assert tool("combine", tmp_path / "both", a, b)[0] == 1
    assert not (tmp_path / "both").exists()


def test_combine_refuses_a_speaker_with_two_genders(plain, tool, tmp_path):
    a, b = two_halves(plain, tool, tmp_path)
    change("spk2gender", "bob m", "bob f")(b)
    code, _, err = tool("combine", tmp_path / "both", a, b)
    assert code == 1
    assert f"{b}/spk2gender:1: 'bob' is also in {a}/spk2gender:2, with the value 'm'" in err


def test_combine_mends_its_sources_unless_told_not_to(plain, tool, tmp_path):
    a, b = two_halves(plain, tool, tmp_path)
    change("feats.scp", "cy-2", "cy-9")(b)
    before = snapshot(b)
    code, _, err = tool("combine", "--skip-fix", "true", tmp_path / "both", a, b)
    assert code == 1
    assert f"{b}/utt2spk:3: not in feats.scp: cy-2" in err
    code, out, err = tool("combine", tmp_path / "both", a, b)
    assert code == 0
    assert "5 utterances" in out and f"{b}/feats.scp lacks 1 of 3 utterances" in err
    check(tmp_path / "both")
    assert snapshot(b) == before


def test_combine_makes_segments_of_whole_recordings_beside_segments(cut, tool, tmp_path, wavs):
    other = tmp_path / "other"
    tables = {"utt2spk": {"dan-1": "dan"}, "wav.scp": {"dan-1": str(wavs / "ann-1.wav")}, "utt2dur": {"dan-1": "0.5"}}
    save({name: Table(other / name, entries) for name, entries in tables.items()}, {}, other)
    assert tool("combine", tmp_path / "both", cut, other)[0] == 0
    check(tmp_path / "both")
    assert read_table(tmp_path / "both/segments")["dan-1"] == "dan-1 0 0.5"
    (other / "utt2dur").unlink()
    code, _, err = tool("combine", tmp_path / "both", cut, other)
    assert code == 1
    assert f"{other}/utt2dur: no such file" in err


# --- subset


@pytest.mark.parametrize(
    ("options", "utts"),
    [
        (["data", 3], ["ann-1", "bob-1", "cy-1"]),
        (["--first", "data", 2], ["ann-1", "ann-2"]),
        (["--last", "data", 2], ["cy-1", "cy-2"]),
        (["--shortest", "data", 2], ["ann-1", "ann-2"]),
        (["--per-spk", "data", 1], ["ann-1", "bob-1", "cy-1"]),
        (["--per-spk", "data", 9], UTTS),
        (["--num-speakers", 2, "data"], ["ann-1", "ann-2", "bob-1", "bob-2"]),
        (["--spk-list", "speakers", "data"], ["ann-1", "ann-2", "cy-1", "cy-2"]),
        (["--utt-list", "utts", "data"], ["ann-2", "cy-1"]),
    ],
)
def test_subset_takes_what_kaldis_options_mean(options, utts, plain, tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "speakers", "cy", "ann")
    put(tmp_path, "utts", "cy-1 anything", "ann-2")
    assert tool("subset", *options, "part")[0] == 0
    check("part")
    assert list(read_table("part/utt2spk")) == utts
    assert (tmp_path / "part/trials").exists() == ({"ann-1", "ann-2", "bob-1"} <= set(utts))


def test_subset_by_speakers_takes_them_whole_and_the_seed_chooses(plain, tool, tmp_path):
    seen = set()
    for seed in range(12):
        dest = tmp_path / f"part{seed}"
        assert tool("subset", "--speakers", "--seed", seed, plain, 3, dest)[0] == 0
        utts = list(read_table(dest / "utt2spk"))
        assert len(utts) == 4
        seen.add(tuple(utts))
        assert tool("subset", "--num-speakers", 2, "--seed", seed, plain, tmp_path / "again")[0] == 0
        assert list(read_table(tmp_path / "again/utt2spk")) == utts
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["data", 7], "data: has 6 utterances, not 7"),
        (["--num-speakers", 4, "data"], "data: has 3 speakers, not 4"),
        (["data", 0], "'0' is not a number above 0"),
        (["data", "three"], "'three' is not a number above 0"),
        (["data"], "<n> is needed"),
        (["--spk-list", "speakers", "data", 3], "<n> has no meaning"),
        (["--spk-list", "speakers", "data"], "speakers:2: the data dir has no speaker 'dan'"),
        (["--utt-list", "speakers", "data"], "speakers:1: the data dir has no utterance 'ann'"),
        (["--utt-list", "missing", "data"], "missing: no such file"),
        (["--first", "--last", "data", 3], "not allowed with argument"),
        (["--frist", "data", 3], "did you mean '--first'?"),
    ],
)
def test_subset_refuses_and_leaves_nothing(options, what, plain, tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "speakers", "ann", "dan")
    code, _, err = tool("subset", *options, "part")
    assert code in (1, 2)
    assert what in err
    assert not (tmp_path / "part").exists()


# --- split


def test_split_keeps_speakers_whole_and_is_made_anew_only_when_the_data_change(plain, tool):
    code, out, _ = tool("split", plain, 2)
    assert code == 0
    assert f"split in {plain}/split2;" in out
    parts = [set(read_table(plain / "split2" / job / "utt2spk")) for job in "12"]
    assert parts == [{"ann-1", "ann-2", "bob-1", "bob-2"}, {"cy-1", "cy-2"}]
    for job in "12":
        check(plain / "split2" / job)
        assert (plain / "split2" / job / "feats.id").exists() and not (plain / "split2" / job / "trials").exists()
    stamp = (plain / "split2").stat().st_ino
    (plain / "utt2spk").touch()
    assert "before" in tool("split", plain, 2)[1]
    assert (plain / "split2").stat().st_ino == stamp
    change("utt2dur", "cy-1 0.5", "cy-1 0.6")(plain)
    assert "before" not in tool("split", plain, 2)[1]
    assert read_table(plain / "split2/2/utt2dur")["cy-1"] == "0.6"
    assert sorted(f.name for f in plain.iterdir() if f.name.startswith((".", "split"))) == ["split2"]


def test_split_by_utterance_goes_into_its_own_folder(plain, tool):
    assert tool("split", "--per-utt", plain, 4)[0] == 0
    assert [len(read_table(plain / f"split4utt/{job}/utt2spk")) for job in range(1, 5)] == [2, 1, 2, 1]


def test_split_into_more_parts_than_speakers_advises_per_utt(plain, tool):
    before = snapshot(plain)
    code, _, err = tool("split", plain, 4)
    assert code == 1
    assert "it has 3 speakers; --per-utt splits by utterance" in err
    assert tool("split", "--per-utt", plain, 7)[0] == 1
    assert snapshot(plain) == before


def test_split_of_segments_takes_only_the_recordings_that_a_part_needs(cut, tool, wavs):
    append("wav.scp", f"tape {wavs / 'call.wav'}")(cut)
    rewrite("segments", lambda t: t.replace("cy-1 call", "cy-1 tape").replace("cy-2 call", "cy-2 tape"))(cut)
    assert tool("split", cut, 3)[0] == 0
    assert [list(read_table(cut / f"split3/{job}/wav.scp")) for job in "123"] == [["call"], ["call"], ["tape"]]
