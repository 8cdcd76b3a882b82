"""Ways to spoil a data dir, and what validate_data_dir then says."""

import re
from pathlib import Path

from data_dirs import UTTS, append, change, put, remove, rewrite

# (data dir, how it is spoilt, where and what validate says)
MALFORMED = {
    "utt2spk is missing": ("plain", remove("utt2spk"), "utt2spk: no such file"),
    "spk2utt is missing": ("plain", remove("spk2utt"), "spk2utt: no such file"),
    "a file name is mistyped": ("plain", lambda d: (d / "spk2utt").rename(d / "spk2utt.txt"), "spk2utt: no such file"),
    "utt2spk is empty": ("plain", rewrite("utt2spk", lambda t: ""), "utt2spk: is empty"),
    "wav.scp is empty": ("plain", rewrite("wav.scp", lambda t: ""), "wav.scp: is empty"),
    "three columns in utt2spk": (
        "plain",
        change("utt2spk", "bob-1 bob", "bob-1 bob x"),
        "utt2spk:3: 3 columns instead of 2",
    ),
    "one column in utt2spk": ("plain", change("utt2spk", "bob-1 bob", "bob-1"), "utt2spk:3: expected 'id value'"),
    "an id without a path": ("plain", append("wav.scp", "zoe-1"), "wav.scp:7: expected 'id value'"),
    "three columns in segments": (
        "cut",
        change("segments", "ann-2 call 0.5", "ann-2 call"),
        "segments:2: 3 columns instead of 4",
    ),
    "five columns in segments": (
        "cut",
        change("segments", "ann-2 call", "ann-2 call 1"),
        "segments:2: 5 columns instead of 4",
    ),
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
    "contradictory speakers": (
        "plain",
        append("utt2spk", "cy-2 c"),
        "utt2spk:7: 'cy-2' a second time, with another value: 'c'",
    ),
    "no speaker prefix": (
        "plain",
        change("utt2spk", "bob-1 bob", "bob-1 tom"),
        "utt2spk:3: utterance 'bob-1' does not begin",
    ),
    "wav.scp without utt2spk": ("plain", append("wav.scp", "dan-1 x.wav"), "wav.scp:7: not in utt2spk: dan-1"),
    "utt2spk without wav.scp": ("plain", change("wav.scp", "cy-2", "cy-9"), "utt2spk:6: not in wav.scp: cy-2"),
    "segments without utt2spk": ("cut", append("segments", "dan-1 call 0 1"), "segments:7: not in utt2spk: dan-1"),
    "utt2spk without segments": (
        "cut",
        rewrite("segments", lambda t: t[: t.index("cy-2")]),
        "utt2spk:6: not in segments: cy-2",
    ),
    "segment of an unknown recording": (
        "cut",
        change("segments", "bob-1 call", "bob-1 tape"),
        "segments:3: not in wav.scp: tape",
    ),
    "recording without segments": ("cut", append("wav.scp", "tape call.wav"), "wav.scp:2: not in segments: tape"),
    "spk2utt lacks a speaker": ("plain", change("spk2utt", "bob bob-1 bob-2\n", ""), "utt2spk:3: not in spk2utt: bob"),
    "spk2utt lacks an utterance": (
        "plain",
        change("spk2utt", " bob-2", ""),
        "spk2utt:2: 'bob' disagrees with utt2spk: differs in bob-2",
    ),
    "spk2utt moves an utterance": (
        "plain",
        change("spk2utt", "bob-2", "ann-2"),
        "spk2utt:2: 'bob' disagrees with utt2spk",
    ),
    "spk2utt has another speaker": ("plain", append("spk2utt", "dan dan-1"), "spk2utt:4: not in utt2spk: dan"),
    "spk2utt lists an utterance twice": (
        "plain",
        change("spk2utt", "bob-2", "bob-2 bob-2"),
        "spk2utt:2: 'bob' disagrees",
    ),
    "segment behind reco2dur": (
        "cut",
        lambda d: put(d, "reco2dur", "call 2.0"),
        "segments:5: ends at 2.5 s, outside the recording",
    ),
    "segment ends before it starts": (
        "cut",
        change("segments", "0.5 1.0", "1.0 0.5"),
        "segments:2: start 1.0 is not before end 0.5",
    ),
    "segment of no length": (
        "cut",
        change("segments", "0.5 1.0", "1.0 1.0"),
        "segments:2: start 1.0 is not before end",
    ),
    "segment starts before the recording": (
        "cut",
        change("segments", "0.5 1.0", "-0.5 1.0"),
        "segments:2: starts at -0.5 s",
    ),
    "segment with NaN": ("cut", change("segments", "0.5 1.0", "nan 1.0"), "segments:2: start 'nan' and end '1.0'"),
    "segment with words": ("cut", change("segments", "0.5 1.0", "0.5 end"), "segments:2: start '0.5' and end 'end'"),
    "CRLF": (
        "plain",
        rewrite("utt2spk", lambda t: t.replace("\n", "\r\n")),
        "utt2spk:1: carriage return (CRLF line ends?), here and on 5",
    ),
    "not UTF-8": ("plain", change("text", "cy-1 HELLO", "cy-1 HELL\udcd6"), "text:5: not UTF-8"),
    "UTF-16": (
        "plain",
        lambda d: (d / "utt2spk").write_bytes("ann-1 ann\n".encode("utf-16")) and None,
        "utt2spk:1: NUL byte",
    ),
    "NUL": ("plain", change("text", "cy-1 HELLO", "cy-1 HE\0LO"), "text:5: NUL byte"),
    "byte order mark": ("plain", change("utt2spk", "ann-1", "\ufeffann-1"), "utt2spk:1: byte order mark"),
    "control character": ("plain", change("text", "cy-1 HELLO", "cy-1 HE\x07LO"), "text:5: control character"),
    "tab for a space": (
        "plain",
        change("utt2spk", "bob-1 bob", "bob-1\tbob"),
        "utt2spk:3: tab; columns are separated by one space",
    ),
    "tab in a path": ("plain", change("wav.scp", "bob-1 ", "bob-1 a\t"), "wav.scp:3: tab"),
    "two spaces": ("plain", change("utt2spk", "bob-1 bob", "bob-1  bob"), "utt2spk:3: two spaces"),
    "two spaces before a path": ("plain", change("wav.scp", "bob-1 ", "bob-1  "), "wav.scp:3: two spaces"),
    "trailing space": ("plain", change("utt2dur", "bob-1 0.5", "bob-1 0.5 "), "utt2dur:3: space at the start or end"),
    "leading space": ("plain", change("utt2dur", "bob-1 0.5", " bob-1 0.5"), "utt2dur:3: space at the start or end"),
    "blank line": ("plain", change("utt2dur", "bob-1", "\nbob-1"), "utt2dur:3: blank line"),
    "no newline at the end": ("plain", rewrite("utt2spk", lambda t: t[:-1]), "utt2spk:6: no newline at the end"),
    "cut in the middle of a line": ("plain", rewrite("utt2spk", lambda t: t[:-4]), "utt2spk:6: "),
    "slash in an id": (
        "plain",
        rewrite("utt2spk", lambda t: t.replace("cy-1", "cy/1")),
        "utt2spk:5: id 'cy/1' holds '/'",
    ),
    "parent folder as an id": (
        "plain",
        change("utt2spk", "ann-1 ann", "../x .."),
        "utt2spk:1: id '../x' holds '/' or '..'",
    ),
    "no-break space in an id": (
        "plain",
        change("utt2spk", "cy-1", "cy\u00a01"),
        r"utt2spk:5: id 'cy\xa01' is empty or holds a space",
    ),
    "frames without features": (
        "plain",
        change("utt2num_frames", "cy-1 52\n", ""),
        "utt2spk:5: not in utt2num_frames: cy-1",
    ),
    "features without frames": ("plain", remove("utt2num_frames"), "feats.scp: has no utt2num_frames beside it"),
    "shards without samples": ("plain", remove("utt2num_samples"), "audio.scp: has no utt2num_samples beside it"),
    "shards of nobody": ("plain", change("audio.scp", "bob-1", "bob-1b"), "audio.scp:3: not in utt2spk: bob-1b"),
    "no samples": (
        "plain",
        change("utt2num_samples", "cy-1 4004", "cy-1 0"),
        "utt2num_samples:5: '0' is not a whole number above 0",
    ),
    "features of nobody": ("plain", change("feats.scp", "bob-1", "bob-1b"), "feats.scp:3: not in utt2spk: bob-1b"),
    "no frames": (
        "plain",
        change("utt2num_frames", "cy-1 52", "cy-1 0"),
        "utt2num_frames:5: '0' is not a whole number above 0",
    ),
    "fraction of a frame": (
        "plain",
        change("utt2num_frames", "cy-1 52", "cy-1 5.2"),
        "utt2num_frames:5: '5.2' is not a whole number above 0",
    ),
    "vad lacks an utterance": ("plain", change("vad.scp", "bob-1", "bob-1b"), "utt2spk:3: not in vad.scp: bob-1"),
    "text lacks an utterance": ("plain", change("text", "bob-1 HELLO TO YOU\n", ""), "utt2spk:3: not in text: bob-1"),
    "negative duration": ("plain", change("utt2dur", "bob-1 0.5", "bob-1 -0.5"), "utt2dur:3: '-0.5' is not a duration"),
    "duration NaN": ("plain", change("utt2dur", "bob-1 0.5", "bob-1 nan"), "utt2dur:3: 'nan' is not a duration"),
    "infinite duration": ("plain", change("utt2dur", "bob-1 0.5", "bob-1 inf"), "utt2dur:3: 'inf' is not a duration"),
    "gender in full": (
        "plain",
        change("spk2gender", "bob m", "bob Male"),
        "spk2gender:2: gender 'Male' is neither m nor f (did you mean 'm'?)",
    ),
    "gender of nobody": ("plain", append("spk2gender", "dan m"), "spk2gender:4: not in utt2spk: dan"),
    "speaker without gender": ("plain", change("spk2gender", "bob m\n", ""), "utt2spk:3: not in spk2gender: bob"),
    "language of nobody": (
        "plain",
        lambda d: put(d, "utt2lang", *(f"{u} en" for u in UTTS), "dan-1 en"),
        "utt2lang:7: not in utt2spk",
    ),
    "trial of nobody": ("plain", append("trials", "ann-1 dan-1 nontarget"), "trials:3: 1 of the"),
    "trial with another label": ("plain", append("trials", "ann-1 cy-1 nontargets"), "trials:3: expected"),
    "trials_x of nobody": (
        "plain",
        lambda d: put(d, "trials_x", "1 ann-1 ann-2", "0 ann-1 dan-1"),
        "trials_x:2: 1 of the",
    ),
}

