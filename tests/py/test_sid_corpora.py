"""CN-Celeb, 3D-Speaker and ESD in their own layouts, of real speech: sets, trials, and what is refused."""

import pytest
from corpus_trees import copy, spoil, text, tone

from sv_py.cli import InputError
from sv_py.io.data_dir import check
from sv_py.io.text import read_table
from sv_py.io.trials import read_trials

DEVICES = ("Device03_Distance00_Dialect00", "Device06_Distance01_Dialect00")


def cn_celeb(folder, put=tone):
    """Two training and two evaluation speakers of the first part, one speaker of the second."""
    first, second = folder / "CN-Celeb_flac", folder / "CN-Celeb2_flac"
    for speaker in ("id00000", "id00001", "id00800", "id00801"):
        for stem in ("interview-01-001", "singing-02-001"):
            put(first / f"data/{speaker}/{stem}.flac")
    for speaker in ("id00800", "id00801"):
        put(first / f"eval/enroll/{speaker}-enroll.flac")
        put(first / f"eval/test/{speaker}-speech-01-001.flac")
    put(second / "data/id10000/vlog-01-001.flac")
    text(first / "dev/dev.lst", "id00000\nid00001\n")
    text(second / "spk.lst", "id10000\n")
    text(
        first / "eval/lists/enroll.map",
        "id00800-enroll id00800/interview-01-001.wav id00800/singing-02-001.wav\n"
        "id00801-enroll id00801/interview-01-001.wav\n",
    )
    text(
        first / "eval/lists/trials.lst",
        "id00800-enroll test/id00800-speech-01-001.wav 1\n"
        "id00800-enroll test/id00801-speech-01-001.wav 0\n"
        "id00801-enroll test/id00800-speech-01-001.wav 0\n"
        "id00801-enroll test/id00801-speech-01-001.wav 1\n",
    )


def three_d_speaker(folder, put=tone, base="/"):
    """Two speakers of each part, on two devices each and on the one that is left out; ``base``: how paths begin."""
    for part, speakers in (("train", ("3D_SPK_00001", "3D_SPK_00002")), ("test", ("3D_SPK_06154", "3D_SPK_06155"))):
        utts = [(s, f"{s}_001_{device}") for s in speakers for device in (*DEVICES, "Device09_Distance02_Dialect00")]
        for speaker, utt in utts:
            put(folder / part / speaker / f"{utt}.wav")
        start = base.format(part=part)
        text(folder / f"files/{part}_wav.scp", "".join(f"{u} {start}{s}/{u}.wav\n" for s, u in utts))
        text(folder / f"files/{part}_utt2spk", "".join(f"{u} {s}\n" for s, u in utts))
    one, other = (f"3D_SPK_0615{n}_001_{device}" for n, device in zip((4, 5), DEVICES, strict=True))
    same = f"3D_SPK_06154_001_{DEVICES[1]}"
    text(folder / "files/trials_cross_device", f"{one} {same} target\n{one} {other} nontarget\n")
    text(folder / "files/trials_cross_distance", f"{one} {same} 1\n{one} {other} 0\n")
    text(folder / "files/trials_cross_dialect", f"{one} {other} nontarget\n{one} {same} target\n")


def esd(folder, put=tone, parts=("train/", "evaluation/", "test/")):
    for speaker in ("0001", "0011"):
        for k, emotion in enumerate(("Angry", "Neutral")):
            for n, part in enumerate(parts):
                put(folder / speaker / emotion / f"{part}{speaker}_{350 * k + n + 1:06d}.wav")
        text(folder / speaker / f"{speaker}.txt", f"{speaker}_000001\tThe words.\tAngry\n")


@pytest.fixture
def speech(shared):
    """``speech(path)``: the next real recording, as ``path``."""
    files = iter(sorted((shared / "corpora/an4/wav").rglob("*.flac")))
    return lambda path: copy(next(files), path)


