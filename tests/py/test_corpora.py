"""Scanners of corpora on small copies of their layouts: what they find, and what they refuse before writing."""

import logging
from pathlib import Path

import pytest
from corpus_trees import spoil, text, tone

from sv_py.cli import InputError
from sv_py.data.manifests import recipe_recordings
from sv_py.io.text import read_table

TSV = "utt-id\tspeaker\tsession\tgender\tfile\n"


def an4(folder, extension=".flac", speakers=("fash", "fbbh", "mblb", "mmxg"), **kind):
    ids = [f"an4_clstk/{s}/an{i}-{s}-b" for s in speakers[:-1] for i in (1, 2)]
    test = [f"an4test_clstk/{speakers[-1]}/cen1-{speakers[-1]}-b"]
    for fileid in ids + test:
        tone(folder / "wav" / f"{fileid}{extension}", **kind)
    text(folder / "etc/an4_train.fileids", "\n".join(ids) + "\n")
    text(folder / "etc/an4_test.fileids", "\n".join(test) + "\n")


def so762(folder):
    """The layout of the distribution: tabs, relative paths, plain speaker numbers."""
    for part, speaker, gender in (("train", "0001", "m"), ("test", "0003", "f")):
        utts = [f"{speaker}{i:05d}" for i in (11, 35)]
        for utt in utts:
            tone(folder / f"WAVE/SPEAKER{speaker}/{utt}.WAV")
        text(folder / part / "wav.scp", "".join(f"{u}\tWAVE/SPEAKER{speaker}/{u}.WAV\n" for u in utts))
        text(folder / part / "utt2spk", "".join(f"{u}\t{speaker}\n" for u in utts))
        text(folder / part / "spk2gender", f"{speaker}\t{gender}\n")


def librispeech(folder):
    text(folder / "SPEAKERS.TXT", ";ID  |SEX| SUBSET |MINUTES| NAME\n14   | F | dev-clean | 25.03 | A | B\n\n")
    tone(folder / "dev-clean/14/208/14-208-0000.flac")
    text(folder / "dev-clean/14/208/14-208.trans.txt", "14-208-0000 WORDS\n")


def test_an4_splits_its_sorted_speakers_in_turn(tmp_path, prepare):
    an4(tmp_path / "corpus")
    data = prepare("an4")
    assert list(read_table(data / "an4_all/spk2gender").items()) == [
        ("an4-fash", "f"), ("an4-fbbh", "f"), ("an4-mblb", "m"), ("an4-mmxg", "m"),
    ]  # fmt: skip
    assert list(read_table(data / "an4_train/spk2utt")) == ["an4-fash", "an4-mblb"]
    assert read_table(data / "an4_test/utt2spk") == {
        "an4-fbbh-s1-an1-fbbh-b": "an4-fbbh",
        "an4-fbbh-s1-an2-fbbh-b": "an4-fbbh",
        "an4-mmxg-s1-cen1-mmxg-b": "an4-mmxg",
    }


@pytest.mark.parametrize(("extension", "format"), [(".sph", "NIST"), (".wav", "WAV")])
def test_an4_is_read_as_sphere_and_as_wav(tmp_path, prepare, extension, format):
    an4(tmp_path / "corpus", extension, format=format)
    data = prepare("an4")
    assert read_table(data / "an4_all/utt2dur")["an4-fash-s1-an1-fash-b"] == "0.05"
    assert read_table(data / "an4_all/wav.scp")["an4-fash-s1-an1-fash-b"].endswith(
        f"/corpus/wav/an4_clstk/fash/an1-fash-b{extension}"
    )


def test_both_layouts_of_speechocean762_give_the_same_ids(tmp_path, prepare):
    so762(tmp_path / "corpus")
    first = prepare("speechocean762")
    tables = {
        f: (first / f).read_text() for f in ("so762_train/utt2spk", "so762_test/utt2spk", "so762_test/spk2gender")
    }
    assert tables["so762_test/utt2spk"].splitlines()[0] == "so762-0003-s1-000300011 so762-0003"

    (tmp_path / "corpus").rename(tmp_path / "own")
    rows = "utt-id\tspeaker\tsession\tgender\tpart\tfile\r\n"
    for part, speaker, gender in (("train", "0001", "m"), ("test", "0003", "f")):
        for utt in (f"{speaker}{i:05d}" for i in (11, 35)):
            tone(tmp_path / f"corpus/so762-{speaker}/s1/{utt}.flac")
            file = f"so762-{speaker}/s1/{utt}.flac"
            rows += f"so762-{speaker}-s1-{utt}\tso762-{speaker}\ts1\t{gender}\t{part}\t{file}\r\n"
    text(tmp_path / "corpus/so762.tsv", rows)
    second = prepare("speechocean762")
    assert tables == {f: (second / f).read_text() for f in tables}