# The tools do not look at audio: these they accept.
BAD_AUDIO = {
    "segment behind the recording": (
        "cut",
        change("segments", "2.5 3.0", "2.5 3.5"),
        "segments:6: ends at 3.5 s, outside the recording",
    ),
    "wav.scp is missing": ("plain", remove("wav.scp"), "wav.scp: no such file"),
    "audio file is missing": (
        "plain",
        change("wav.scp", "bob-1.wav", "bob-x.wav"),
        "wav.scp:3: No such file or directory",
    ),
    "relative path from elsewhere": (
        "plain",
        change("wav.scp", "cy-2 ", "cy-2 ."),
        "wav.scp:6: No such file or directory: ./",
    ),
    "directory for a file": (
        "plain",
        rewrite("wav.scp", lambda t: re.sub("bob-1 .*", "bob-1 /", t)),
        "wav.scp:3: not a file: /",
    ),
    "audio file of no bytes": ("plain", change("wav.scp", "bob-1.wav", "empty.wav"), "wav.scp:3: empty audio file"),
    "command in wav.scp": (
        "plain",
        change("wav.scp", "bob-1.wav", "bob-1.wav |"),
        "wav.scp:3: a command, run only with --allow-pipes",
    ),
    "place behind the end of an ark": (
        "plain",
        change("wav.scp", "bob-1.wav", "x.ark:99"),
        "wav.scp:3: byte 99 lies behind the end",
    ),
}


def spoilt(case, request) -> tuple[Path, str]:
    """The spoilt data dir and the expected complaint."""
    fixture, edit, expected = case
    folder = request.getfixturevalue(fixture)
    edit(folder)
    return folder, f"{folder}/{expected}"
