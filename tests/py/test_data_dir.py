"""Data-dir tools on real directories: what they accept, what they refuse, and that refusing leaves no trace."""

import gc
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sv_py import data_dir
from sv_py.cli import InputError
from sv_py.io.data_dir import check, load, save, validate
from sv_py.io.data_dir_edit import combine, select, split
from sv_py.io.data_dir_mend import fix
from sv_py.io.data_tables import Table
from sv_py.io.text import read_table

UTTS = ["ann-1", "ann-2", "bob-1", "bob-2", "cy-1", "cy-2"]
few = settings(max_examples=25, derandomize=True, deadline=None)


@pytest.fixture(scope="session")
def wavs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wavs")
    for name in [*UTTS, "call"]:
        noise = np.random.default_rng(0).normal(0, 0.1, 4000 if name != "call" else 24000)
        soundfile.write(folder / f"{name}.wav", noise, 8000)
    return folder


@pytest.fixture
def plain(tmp_path, wavs) -> Path:
    """Three speakers, six recordings, everything that a data dir may have."""
    folder = tmp_path / "data"
    folder.mkdir()
    put(folder, "wav.scp", *(f"{u} {wavs / u}.wav" for u in UTTS))
    fill(folder)
    return folder


@pytest.fixture
def cut(tmp_path, wavs) -> Path:
    """The same six utterances as segments of one recording of 3 s."""
    folder = tmp_path / "data"
    folder.mkdir()
    put(folder, "wav.scp", f"call {wavs / 'call'}.wav")
    put(folder, "segments", *(f"{u} call {i * 0.5} {i * 0.5 + 0.5}" for i, u in enumerate(UTTS)))
    fill(folder)
    return folder


def fill(folder: Path) -> None:
    put(folder, "utt2spk", *(f"{u} {u.split('-')[0]}" for u in UTTS))
    put(folder, "spk2utt", *(f"{s} {s}-1 {s}-2" for s in ("ann", "bob", "cy")))
    put(folder, "spk2gender", "ann f", "bob m", "cy m")
    put(folder, "utt2dur", *(f"{u} 0.5" for u in UTTS))
    put(folder, "text", *(f"{u} HELLO TO YOU" for u in UTTS))
    put(folder, "feats.scp", *(f"{u} exp/fbank.1.ark:{i}" for i, u in enumerate(UTTS)))
    put(folder, "vad.scp", *(f"{u} exp/vad.1.ark:{i}" for i, u in enumerate(UTTS)))
    put(folder, "utt2num_frames", *(f"{u} {48 + i}" for i, u in enumerate(UTTS)))
    put(folder, "feats.id", "kaldi_fbank num-mel-bins=80")
    put(folder, "trials", "ann-1 ann-2 target", "ann-1 bob-1 nontarget")


