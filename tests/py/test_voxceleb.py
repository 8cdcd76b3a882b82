"""VoxCeleb1 and VoxCeleb2 in their own layouts, of real speech: sets, ids, genders, and what they lack."""

import pytest
from corpus_trees import copy, text, tone

from sv_py.cli import InputError
from sv_py.corpora.completeness import compare
from sv_py.corpora.voxceleb_package import FILE, durations
from sv_py.io.data_dir import check
from sv_py.io.text import read_table

META1 = (
    "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    "id10001\tA.J._Buckley\tm\tIreland\tdev\nid10270\tEartha_Kitt\tf\tUSA\ttest\n"
)
META2 = (  # as it is distributed: a byte order mark, CRLF and a space behind each field
    "\ufeffVoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \r\n"
    "id00012 ,n000012 ,m ,dev \r\nid00017 ,n000017 ,f ,test \r\nid00018 ,n000018 ,f ,dev \r\n"
)
DEV, TEST = "id10001/1zcIwhmdeo4/00001.wav", "id10270/x6uYqmx31kE/00001.wav"


@pytest.fixture
def speech(shared):
    """``speech(path)``: a real recording, as ``path``."""
    files = iter(sorted((shared / "corpora/an4/wav").rglob("*.flac")))
    return lambda path: copy(next(files), path)


@pytest.fixture
def voxceleb1(tmp_path, speech):
    folder = tmp_path / "corpus"
    speech(folder / "dev/wav" / DEV)
    speech(folder / "dev/wav/id10001/7gWzIy6yIIk/00002.wav")
    speech(folder / "test/wav" / TEST)
    text(folder / "vox1_meta.csv", META1)
    return folder


@pytest.fixture
def voxceleb2(tmp_path, speech):
    folder = tmp_path / "corpus"
    for place in ("dev/wav/id00012/21Uxsk56VDQ/00001", "dev/wav/id00018/-x_-y/00007", "test/wav/id00017/a/00003"):
        speech(folder / f"{place}.wav")
    text(folder / "vox2_meta.csv", META2)
    return folder


def test_voxceleb1_becomes_dev_test_and_both_with_the_ids_of_kaldi(voxceleb1, prepare):
    data = prepare("voxceleb1", "--allow-incomplete", "true")
    assert read_table(data / "voxceleb1_dev/utt2spk") == {
        "id10001-1zcIwhmdeo4-00001": "id10001",
        "id10001-7gWzIy6yIIk-00002": "id10001",
    }
    assert read_table(data / "voxceleb1_test/spk2gender") == {"id10270": "f"}
    assert list(read_table(data / "voxceleb1/spk2utt")) == ["id10001", "id10270"]
    for name in ("voxceleb1_dev", "voxceleb1_test", "voxceleb1"):
        check(data / name)


def test_one_tree_for_both_parts_of_voxceleb1_gives_the_same(voxceleb1, prepare):
    apart = prepare("voxceleb1", "--allow-incomplete", "true") / "voxceleb1_test/utt2spk"
    before = apart.read_bytes()
    (voxceleb1 / "dev/wav").rename(voxceleb1 / "wav")
    (voxceleb1 / "test/wav/id10270").rename(voxceleb1 / "wav/id10270")
    assert (prepare("voxceleb1", "--allow-incomplete", "true") / "voxceleb1_test/utt2spk").read_bytes() == before


@pytest.mark.parametrize("kind", ["_wav/wav", "_wav", "/", "_aac/aac"])
def test_archives_unpacked_in_folders_of_their_names_give_the_same(voxceleb1, prepare, kind):
    before = prepare("voxceleb1", "--allow-incomplete", "true") / "voxceleb1/utt2spk"
    expected = before.read_bytes()
    for part in ("dev", "test"):
        place = voxceleb1 / f"vox1_{part}{kind}"
        place.parent.mkdir(exist_ok=True)
        (voxceleb1 / part / "wav").rename(place)
    text(voxceleb1 / "vox2_dev_wav/wav/id00012/a/00001.wav", "of the other corpus")
    assert (prepare("voxceleb1", "--allow-incomplete", "true") / "voxceleb1/utt2spk").read_bytes() == expected