def test_librispeechs_own_tree_gives_the_ids_of_its_tsv(tmp_path, prepare):
    librispeech(tmp_path / "corpus")
    data = prepare("librispeech")
    assert read_table(data / "librispeech/utt2spk") == {"ls-14-ch208-14-208-0000": "ls-14"}
    assert read_table(data / "librispeech/spk2gender") == {"ls-14": "f"}


def test_librispeechs_recordings_are_those_of_lhotses_recipe(tmp_path, prepare):
    librispeech(tmp_path / "corpus")
    wavs = read_table(prepare("librispeech") / "librispeech/wav.scp")
    found = {(name.removeprefix("ls-14-ch208-"), path) for name, path in wavs.items()}
    theirs = {(name, path) for _, name, path in recipe_recordings("librispeech", tmp_path / "corpus")}
    assert found == theirs and len(found) == 1


def test_a_tree_with_and_without_sessions_needs_no_table(tmp_path, prepare):
    for file in ("anna/one.wav", "anna/s2/two.ogg", "bert/s1/x y/../three.flac"):
        tone((tmp_path / "corpus" / file).resolve())
    text(tmp_path / "corpus/README", "not audio, and no speaker's")
    text(tmp_path / "corpus/anna/.DS_Store", "hidden")
    data = prepare("dir", "--spk-prefix", "my-", "--name", "calls")
    assert list(read_table(data / "calls/utt2spk").items()) == [
        ("my-anna-one", "my-anna"), ("my-anna-s2-two", "my-anna"), ("my-bert-s1-three", "my-bert"),
    ]  # fmt: skip
    assert not (data / "calls/spk2gender").exists()


def test_utterance_ids_of_a_tsv_get_the_speaker_before_them(tmp_path, prepare, caplog):
    tone(tmp_path / "corpus/a.wav")
    text(tmp_path / "list.tsv", TSV + "one\tspk\t\tFemale\ta.wav\r\n")
    caplog.set_level(logging.INFO)
    data = prepare("dir", "--tsv", tmp_path / "list.tsv", "--spk-prefix", "p-")
    assert read_table(data / "corpus/utt2spk") == {"p-spk-one": "p-spk"}
    assert read_table(data / "corpus/spk2gender") == {"p-spk": "f"}
    assert "1 utterance ids" in caplog.text


def test_bad_files_are_left_out_and_counted_only_on_request(tmp_path, prepare, caplog):
    tone(tmp_path / "corpus/a/good.wav")
    tone(tmp_path / "corpus/a/none.wav", samples=0)
    tone(tmp_path / "corpus/a/stereo.wav", channels=2)
    text(tmp_path / "corpus/a/empty.wav", "")
    text(tmp_path / "corpus/a/good.txt", "the same stem as good.wav")
    with pytest.raises(
        InputError, match=r"4 of 5 files cannot be used: .*empty\.wav: empty file, .*good\.txt: .* and 1 more"
    ):
        prepare("dir")
    assert not (tmp_path / "data").exists()
    assert list(read_table(prepare("dir", "--skip-bad") / "corpus/utt2spk")) == ["a-good"]
    assert "4 of 5 files left out" in caplog.text


def test_a_second_run_changes_nothing_and_keeps_what_else_lies_there(tmp_path, prepare):
    tone(tmp_path / "corpus/a/x.wav")
    data = prepare("dir")
    text(data / "corpus/trials", "a-x a-x target\n")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (data / "corpus").iterdir()}
    manifests = {p: p.read_bytes() for p in (data / "manifests").iterdir()}
    prepare("dir")
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (data / "corpus").iterdir()}
    assert manifests == {p: p.read_bytes() for p in (data / "manifests").iterdir()}

    tone(tmp_path / "corpus/b/y.wav")
    prepare("dir")
    assert read_table(data / "corpus/spk2utt") == {"a": "a-x", "b": "b-y"}
    assert (data / "corpus/trials").exists()