def test_cn_celeb_trains_on_the_listed_speakers_of_both_parts_and_tests_on_the_others(tmp_path, prepare, speech):
    cn_celeb(tmp_path / "corpus", speech)
    data = prepare("cn_celeb")
    assert read_table(data / "cnceleb_train/spk2utt") == {
        "cnc-id00000": "cnc-id00000-interview-01-001 cnc-id00000-singing-02-001",
        "cnc-id00001": "cnc-id00001-interview-01-001 cnc-id00001-singing-02-001",
    }
    assert read_table(data / "cnceleb2_train/utt2spk") == {"cnc-id10000-vlog-01-001": "cnc-id10000"}
    assert list(read_table(data / "cnceleb_eval/utt2spk")) == [
        "cnc-id00800-enroll", "cnc-id00800-interview-01-001", "cnc-id00800-singing-02-001",
        "cnc-id00800-speech-01-001", "cnc-id00801-enroll", "cnc-id00801-interview-01-001",
        "cnc-id00801-speech-01-001",
    ]  # fmt: skip
    for name in ("cnceleb_train", "cnceleb2_train", "cnceleb_eval"):
        check(data / name, feats=False)


def test_the_trials_of_cn_celeb_are_of_joined_utterances_and_of_models_under_one_name(tmp_path, prepare, speech):
    cn_celeb(tmp_path / "corpus", speech)
    data = prepare("cn_celeb") / "cnceleb_eval"
    assert (data / "trials").read_text().splitlines() == [
        "cnc-id00800-enroll cnc-id00800-speech-01-001 target",
        "cnc-id00800-enroll cnc-id00801-speech-01-001 nontarget",
        "cnc-id00801-enroll cnc-id00800-speech-01-001 nontarget",
        "cnc-id00801-enroll cnc-id00801-speech-01-001 target",
    ]
    assert read_table(data / "enrol_spk2utt") == {
        "cnc-id00800-enroll": "cnc-id00800-interview-01-001 cnc-id00800-singing-02-001",
        "cnc-id00801-enroll": "cnc-id00801-interview-01-001",
    }


@pytest.mark.parametrize("part", ["CN-Celeb_flac", "CN-Celeb2_flac"])
def test_each_part_of_cn_celeb_can_be_prepared_alone(tmp_path, prepare, part):
    cn_celeb(tmp_path)
    (tmp_path / part).rename(tmp_path / "corpus")
    names = {path.parent.name for path in prepare("cn_celeb").glob("*/utt2spk")}
    assert names == ({"cnceleb2_train"} if "2" in part else {"cnceleb_train", "cnceleb_eval"})


def test_cn_celeb_that_was_converted_to_wav_gives_the_same_ids(tmp_path, prepare):
    cn_celeb(tmp_path / "corpus")
    data = prepare("cn_celeb")
    tables = [*data.glob("*/utt2spk"), data / "cnceleb_eval/trials", data / "cnceleb_eval/enrol_spk2utt"]
    before = [path.read_text() for path in tables]
    for path in (tmp_path / "corpus").rglob("*.flac"):
        copy(path, path.with_suffix(".wav"))
        path.unlink()
    prepare("cn_celeb")
    assert before == [path.read_text() for path in tables]
    assert all(wav.endswith(".wav") for wav in read_table(data / "cnceleb_eval/wav.scp").values())


def test_an_utterance_that_both_enrols_and_tests_is_there_once(tmp_path, prepare):
    cn_celeb(tmp_path / "corpus")
    tone(tmp_path / "corpus/CN-Celeb_flac/eval/test/id00800-singing-02-001.flac")
    wavs = read_table(prepare("cn_celeb") / "cnceleb_eval/wav.scp")
    assert wavs["cnc-id00800-singing-02-001"].endswith("eval/test/id00800-singing-02-001.flac")


@pytest.mark.parametrize("base", ["/", "", "{part}/", "/{part}/"])
def test_3d_speaker_is_read_from_its_tables_however_their_paths_begin(tmp_path, prepare, speech, base):
    three_d_speaker(tmp_path / "corpus", speech, base)
    data = prepare("three_d_speaker")
    assert read_table(data / "3dspeaker_test/utt2spk") == {
        f"{speaker}_001_{device}": speaker for speaker in ("3D_SPK_06154", "3D_SPK_06155") for device in DEVICES
    }
    assert list(read_table(data / "3dspeaker_train/spk2utt")) == ["3D_SPK_00001", "3D_SPK_00002"]
    for name in ("3dspeaker_train", "3dspeaker_test"):
        check(data / name, feats=False)


