"""Large tables: read in blocks, with the same entries and the same complaints as line by line, and keys held once."""

import re
from pathlib import Path

import pytest

from sv_py.io.data_dir import inspect
from sv_py.io.data_tables import _BLOCK, COLUMNS, _scan_lines, scan_bytes

VALUES = {"utt2dur": "2.5", "wav.scp": "/corpus/{}.wav", "text": "HELLO TO {}", "segments": "call{} 0 1.5"}


def table(name: str, lines: int = 6_000) -> str:
    """Text of more than one block."""
    text = "".join(f"spk-{i:07d} {VALUES[name].format(i)}\n" for i in range(lines))
    assert len(text) > _BLOCK
    return text


@pytest.mark.parametrize("name", VALUES)
def test_a_table_of_several_blocks_has_all_of_its_entries(name):
    text = table(name)
    found, complaints = scan_bytes(text.encode(), Path(name), COLUMNS.get(name))
    assert not complaints
    assert found.entries == dict(line.split(" ", 1) for line in text.splitlines())


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text.replace("spk-0005990 ", "spk-0005990  "),
        lambda text: re.sub("spk-0005990 .*", "spk-0005990", text),
        lambda text: text.replace("spk-0005990", "spk-0000001"),
        lambda text: text.replace("spk-0005990", "spk-0005996"),
        lambda text: text.replace("spk-0005990", "spk-\n0005990"),
        lambda text: text.replace("spk-0005990", "spk-\x00"),
        lambda text: text + "\n",
        lambda text: "\ufeff" + text,
    ],
)
def test_a_mistake_in_the_last_block_is_told_with_its_line(name, spoil):
    text = spoil(table(name))
    found, complaints = scan_bytes(text.encode(), Path(name), COLUMNS.get(name))
    assert complaints and complaints[0].line in (1, 5_991, 5_992, 5_998, 6_000, 6_001)
    if "\0" not in text:
        assert (found.entries, complaints) == (lambda t, c: (t.entries, c))(
            *_scan_lines(text, Path(name), COLUMNS.get(name), True)
        )


def test_a_character_that_is_not_utf_8_in_the_last_block_is_told_with_its_line():
    data = table("wav.scp").encode().replace(b"spk-0005990", b"spk-\xff005990")
    assert [str(complaint) for complaint in scan_bytes(data, Path("wav.scp"), None)[1]] == ["wav.scp:5991: not UTF-8"]


def test_the_tables_of_a_data_dir_hold_their_common_keys_once(tmp_path):
    utts = [f"ann-{i}" for i in range(10)]
    for name, value in (("utt2spk", "ann"), ("utt2dur", "2.5"), ("wav.scp", "/x.wav"), ("utt2num_samples", "40000")):
        (tmp_path / name).write_text("".join(f"{utt} {value}\n" for utt in utts))
    (tmp_path / "spk2utt").write_text(f"ann {' '.join(utts)}\n")
    data, complaints = inspect(tmp_path, wav=False)
    assert not complaints
    first, *others = (list(data.tables[name].entries) for name in ("utt2spk", "utt2dur", "wav.scp", "utt2num_samples"))
    assert all(a is b for keys in others for a, b in zip(first, keys, strict=True))
    assert len(set(map(id, data.tables["utt2dur"].entries.values()))) == 1