def rows(*lines, header=TSV):
    """A corpus of one good file and a TSV."""

    def build(folder):
        tone(folder / "a.wav")
        text(folder / "list.tsv", header + "".join(f"{line}\n" for line in lines))

    return build


def tree(*files):
    def build(folder):
        folder.mkdir()
        for file in files:
            tone(folder / file)

    return build


def parts(*lines):
    return rows(*lines, header="utt\tspeaker\tpart\tgender\tfile\n")


def misplaced(folder):
    librispeech(folder)
    tone(folder / "dev-clean/14/209/14-208-0001.flac")


def raw(folder):
    an4(folder, ".raw", format="RAW", subtype="PCM_16")


def no_gender(folder):
    tone(folder / "wav/an4_clstk/xbcd/an1-xbcd-b.wav")
    text(folder / "etc/all.fileids", "an4_clstk/xbcd/an1-xbcd-b\n")


LOST = "an4_clstk/fash/an1-fash-b"

TREES = {
    "no folder": (lambda folder: None, "no such folder"),
    "empty folder": (tree(), "no audio files found"),
    "only files at the top": (tree("a.wav"), "no audio files found"),
    "too deep": (tree("a/b/c/d.wav"), r"/a/b/c: deeper than speaker/session/utterance"),
    "space in the speaker": (tree("an na/x.wav"), r"x\.wav: .* 'an na-x' is empty or holds a space"),
    "space in the stem": (tree("anna/x y.wav"), r"x y\.wav: utterance id"),
    "dots in the stem": (tree("anna/x..y.wav"), r"holds .* '\.\.'"),
    "control character": (tree("anna/x\ty.wav"), r"utterance id"),
    "name that is not UTF-8": (tree("anna/x\udcff.wav"), "utterance id"),
    "one stem twice": (tree("a/x.wav", "a/x.flac"), r"utterance a-x a second time: .*x\.flac and .*x\.wav"),
    "a session that looks like a stem": (tree("a/s/x.wav", "a/s-x.wav"), "utterance a-s-x a second time"),
    "broken wav": (spoil(tree("a/x.wav"), "a/x.wav", "RIFF but no more"), "1 of 1 files cannot be used"),
    "broken flac": (spoil(tree("a/x.flac"), "a/x.flac", b"fLaC\0\0"), "1 of 1 files cannot be used"),
}
TSVS = {
    "misspelt column": (rows(header="utt\tspaeker\tfile\n"), r"tsv:1: no column 'speaker' .*did you mean 'spaeker'"),
    "no utterance column": (rows(header="id\tspeaker\tfile\n"), r"tsv:1: no column 'utt-id'"),
    "column twice": (rows(header="utt\tspeaker\tfile\tfile\n"), r"tsv:1: a column name occurs twice"),
    "header only": (rows(), r"tsv:1: a header and no rows"),
    "commas": (rows(header="utt-id,speaker,file\n"), r"tsv:1: no column"),
    "empty table": (rows(header=""), r"tsv: is empty"),
    "missing cell": (rows("s-1\ts\t\tm"), r"tsv:2: 4 columns instead of 5"),
    "blank line": (rows("s-1\ts\t\tm\ta.wav", ""), r"tsv:3: blank line"),
    "stray carriage return": (rows("s-1\ts\r\t\tm\ta.wav"), r"tsv:2: carriage return"),
    "id that leaves its folder": (rows("s-../../x\ts\t\tm\ta.wav"), r"tsv:2: utterance id .* holds '/'"),
    "speaker that leaves its folder": (rows("x\t..\t\tm\ta.wav"), r"tsv:2: speaker id '\.\.' holds"),
    "empty speaker": (rows("s-1\t\t\tm\ta.wav"), r"tsv:2: speaker id '' is empty"),
    "empty file": (rows("s-1\ts\t\tm\t"), r"tsv:2: no file"),
    "a pipe": (rows("s-1\ts\t\tm\ttouch owned |"), r"tsv:2: pipes are not run"),
    "unknown gender": (rows("s-1\ts\t\tx\ta.wav"), r"tsv:2: gender 'x' is neither m nor f"),
    "two genders": (rows("s-1\ts\t\tm\ta.wav", "s-2\ts\t\tf\ta.wav"), r"tsv:3: speaker s is 'f' here and was 'm'"),
    "utterance twice": (rows("s-1\ts\t\tm\ta.wav", "s-1\ts\t\tm\ta.wav"), r"tsv:3: utterance s-1 a second time"),
    "missing file": (rows("s-1\ts\t\tm\tb.wav"), r"1 of 1 files cannot be used: .*/b\.wav: No such file"),
    "a folder as file": (rows("s-1\ts\t\tm\t."), "not a file"),
}
AN4 = {
    "another folder": (tree("a/x.wav"), r"no etc/\*\.fileids here"),
    "missing audio": (spoil(an4, f"wav/{LOST}.flac"), f"1 listed files are not in wav/: {LOST}"),
    "raw audio": (raw, r"7 listed files .* get the sphere version"),
    "no folder in an id": (spoil(an4, "etc/an4_test.fileids", "fash/an1\n"), r"test\.fileids:1: expected 'folder/spe"),
    "id that leaves its folder": (spoil(an4, "etc/an4_test.fileids", "a/../b\n"), r"test\.fileids:1: name '\.\.'"),
    "speaker of no gender": (no_gender, r"all\.fileids:1: gender 'x' is neither"),
}
SPEECHOCEAN762 = {
    "another folder": (tree("a/x.wav"), "neither train/wav.scp nor one TSV"),
    "no speaker": (spoil(so762, "train/utt2spk", "000100011 0001\n"), r"train/wav\.scp:2: utterance 000100035 is not"),
    "no gender": (spoil(so762, "test/spk2gender", "0009 f\n"), r"test/wav\.scp:1: speaker 0003 of"),
    "missing table": (spoil(so762, "test/spk2gender"), "spk2gender: no such file"),
    "missing audio": (spoil(so762, "WAVE/SPEAKER0003/000300011.WAV"), "1 of 4 files cannot be used"),
    "a part of its own": (parts("s-1\ts\tdev\tm\ta.wav"), r"tsv:2: part 'dev'"),
    "speaker in both": (
        parts("s-1\ts\ttrain\tm\ta.wav", "s-2\ts\ttest\tm\ta.wav"),
        r"tsv:3: speaker s is in train and",
    ),
}
LIBRISPEECH = {
    "another folder": (tree("a/x.wav"), r"neither SPEAKERS\.TXT nor one TSV"),
    "unlisted speaker": (spoil(librispeech, "SPEAKERS.TXT", "15 | F | x\n"), "speaker 14 is not in"),
    "strange table": (spoil(librispeech, "SPEAKERS.TXT", "14\n"), r"SPEAKERS\.TXT:1: expected 'ID"),
    "misplaced file": (misplaced, "not named 14-209-"),
}
MALFORMED = [
    pytest.param(command, *case, id=f"{command} {name}")
    for command, cases in (
        ("dir", TREES), ("tsv", TSVS), ("an4", AN4), ("speechocean762", SPEECHOCEAN762), ("librispeech", LIBRISPEECH)
    )
    for name, case in cases.items()
]  # fmt: skip


@pytest.mark.parametrize(("command", "build", "message"), MALFORMED)
def test_malformed_corpora_are_told_before_anything_is_written(tmp_path, prepare, command, build, message):
    build(tmp_path / "corpus")
    with pytest.raises(InputError, match=message):
        if command == "tsv":
            prepare("dir", "--tsv", tmp_path / "corpus/list.tsv")
        else:
            prepare(command)
    assert not (tmp_path / "data").exists()


def test_a_set_must_have_a_name_that_stays_in_the_data_root(tmp_path, prepare):
    tone(tmp_path / "corpus/a/x.wav")
    with pytest.raises(InputError, match="name of the set"):
        prepare("dir", "--name", "../elsewhere")
    assert sorted(Path(tmp_path).iterdir()) == [tmp_path / "corpus"]