def test_a_test_part_that_was_unpacked_beside_the_dev_part_is_found(voxceleb2, prepare):
    (voxceleb2 / "test/wav").rename(voxceleb2 / "wav")
    data = prepare("voxceleb2", "--allow-incomplete", "true")
    assert read_table(data / "voxceleb2_test/utt2spk") == {"id00017-a-00003": "id00017"}
    assert list(read_table(data / "voxceleb2_dev/spk2utt")) == ["id00012", "id00018"]


def test_a_test_part_of_voxceleb2_must_be_whole_if_it_is_there(voxceleb2, prepare):
    with pytest.raises(InputError, match=r"voxceleb2_test: 1 of 36,237 utterances, 1 of 118 speakers"):
        prepare("voxceleb2")
    (voxceleb2 / "test/wav/id00017").rename(voxceleb2 / "elsewhere")
    with pytest.raises(InputError, match="voxceleb2_dev: 2 of") as stop:
        prepare("voxceleb2")
    assert "voxceleb2_test" not in str(stop.value)


def test_voxceleb2_has_a_test_set_where_its_test_part_is_there(voxceleb2, prepare):
    data = prepare("voxceleb2", "--allow-incomplete", "true")
    assert list(read_table(data / "voxceleb2_dev/utt2spk")) == ["id00012-21Uxsk56VDQ-00001", "id00018--x_-y-00007"]
    assert read_table(data / "voxceleb2_dev/spk2gender") == {"id00012": "m", "id00018": "f"}
    assert read_table(data / "voxceleb2_test/utt2spk") == {"id00017-a-00003": "id00017"}


def test_the_metadata_tells_the_parts_of_a_single_tree_apart(voxceleb2, prepare, tmp_path):
    (voxceleb2 / "dev/wav").rename(voxceleb2 / "wav")
    (voxceleb2 / "test/wav/id00017").rename(voxceleb2 / "wav/id00017")
    (tmp_path / "lists").mkdir()
    (voxceleb2 / "vox2_meta.csv").rename(tmp_path / "lists/vox2_meta.csv")
    data = prepare("voxceleb2", "--allow-incomplete", "true", "--lists-dir", tmp_path / "lists")
    assert read_table(data / "voxceleb2_test/utt2spk") == {"id00017-a-00003": "id00017"}
    assert len(read_table(data / "voxceleb2_dev/utt2spk")) == 2


def test_a_corpus_of_another_size_than_published_stops_before_anything_is_written(voxceleb1, prepare, tmp_path):
    with pytest.raises(InputError) as stop:
        prepare("voxceleb1")
    assert "voxceleb1_dev: 2 of 148,642 utterances, 1 of 1,211 speakers" in str(stop.value)
    assert "voxceleb1_test: 1 of 4,874 utterances, 1 of 40 speakers" in str(stop.value)
    assert "--allow-incomplete true" in str(stop.value) and "fetch_voxceleb_lists.sh" in str(stop.value)
    assert not (tmp_path / "data").exists()


def test_the_published_names_tell_which_utterances_are_lacking(tmp_path, prepare, voxceleb_wheel):
    lacking = "id10271-1gtz-CUIygI-00001"
    names = [name for name, _ in durations(voxceleb_wheel, "voxceleb1_test")]
    assert lacking in names
    for name in {*names, "id10270-another-00001"} - {lacking}:
        speaker, rest = name.split("-", 1)
        path = tmp_path / "corpus/test/wav" / speaker / rest[:-6] / f"{rest[-5:]}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "lists").mkdir()
    (tmp_path / f"lists/{FILE}").symlink_to(voxceleb_wheel)
    with pytest.raises(InputError) as stop:
        prepare("voxceleb1", "--lists-dir", tmp_path / "lists", "--missing-list", tmp_path / "missing")
    missing = (tmp_path / "missing").read_text().splitlines()
    assert len(missing) == 148_642 + 1 and lacking in missing and missing == sorted(missing)
    assert str(stop.value).splitlines()[-5:] == [
        "voxceleb1_test: 4,874 of 4,874 utterances, 40 of 40 speakers",
        "  lacks 1 utterances of 1 speakers",
        f"    id10271: 1 of 73: {lacking}",
        "  not published: 1 utterances of 1 speakers",
        "    id10270: 1 of 159: id10270-another-00001",
    ]