def test_the_trials_of_3d_speaker_have_kaldis_labels(tmp_path, prepare):
    three_d_speaker(tmp_path / "corpus")
    data = prepare("three_d_speaker") / "3dspeaker_test"
    conditions = ("device", "distance", "dialect")
    labels = {name: read_trials(data / f"trials_cross_{name}").target.tolist() for name in conditions}
    assert labels == {"device": [True, False], "distance": [True, False], "dialect": [False, True]}


def test_the_tables_of_3d_speaker_may_lie_beside_its_audio(tmp_path, prepare):
    three_d_speaker(tmp_path / "corpus")
    for path in (tmp_path / "corpus/files").iterdir():
        path.rename(tmp_path / "corpus" / path.name)
    assert len(read_table(prepare("three_d_speaker") / "3dspeaker_train/utt2spk")) == 4


def test_esd_keeps_its_parts_emotions_and_languages(tmp_path, prepare, speech):
    esd(tmp_path / "corpus", speech)
    data = prepare("esd")
    assert list(read_table(data / "esd/utt2spk").items())[:4] == [
        ("esd-0001-Angry-0001_000001", "esd-0001"), ("esd-0001-Angry-0001_000002", "esd-0001"),
        ("esd-0001-Angry-0001_000003", "esd-0001"), ("esd-0001-Neutral-0001_000351", "esd-0001"),
    ]  # fmt: skip
    names = ("esd", "esd_train", "esd_evaluation", "esd_test")
    sizes = {name: len(read_table(data / name / "utt2spk")) for name in names}
    assert sizes == {"esd": 12, "esd_train": 4, "esd_evaluation": 4, "esd_test": 4}
    languages = read_table(data / "esd/utt2lang")
    assert (languages["esd-0001-Angry-0001_000001"], languages["esd-0011-Angry-0011_000001"]) == ("zh", "en")
    check(data / "esd", feats=False)


@pytest.mark.parametrize("inner", ["", "Emotion Speech Dataset/"])
def test_esd_without_parts_is_one_set_wherever_its_archive_puts_it(tmp_path, prepare, inner):
    esd(tmp_path / "corpus" / inner, parts=("",))
    data = prepare("esd")
    assert {path.parent.name for path in data.glob("*/utt2spk")} == {"esd"}
    assert len(read_table(data / "esd/utt2spk")) == 4


