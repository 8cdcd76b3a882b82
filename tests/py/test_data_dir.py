"""What validate_data_dir refuses, where it says the mistake is, and that refusing leaves no trace."""

import numpy as np
import pytest
import soundfile
from data_dirs import UTTS, append, change, put, rewrite, snapshot
from malformed_data_dirs import BAD_AUDIO, MALFORMED, spoilt

from sv_py.io.audio_ark import ENCODINGS, write_audio_ark
from sv_py.io.data_dir import check, save, validate
from sv_py.io.data_tables import Table


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
        assert expected in err
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
    put(plain, "utt2uniq", *(f"u{i:02} a b" for i in range(20)))
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


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_place_in_an_ark_that_is_no_audio_is_found_when_asked(plain, tool, wavs, tmp_path, encoding):
    ark = tmp_path / "a.ark"
    write_audio_ark(ark, tmp_path / "a.scp", [("bob-1", np.ones(4000, np.int16))], 8000, encoding)
    change("wav.scp", f"{wavs}/bob-1.wav", f"{ark}:6")(plain)
    assert tool("validate", "--check-audio", plain)[0] == 0
    change("wav.scp", f"{ark}:6", f"{ark}:7")(plain)
    assert tool("validate", plain)[0] == 0
    code, _, err = tool("validate", "--check-audio", plain)
    assert code == 1 and f"{plain}/wav.scp:3: cannot be read as audio: {ark}:7: truncated or not audio" in err


def test_segments_have_to_end_in_their_recording_in_an_ark(cut, tool, tmp_path):
    write_audio_ark(tmp_path / "a.ark", tmp_path / "a.scp", [("call", np.ones(20000, np.int16))], 8000)
    put(cut, "wav.scp", f"call {tmp_path}/a.ark:5")
    code, _, err = tool("validate", cut)
    assert code == 1 and f"{cut}/segments:6: ends at 3.0 s, outside the recording 'call' of 2.50 s" in err


def test_audio_that_only_ffmpeg_reads_is_not_opened(plain, tool, wavs):
    (wavs / "speech.m4a").write_bytes(b"not for libsndfile")
    change("wav.scp", "bob-1.wav", "speech.m4a")(plain)
    assert tool("validate", "--check-audio", plain)[0] == 0
    change("wav.scp", "speech.m4a", "none.m4a")(plain)
    assert "No such file or directory" in tool("validate", "--check-audio", plain)[2]


def test_flags_leave_out_what_they_name(plain, tool):
    change("wav.scp", "bob-1.wav", "bob-x.wav")(plain)
    change("feats.scp", "bob-1", "bob-1b")(plain)
    change("audio.scp", "bob-1", "bob-1b")(plain)
    change("text", "bob-1", "bob-1b")(plain)
    assert tool("validate", "--no-wav", "--no-feats", "--no-shards", "--no-text", plain)[0] == 0
    for flag in ("--no-wav", "--no-feats", "--no-shards", "--no-text"):
        others = {"--no-wav", "--no-feats", "--no-shards", "--no-text"} - {flag}
        assert tool("validate", flag, "false", *sorted(others), plain)[0] == 1


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


def test_a_file_and_a_link_to_nowhere_are_no_directory(tool, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        code, _, err = tool("copy", tmp_path / name, tmp_path / "copy")
        assert code == 1 and f"{tmp_path}/{name}: is not a directory" in err and not (tmp_path / "copy").exists()


def test_a_mistyped_directory_is_named_with_its_near_miss_and_not_made(plain, tool, tmp_path):
    before = snapshot(tmp_path)
    for name in ("validate", "fix", "split"):
        code, _, err = tool(name, tmp_path / "dataa", *([2] if name == "split" else []))
        assert code == 1
        assert f"{tmp_path}/dataa: no such directory (did you mean 'data'?)" in err
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "dataa").exists()
