"""What fix_data_dir puts right, what it refuses, and what it keeps of the old."""

import pytest
from data_dirs import append, change, put, rewrite, snapshot
from malformed_data_dirs import MALFORMED, spoilt

from sv_py.io.data_dir import validate


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
    assert (plain / ".backup" / "vad.scp").read_text() != (plain / "vad.scp").read_text()


def test_fix_of_a_valid_data_dir_changes_nothing(plain, tool):
    before = snapshot(plain)
    assert "nothing to mend" in tool("fix", plain)[1]
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