FIRST = "CN-Celeb_flac"
LISTS = f"{FIRST}/eval/lists"
MALFORMED = [
    pytest.param(corpus, *case, id=f"{corpus}: {name}")
    for corpus, cases in {
        "cn_celeb": {
            "another folder": (esd, r"neither CN-Celeb_flac/dev/dev\.lst nor CN-Celeb2_flac/spk\.lst here"),
            "a speaker is missing": (
                spoil(cn_celeb, f"{FIRST}/data/id00001"), r"dev\.lst: 1 listed speakers are not in data/: id00001"
            ),
            "a speaker without audio": (
                spoil(cn_celeb, "CN-Celeb2_flac/data/id10000/vlog-01-001.flac"), r"id10000: no FLAC or WAV here"
            ),
            "no test audio": (spoil(cn_celeb, f"{FIRST}/eval/test"), r"eval/test: no FLAC or WAV here"),
            "no enrolment list": (spoil(cn_celeb, f"{LISTS}/enroll.map"), r"enroll\.map: no such file"),
            "no trials": (spoil(cn_celeb, f"{LISTS}/trials.lst"), r"trials\.lst: no such trial list"),
            "empty trials": (spoil(cn_celeb, f"{LISTS}/trials.lst", ""), r"trials\.lst: is empty"),
            "enrolment audio is missing": (
                spoil(cn_celeb, f"{FIRST}/data/id00801/interview-01-001.flac"),
                r"enroll\.map:2: id00801/interview-01-001\.wav is not in data/",
            ),
            "test audio is missing": (
                spoil(cn_celeb, f"{FIRST}/eval/test/id00801-speech-01-001.flac"),
                r"trials\.lst:2: 'test/id00801-speech-01-001\.wav' is not in the corpus",
            ),
            "an unknown model": (
                spoil(cn_celeb, f"{LISTS}/trials.lst", "id00802-enroll test/id00801-speech-01-001.wav 0\n"),
                r"trials\.lst:1: 'id00802-enroll' is not in the corpus",
            ),
            "an unknown label": (
                spoil(cn_celeb, f"{LISTS}/trials.lst", "id00801-enroll test/id00801-speech-01-001.wav 2\n"),
                r"trials\.lst:1: expected 'enrol test 1\|0', got",
            ),
            "another order": (
                spoil(cn_celeb, f"{LISTS}/trials.lst", "1 id00801-enroll test/id00801-speech-01-001.wav\n"),
                r"trials\.lst:1: expected 'enrol test 1\|0'",
            ),
            "not a text": (spoil(cn_celeb, f"{LISTS}/trials.lst", b"\xff\xfe\0"), r"trials\.lst:1: expected"),
            "a speaker of both": (
                spoil(cn_celeb, f"{FIRST}/dev/dev.lst", "id00800\n"), "speaker cnc-id00800 trains and is evaluated"
            ),
            "a speaker elsewhere": (spoil(cn_celeb, f"{FIRST}/dev/dev.lst", "../x\n"), r"dev\.lst:1: speaker '\.\./x'"),
            "not audio": (spoil(cn_celeb, f"{FIRST}/data/id00000/singing-02-001.flac", "text"), "1 of 12 files"),
        },
        "three_d_speaker": {
            "another folder": (esd, r"no files/train_wav\.scp here"),
            "a table is missing": (spoil(three_d_speaker, "files/test_utt2spk"), r"test_utt2spk: no such file"),
            "audio is missing": (
                spoil(three_d_speaker, f"train/3D_SPK_00002/3D_SPK_00002_001_{DEVICES[0]}.wav"), "1 of 8 files"
            ),
            "an utterance without a speaker": (
                spoil(three_d_speaker, "files/test_utt2spk", "x y\n"), r"test_wav\.scp:1: utterance .* is not in"
            ),
            "a condition without trials": (
                spoil(three_d_speaker, "files/trials_cross_dialect"), r"trials_cross_dialect: no such trial list"
            ),
            "trials of an unknown utterance": (
                spoil(three_d_speaker, "files/trials_cross_device", "a b target\n"), r"_device:1: 'a' is not"
            ),
            "a speaker of both": (
                spoil(
                    three_d_speaker, "files/train_utt2spk",
                    "".join(f"3D_SPK_0000{n}_001_{device} 3D_SPK_06154\n" for n in (1, 2) for device in DEVICES),
                ),
                "speaker 3D_SPK_06154 is in train and in test",
            ),
        },
        "esd": {
            "another folder": (three_d_speaker, r"no folders 0001, 0002\.\.\. of speakers here"),
            "a speaker without audio": (
                lambda folder: (esd(folder), text(folder / "0012/0012.txt", "words\n")), r"0012: no <emotion>/"
            ),
            "a file of another speaker": (
                lambda folder: (esd(folder), tone(folder / "0011/Angry/test/0001_000009.wav")), r"not named 0011_"
            ),
            "not audio": (spoil(esd, "0001/Angry/train/0001_000001.wav", "text"), "1 of 12 files cannot be used"),
            "two channels": (
                lambda folder: (esd(folder), tone(folder / "0011/Angry/test/0011_000009.wav", channels=2)),
                "2 channels instead of one",
            ),
        },
    }.items()
    for name, case in cases.items()
]  # fmt: skip


@pytest.mark.parametrize(("corpus", "build", "message"), MALFORMED)
def test_malformed_speaker_corpora_are_told_before_anything_is_written(tmp_path, prepare, corpus, build, message):
    build(tmp_path / "corpus")
    with pytest.raises(InputError, match=message):
        prepare(corpus)
    assert not (tmp_path / "data").exists()


def test_bad_files_of_cn_celeb_are_left_out_on_request_unless_a_trial_needs_them(tmp_path, prepare):
    cn_celeb(tmp_path / "corpus")
    text(tmp_path / f"corpus/{FIRST}/data/id00000/singing-02-001.flac", "text")
    assert len(read_table(prepare("cn_celeb", "--skip-bad", "true") / "cnceleb_train/utt2spk")) == 3
    text(tmp_path / f"corpus/{FIRST}/eval/test/id00800-speech-01-001.flac", "text")
    with pytest.raises(InputError, match=r"trials\.lst:1: 'test/id00800-speech-01-001\.wav' is not in the corpus"):
        prepare("cn_celeb", "--skip-bad", "true")