def test_a_list_of_what_lacks_needs_the_published_names(tmp_path, prepare):
    tone(tmp_path / "corpus/test/wav/id10270/abc/00001.wav")
    with pytest.raises(InputError, match="--missing-list needs the published names"):
        prepare("voxceleb1", "--missing-list", tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


def test_a_whole_set_passes_and_of_many_speakers_the_first_are_shown():
    names = [f"id{speaker}-v-{n}" for speaker in range(10001, 10010) for n in range(4)]
    assert compare("x", names, (36, 9), names) == "" == compare("x", names, (36, 9))
    report = compare("x", names[:1], (36, 9), names)
    assert "id10001: 3 of 4: id10001-v-1, id10001-v-2, id10001-v-3\n" in report
    assert report.endswith("and 4 more speakers")


def gone(voxceleb2):
    for part in ("dev", "test"):
        (voxceleb2 / part).rename(voxceleb2 / f"old_{part}")


def compressed(voxceleb2):
    (voxceleb2 / "dev/wav/id00012/21Uxsk56VDQ/00002.m4a").write_bytes(b"?")


def twice(voxceleb2):
    path = voxceleb2 / "dev/wav/id00018/-x_-y/00007.wav"
    copy(path, path.with_suffix(".flac"))


def broken(voxceleb2):
    path = voxceleb2 / "dev/wav/id00018/-x_-y/00007.wav"
    path.write_bytes(path.read_bytes()[:30])


def spaced(voxceleb2):
    folder = voxceleb2 / "dev/wav/id00012"
    (folder / "21Uxsk56VDQ").rename(folder / "x y")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (gone, r"corpus: no dev/wav/idNNNNN, .* not the folder of VoxCeleb"),
        (compressed, r"1 files are not WAV yet: .*00002\.m4a; run steps/convert_audio\.sh --extension m4a .*/dev/wav"),
        (twice, r"utterance id00018--x_-y-00007 a second time: .*\.flac and .*\.wav"),
        (broken, r"1 of \d files cannot be used: .*00007\.wav: "),
        (lambda f: text(f / "vox2_meta.csv", META2.replace("Gender", "Gneder")), r"csv:1: no column 'Gender' .*Gneder"),
        (lambda f: text(f / "vox2_meta.csv", META2.replace(",m ", ",x ")), r"csv:2: gender 'x' is neither"),
        (lambda f: text(f / "vox2_meta.csv", META2.replace(",test ", ",tset ")), r"csv:3: set 'tset' is neither"),
        (lambda f: text(f / "vox2_meta.csv", META2 + "id9\r\n"), r"csv:5: 1 columns instead of 4"),
        (lambda f: text(f / "vox2_meta.csv", ""), r"csv: is empty"),
        (spaced, r"utterance id 'id00012-x y-00001' is empty or holds a space"),
    ],
)
def test_a_broken_corpus_is_told_before_anything_is_written(voxceleb2, prepare, tmp_path, spoil, message):
    spoil(voxceleb2)
    with pytest.raises(InputError, match=message):
        prepare("voxceleb2", "--allow-incomplete", "true")
    assert not (tmp_path / "data").exists()


def test_a_lists_folder_that_is_not_there_and_a_package_that_is_not_whole_are_errors(voxceleb1, prepare, tmp_path):
    with pytest.raises(InputError, match="lists: no such folder"):
        prepare("voxceleb1", "--lists-dir", tmp_path / "lists")
    text(tmp_path / f"lists/{FILE}", "PK")
    with pytest.raises(InputError, match="another sha256"):
        prepare("voxceleb1", "--lists-dir", tmp_path / "lists")