def put(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("".join(f"{line}\n" for line in lines), newline="\n")


def change(name: str, old: str, new: str) -> Callable[[Path], None]:
    """An edit: replace the first ``old`` in a file, byte for byte (``new`` may hold \\udcXX for the byte XX)."""

    def edit(folder: Path) -> None:
        text = (folder / name).read_bytes().decode()
        assert old in text
        (folder / name).write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogateescape"))

    return edit


def append(name: str, line: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        with (folder / name).open("a") as file:
            file.write(line + "\n")

    return edit


def rewrite(name: str, function: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(function((folder / name).read_text()).encode()) and None


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.fixture
def tool(monkeypatch, capsys):
    """``tool(*argv)``: exit status, stdout and stderr of one data-dir tool, run in this process."""

    def call(*argv) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["data_dir.py", *map(str, argv)])
        error = ""
        try:
            code = data_dir.main() or 0
        except InputError as refused:
            code, error = 1, str(refused)
        except SystemExit as end:
            code = end.code
        finally:
            gc.enable()
        out, err = capsys.readouterr()
        return code, out, err + error

    return call


# (data dir, how it is spoilt, where and what validate says)
MALFORMED = {
    "utt2spk is missing": ("plain", remove("utt2spk"), "utt2spk: no such file"),
    "spk2utt is missing": ("plain", remove("spk2utt"), "spk2utt: no such file"),
    "wav.scp is missing": ("plain", remove("wav.scp"), "wav.scp: no such file"),
    "a file name is mistyped": ("plain", lambda d: (d / "spk2utt").rename(d / "spk2utt.txt"), "spk2utt: no such file"),
    "utt2spk is empty": ("plain", rewrite("utt2spk", lambda t: ""), "utt2spk: is empty"),
    "wav.scp is empty": ("plain", rewrite("wav.scp", lambda t: ""), "wav.scp: is empty"),
    "three columns in utt2spk": ("plain", change("utt2spk", "bob-1 bob", "bob-1 bob x"), "utt2spk:3: 3 columns instead of 2"),
    "one column in utt2spk": ("plain", change("utt2spk", "bob-1 bob", "bob-1"), "utt2spk:3: expected 'id value'"),
    "an id without a path": ("plain", append("wav.scp", "zoe-1"), "wav.scp:7: expected 'id value'"),
    "three columns in segments": ("cut", change("segments", "ann-2 call 0.5", "ann-2 call"), "segments:2: 3 columns instead of 4"),
    "five columns in segments": ("cut", change("segments", "ann-2 call", "ann-2 call 1"), "segments:2: 5 columns instead of 4"),
    "utt2spk unsorted": (
        "plain",
        rewrite("utt2spk", lambda t: "".join(reversed(t.splitlines(True)))),
        "utt2spk:2: 'cy-1' after 'cy-2': not sorted",
    ),
    "sorted by another locale": (
        "plain",
        append("feats.scp", "Zoe-1 exp/x.ark:1"),
        "feats.scp:7: 'Zoe-1' after 'cy-2': not sorted",
    ),
    "duplicate id": ("plain", change("wav.scp", "ann-2", "ann-1"), "wav.scp:2: 'ann-1' a second time"),
    "duplicate line": ("plain", append("utt2dur", "cy-2 0.5"), "utt2dur:7: 'cy-2' a second time"),
    "contradictory speakers": ("plain", append("utt2spk", "cy-2 c"), "utt2spk:7: 'cy-2' a second time, with another value: 'c'"),
    "no speaker prefix": ("plain", change("utt2spk", "bob-1 bob", "bob-1 tom"), "utt2spk:3: utterance 'bob-1' does not begin"),
    "wav.scp without utt2spk": ("plain", append("wav.scp", "dan-1 x.wav"), "wav.scp:7: not in utt2spk: dan-1"),
    "utt2spk without wav.scp": ("plain", change("wav.scp", "cy-2", "cy-9"), "utt2spk:6: not in wav.scp: cy-2"),
    "segments without utt2spk": ("cut", append("segments", "dan-1 call 0 1"), "segments:7: not in utt2spk: dan-1"),
    "utt2spk without segments": ("cut", rewrite("segments", lambda t: t[: t.index("cy-2")]), "utt2spk:6: not in segments: cy-2"),
    "segment of an unknown recording": ("cut", change("segments", "bob-1 call", "bob-1 tape"), "segments:3: not in wav.scp: tape"),
    "recording without segments": ("cut", append("wav.scp", "tape call.wav"), "wav.scp:2: not in segments: tape"),
    "spk2utt lacks a speaker": ("plain", change("spk2utt", "bob bob-1 bob-2\n", ""), "utt2spk:3: not in spk2utt: bob"),
    "spk2utt lacks an utterance": ("plain", change("spk2utt", " bob-2", ""), "spk2utt:2: 'bob' disagrees with utt2spk: differs in bob-2"),
    "spk2utt moves an utterance": ("plain", change("spk2utt", "bob-2", "ann-2"), "spk2utt:2: 'bob' disagrees with utt2spk"),
    "spk2utt has another speaker": ("plain", append("spk2utt", "dan dan-1"), "spk2utt:4: not in utt2spk: dan"),
    "spk2utt lists an utterance twice": ("plain", change("spk2utt", "bob-2", "bob-2 bob-2"), "spk2utt:2: 'bob' disagrees"),
    "segment behind the recording": ("cut", change("segments", "2.5 3.0", "2.5 3.5"), "segments:6: ends at 3.5 s, outside the recording"),
    "segment behind reco2dur": ("cut", lambda d: put(d, "reco2dur", "call 2.0"), "segments:5: ends at 2.5 s, outside the recording"),
    "segment ends before it starts": ("cut", change("segments", "0.5 1.0", "1.0 0.5"), "segments:2: start 1.0 is not before end 0.5"),
    "segment of no length": ("cut", change("segments", "0.5 1.0", "1.0 1.0"), "segments:2: start 1.0 is not before end"),
    "segment starts before the recording": ("cut", change("segments", "0.5 1.0", "-0.5 1.0"), "segments:2: starts at -0.5 s"),
    "segment with NaN": ("cut", change("segments", "0.5 1.0", "nan 1.0"), "segments:2: start 'nan' and end '1.0'"),
    "segment with words": ("cut", change("segments", "0.5 1.0", "0.5 end"), "segments:2: start '0.5' and end 'end'"),
    "CRLF": ("plain", rewrite("utt2spk", lambda t: t.replace("\n", "\r\n")), "utt2spk:1: carriage return (CRLF line ends?), here and on 5"),
    "not UTF-8": ("plain", change("text", "cy-1 HELLO", "cy-1 HELL\udcd6"), "text:5: not UTF-8"),
    "UTF-16": ("plain", lambda d: (d / "utt2spk").write_bytes("ann-1 ann\n".encode("utf-16")) and None, "utt2spk:1: NUL byte"),
    "NUL": ("plain", change("text", "cy-1 HELLO", "cy-1 HE\0LO"), "text:5: NUL byte"),
    "byte order mark": ("plain", change("utt2spk", "ann-1", "\ufeffann-1"), "utt2spk:1: byte order mark"),
    "control character": ("plain", change("text", "cy-1 HELLO", "cy-1 HE\x07LO"), "text:5: control character"),
    "tab for a space": ("plain", change("utt2spk", "bob-1 bob", "bob-1\tbob"), "utt2spk:3: tab; columns are separated by one space"),
    "tab in a path": ("plain", change("wav.scp", "bob-1 ", "bob-1 a\t"), "wav.scp:3: tab"),
    "two spaces": ("plain", change("utt2spk", "bob-1 bob", "bob-1  bob"), "utt2spk:3: two spaces"),
    "two spaces before a path": ("plain", change("wav.scp", "bob-1 ", "bob-1  "), "wav.scp:3: two spaces"),
    "trailing space": ("plain", change("utt2dur", "bob-1 0.5", "bob-1 0.5 "), "utt2dur:3: space at the start or end"),
    "leading space": ("plain", change("utt2dur", "bob-1 0.5", " bob-1 0.5"), "utt2dur:3: space at the start or end"),
    "blank line": ("plain", change("utt2dur", "bob-1", "\nbob-1"), "utt2dur:3: blank line"),
    "no newline at the end": ("plain", rewrite("utt2spk", lambda t: t[:-1]), "utt2spk:6: no newline at the end"),
    "cut in the middle of a line": ("plain", rewrite("utt2spk", lambda t: t[:-4]), "utt2spk:6: "),
    "slash in an id": ("plain", rewrite("utt2spk", lambda t: t.replace("cy-1", "cy/1")), "utt2spk:5: id 'cy/1' holds '/'"),
    "parent folder as an id": ("plain", change("utt2spk", "ann-1 ann", "../x .."), "utt2spk:1: id '../x' holds '/' or '..'"),
    "no-break space in an id": ("plain", change("utt2spk", "cy-1", "cy\u00a01"), r"utt2spk:5: id 'cy\xa01' holds a space"),
    "frames without features": ("plain", change("utt2num_frames", "cy-1 52\n", ""), "utt2spk:5: not in utt2num_frames: cy-1"),
    "features without frames": ("plain", remove("utt2num_frames"), "feats.scp: has no utt2num_frames beside it"),
    "features of nobody": ("plain", change("feats.scp", "bob-1", "bob-1b"), "feats.scp:3: not in utt2spk: bob-1b"),
    "no frames": ("plain", change("utt2num_frames", "cy-1 52", "cy-1 0"), "utt2num_frames:5: '0' is not a number of frames"),
    "fraction of a frame": ("plain", change("utt2num_frames", "cy-1 52", "cy-1 5.2"), "utt2num_frames:5: '5.2' is not a number"),
    "vad lacks an utterance": ("plain", change("vad.scp", "bob-1", "bob-1b"), "utt2spk:3: not in vad.scp: bob-1"),
    "text lacks an utterance": ("plain", change("text", "bob-1 HELLO TO YOU\n", ""), "utt2spk:3: not in text: bob-1"),
    "negative duration": ("plain", change("utt2dur", "bob-1 0.5", "bob-1 -0.5"), "utt2dur:3: '-0.5' is not a duration"),
    "duration NaN": ("plain", change("utt2dur", "bob-1 0.5", "bob-1 nan"), "utt2dur:3: 'nan' is not a duration"),
    "infinite duration": ("plain", change("utt2dur", "bob-1 0.5", "bob-1 inf"), "utt2dur:3: 'inf' is not a duration"),
    "gender in full": ("plain", change("spk2gender", "bob m", "bob Male"), "spk2gender:2: gender 'Male' is neither m nor f (did you mean 'm'?)"),
    "gender of nobody": ("plain", append("spk2gender", "dan m"), "spk2gender:4: not in utt2spk: dan"),
    "speaker without gender": ("plain", change("spk2gender", "bob m\n", ""), "utt2spk:3: not in spk2gender: bob"),
    "language of nobody": ("plain", lambda d: put(d, "utt2lang", *(f"{u} en" for u in UTTS), "dan-1 en"), "utt2lang:7: not in utt2spk"),
    "trial of nobody": ("plain", append("trials", "ann-1 dan-1 nontarget"), "trials:3: 1 of the"),
    "trial with another label": ("plain", append("trials", "ann-1 cy-1 nontargets"), "trials:3: expected"),
    "trials_x of nobody": ("plain", lambda d: put(d, "trials_x", "1 ann-1 ann-2", "0 ann-1 dan-1"), "trials_x:2: 1 of the"),
}  # fmt: skip

# The tools do not look at audio: these they accept.
BAD_AUDIO = {
    "wav.scp is missing": ("plain", remove("wav.scp"), "wav.scp: no such file"),
    "audio file is missing": ("plain", change("wav.scp", "bob-1.wav", "bob-x.wav"), "wav.scp:3: No such file or directory"),
    "relative path from elsewhere": ("plain", change("wav.scp", "cy-2 ", "cy-2 ."), "wav.scp:6: No such file or directory: ./"),
    "directory for a file": ("plain", rewrite("wav.scp", lambda t: re.sub("bob-1 .*", "bob-1 /", t)), "wav.scp:3: not a file: /"),
    "audio file of no bytes": ("plain", change("wav.scp", "bob-1.wav", "empty.wav"), "wav.scp:3: empty audio file"),
    "command in wav.scp": ("plain", change("wav.scp", "bob-1.wav", "bob-1.wav |"), "wav.scp:3: a command, run only with --allow-pipes"),
    "place behind the end of an ark": ("plain", change("wav.scp", "bob-1.wav", "x.ark:99"), "wav.scp:3: byte 99 lies behind the end"),
}  # fmt: skip


def spoilt(case, request) -> tuple[Path, str]:
    fixture, edit, expected = case
    folder = request.getfixturevalue(fixture)
    edit(folder)
    return folder, f"{folder}/{expected}"


@pytest.mark.parametrize("case", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_data_dir_is_refused_with_file_and_line_and_nothing_is_written(case, request, tool, tmp_path):
    folder, expected = spoilt(case, request)
    before = snapshot(tmp_path)
    code, out, err = tool("validate", folder)
    assert (code, out) == (1, "")
    assert expected in err
    for attempt in (("copy", folder, tmp_path / "x"), ("subset", folder, 2, tmp_path / "x"), ("split", folder, 2)):
        code, _, err = tool(*attempt)
        assert code == 1
        assert expected.split(" s, ")[0] in err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("case", BAD_AUDIO.values(), ids=BAD_AUDIO)
def test_missing_audio_is_named_with_file_and_line(case, request, tool, wavs):
    (wavs / "empty.wav").touch()
    (wavs / "x.ark").write_bytes(b"0" * 99)
    folder, expected = spoilt(case, request)
    code, _, err = tool("validate", folder)
    assert code == 1
    assert expected in err


def test_several_complaints_are_all_told(plain, tool):
    change("utt2dur", "ann-1 0.5", "ann-1 x")(plain)
    change("utt2dur", "ann-2 0.5", "ann-2 y")(plain)
    append("spk2gender", "dan m")(plain)
    change("utt2num_frames", "cy-1 52", "cy-1 52 1")(plain)
    code, _, err = tool("validate", plain)
    assert code == 1
    assert len(err.splitlines()) == 4


def test_very_many_complaints_are_counted(plain, tool):
    put(plain, "utt2dur", *(f"{u} x" for u in UTTS))
    put(plain, "utt2num_frames", *(f"{u} x" for u in UTTS))
    put(plain, "utt2lang", *(f"u{i:02} en en" for i in range(20)))
    assert tool("validate", plain)[2].splitlines()[-1] == "and 12 more complaints"


def test_an_unreadable_audio_file_is_found_when_asked(plain, tool, wavs):
    (wavs / "noise.wav").write_bytes(b"no audio at all")
    soundfile.write(wavs / "none.wav", np.zeros(0), 8000)
    change("wav.scp", "bob-1.wav", "noise.wav")(plain)
    change("wav.scp", "bob-2.wav", "none.wav")(plain)
    assert tool("validate", plain)[0] == 0
    code, _, err = tool("validate", "--check-audio", plain)
    assert code == 1
    assert f"{plain}/wav.scp:3: cannot be read as audio" in err
    assert f"{plain}/wav.scp:4: audio file without samples" in err


def test_flags_leave_out_what_they_name(plain, tool):
    change("wav.scp", "bob-1.wav", "bob-x.wav")(plain)
    change("feats.scp", "bob-1", "bob-1b")(plain)
    change("text", "bob-1", "bob-1b")(plain)
    assert tool("validate", "--no-wav", "--no-feats", "--no-text", plain)[0] == 0
    assert tool("validate", "--no-wav", "true", "--no-feats", "true", "--no-text", "false", plain)[0] == 1


def test_commands_pass_when_allowed(plain, tool):
    change("wav.scp", "bob-1 ", "bob-1 cat x | touch /tmp/never; ")(plain)
    rewrite("wav.scp", lambda t: t.replace("bob-1.wav", "bob-1.wav |"))(plain)
    assert tool("validate", plain)[0] == 1
    assert tool("validate", "--allow-pipes", plain)[0] == 0


def test_a_segment_may_end_a_rounding_error_behind_its_recording(cut):
    change("segments", "2.5 3.0", "2.5 3.005")(cut)
    assert validate(cut) == []


def test_one_utterance_per_speaker_is_valid(tmp_path, wavs):
    folder = tmp_path / "data"
    tables = {"utt2spk": {"ann": "ann", "bob": "bob"}, "wav.scp": {"ann": "a.wav", "bob": "b.wav"}}
    save({name: Table(folder / name, entries) for name, entries in tables.items()}, {}, folder)
    check(folder, wav=False)
    assert (folder / "spk2utt").read_text() == "ann ann\nbob bob\n"


def test_ids_and_texts_beyond_ascii_are_valid(plain):
    rewrite("text", lambda t: t.replace("HELLO", "GRÜEZI \u3000 你好"))(plain)
    assert validate(plain) == []


def test_a_mistyped_directory_is_named_with_its_near_miss_and_not_made(plain, tool, tmp_path):
    before = snapshot(tmp_path)
    for name in ("validate", "fix", "split"):
        code, _, err = tool(name, tmp_path / "dataa", *([2] if name == "split" else []))
        assert code == 1
        assert f"{tmp_path}/dataa: no such directory (did you mean 'data'?)" in err
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "dataa").exists()


# --- fix


def test_fix_mends_what_has_one_answer_and_keeps_the_old_files(plain, tool):
    (plain / "spk2utt").unlink()
    rewrite("utt2spk", lambda t: "".join(reversed(t.splitlines(True))))(plain)
    rewrite("wav.scp", lambda t: t.replace(" ", "\t").replace("\n", "\r\n"))(plain)
    append("utt2dur", "cy-2 0.5")(plain)
    change("feats.scp", "cy-2", "cy-3")(plain)
    append("spk2gender", "dan m")(plain)
    utt2spk = (plain / "utt2spk").read_bytes()
    code, out, err = tool("fix", plain)
    assert code == 0
    assert "5 utterances of 3 speakers" in out
    assert f"{plain}/feats.scp lacks 1 of 6 utterances, now dropped: cy-2" in err
    assert f"{plain}/feats.scp: 1 entries without an utterance, now dropped: cy-3" in err
    assert f"{plain}/spk2gender: 1 entries without an utterance, now dropped: dan" in err
    assert validate(plain) == []
    assert (plain / ".backup" / "utt2spk").read_bytes() == utt2spk
    assert not (plain / ".backup" / "vad.scp").read_text() == (plain / "vad.scp").read_text()


def test_fix_of_a_valid_data_dir_changes_nothing(plain, tool):
    before = snapshot(plain)
    assert tool("fix", plain)[0] == 0
    assert snapshot(plain) == before


NOT_MENDABLE = [
    "contradictory speakers", "no speaker prefix", "three columns in utt2spk", "not UTF-8", "duration NaN", "NUL",
    "gender in full", "speaker without gender", "segment ends before it starts", "trial of nobody", "slash in an id",
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_MENDABLE)
def test_fix_refuses_what_has_no_single_answer_and_touches_nothing(name, request, tool):
    folder, expected = spoilt(MALFORMED[name], request)
    before = snapshot(folder)
    code, _, err = tool("fix", folder)
    assert code == 1
    assert expected in err
    assert snapshot(folder) == before


def test_fix_refuses_to_drop_an_utterance_of_a_trial_list(plain, tool):
    change("feats.scp", "bob-1", "bob-9")(plain)
    before = snapshot(plain)
    code, _, err = tool("fix", plain)
    assert code == 1
    assert f"{plain}/trials:2: " in err
    assert "bob-1" in err
    assert snapshot(plain) == before


def test_fix_refuses_to_drop_everything(plain, tool):
    put(plain, "utt2lang", "zoe-1 en")
    code, _, err = tool("fix", plain)
    assert code == 1
    assert "no utterance is in all of its files" in err


# --- copy


def test_copy_takes_every_known_file_and_no_other(plain, tool, tmp_path):
    (plain / "notes.txt").write_text("mine")
    assert tool("copy", plain, tmp_path / "deep" / "copy")[0] == 0
    expected = snapshot(plain)
    del expected["notes.txt"]
    assert snapshot(tmp_path / "deep" / "copy") == expected


def test_copy_with_affixes_renames_utterances_and_speakers(plain, tool, tmp_path):
    code, _, err = tool("copy", "--spk-prefix", "sp0.9-", "--utt-prefix", "sp0.9-", "--utt-suffix", "-noise", plain, tmp_path / "x")
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
    assert re.search(rf"{a}/[a-z2_.]+:1: 'ann-1' is also in {plain}/[a-z2_.]+:1", err)
    assert not (tmp_path / "both").exists()


def test_combine_refuses_features_of_two_front_ends(plain, tool, tmp_path):
    a, b = two_halves(plain, tool, tmp_path)
    put(b, "feats.id", "kaldi_fbank num-mel-bins=40")
    code, _, err = tool("combine", tmp_path / "both", a, b)
    assert code == 1
    assert f"{b}/feats.id: is not the front end of {a}/feats.id" in err
    (b / "feats.id").unlink()
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


def test_combine_makes_segments_of_whole_recordings_beside_segments(plain, cut, tool, tmp_path, wavs):
    # both fixtures are one folder: `cut` came last, so the plain one is made anew
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


# --- properties


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
        tables["segments"] = {utt: f"{reco} {i} {i + 1.5}" for i, (utt, reco) in enumerate(zip(utts, recos, strict=True))}
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


def test_a_written_table_reads_back_line_by_line_as_it_does_at_once(tmp_path):
    """The fast reader and the one that explains mistakes agree on what is well-formed."""
    from sv_py.io.data_tables import _scan_lines, _well_formed

    for columns, text in ((2, "a x\nb y\n"), (4, "a r 0 1\nb r 1 2\n"), (None, "a x y  z\nb y\n"), (None, "a x\nb x\n")):
        quick = _well_formed(text.encode(), text, columns, True)
        slow, complaints = _scan_lines(text, tmp_path, columns, True)
        assert not complaints
        assert quick in (slow.entries, None)
        assert quick is not None or "  " in text
