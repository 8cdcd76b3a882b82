"""MUSAN and RIRS_NOISES in their own layouts, of real noises and responses: what is found and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_trees import copy, spoil, text, tone

from sv_py.cli import InputError
from sv_py.data.manifests import recipe_recordings
from sv_py.io.data_dir import check
from sv_py.io.text import read_table

REAL = "real_rirs_isotropic_noises"


def musan(folder):
    for part, source in (("music", "fma"), ("noise", "free-sound"), ("speech", "librivox")):
        for n in range(2):
            tone(folder / part / source / f"{part}-{source}-000{n}.wav")
        text(folder / part / source / "LICENSE", "CC0\n")
    text(folder / "music/fma/ANNOTATIONS", "music-fma-0000 rock,pop Y someone\nmusic-fma-0001 classical N another\n")


def rirs_noises(folder):
    tone(folder / "pointsource_noises/noise-free-sound-0000.wav")
    for size in ("small", "medium", "large"):
        for n in (1, 2):
            tone(folder / f"simulated_rirs/{size}room/Room001/Room001-0000{n}.wav")
    for name in ("RVB2014_type1_rir_largeroom1_far_angla", "RVB2014_type1_noise_largeroom1_1"):
        tone(folder / REAL / f"{name}.wav", channels=8)
    tone(folder / REAL / "RWCP_type4_rir_p10l.wav")
    tone(folder / REAL / "air_type1_air_binaural_booth_0_1.wav", channels=2)


@pytest.fixture
def real_musan(tmp_path, shared):
    """MUSAN's layout of real noise, music and babble."""
    for part, source in (("music", "music"), ("noise", "noise"), ("speech", "babble")):
        files = sorted((shared / "corpora/noise" / source).rglob("*.flac"))[:2]
        assert files
        for n, file in enumerate(files):
            copy(file, tmp_path / "corpus" / part / "own" / f"{part}-own-000{n}.wav")
    text(tmp_path / "corpus/music/own/ANNOTATIONS", "music-own-0000 game N somebody\n\nmusic-own-0001 game N -\n")


@pytest.fixture
def real_rirs(tmp_path, shared):
    """RIRS_NOISES' layout of real responses; one of them has two channels."""
    files = sorted((shared / "corpora/rir").rglob("*.flac"))
    for k, size in enumerate(("small", "medium", "large")):
        copy(files[k], tmp_path / f"corpus/simulated_rirs/{size}room/Room001/Room001-00001.wav")
    left, right = (soundfile.read(file, dtype="int16")[0] for file in files[3:5])
    length = min(len(left), len(right))
    copy(files[5], tmp_path / "corpus" / REAL / "RWCP_type4_rir_p10l.wav")
    both = np.stack([left[:length], right[:length]], axis=1)
    soundfile.write(tmp_path / "corpus" / REAL / "air_type1_air_binaural_booth_0_1.wav", both, 16000)
    noise = next(iter(sorted((shared / "corpora/noise/noise").rglob("*.flac"))))
    copy(noise, tmp_path / "corpus" / REAL / "RVB2014_type1_noise_largeroom1_1.wav")
    copy(noise, tmp_path / "corpus/pointsource_noises/noise-free-sound-0000.wav")
    return left[:length]


def test_each_part_of_musan_becomes_a_set_in_which_a_recording_is_its_own_speaker(tmp_path, prepare, real_musan):
    data = prepare("musan")
    for part in ("music", "noise", "speech"):
        check(data / f"musan_{part}", feats=False)
        names = [f"musan-{part}-own-000{n}" for n in range(2)]
        assert read_table(data / f"musan_{part}/utt2spk") == dict(zip(names, names, strict=True))
        wav = Path(read_table(data / f"musan_{part}/wav.scp")[names[1]])
        assert wav == tmp_path / f"corpus/{part}/own/{part}-own-0001.wav"
        seconds = float(read_table(data / f"musan_{part}/utt2dur")[names[1]])
        assert seconds == pytest.approx(soundfile.info(wav).duration, abs=1e-6) and seconds > 0.5


def test_musans_recordings_are_those_of_lhotses_recipe(tmp_path, prepare):
    musan(tmp_path / "corpus")
    data = prepare("musan")
    theirs = {(f"musan-{name}", path) for _, name, path in recipe_recordings("musan", tmp_path / "corpus")}
    assert theirs == {row for part in ("music", "noise", "speech") for row in wavs(data / f"musan_{part}")}


def wavs(data):
    return read_table(data / "wav.scp").items()


def test_rooms_of_each_size_measured_responses_and_noises_are_sets(tmp_path, prepare):
    rirs_noises(tmp_path / "corpus")
    data = prepare("rirs_noises")
    found = {path.parent.name: list(read_table(path)) for path in data.glob("*/utt2spk")}
    unions = {name: found.pop(name) for name in ("rirs_small_medium", "rirs_simulated")}
    assert found == {
        "rirs_small": ["rirs-small-Room001-00001", "rirs-small-Room001-00002"],
        "rirs_medium": ["rirs-medium-Room001-00001", "rirs-medium-Room001-00002"],
        "rirs_large": ["rirs-large-Room001-00001", "rirs-large-Room001-00002"],
        "rirs_real": [
            "rirs-real-RVB2014_type1_rir_largeroom1_far_angla", "rirs-real-RWCP_type4_rir_p10l",
            "rirs-real-air_type1_air_binaural_booth_0_1",
        ],
        "rirs_point_noise": ["rirs-point-noise-noise-free-sound-0000"],
        "rirs_iso_noise": ["rirs-iso-noise-RVB2014_type1_noise_largeroom1_1"],
    }  # fmt: skip
    assert unions["rirs_small_medium"] == sorted(found["rirs_small"] + found["rirs_medium"])
    assert unions["rirs_simulated"] == sorted(unions["rirs_small_medium"] + found["rirs_large"])
    for name in [*found, *unions]:
        check(data / name, feats=False)


def test_the_responses_of_aachen_that_lhotse_leaves_out_are_there(tmp_path, prepare):
    rirs_noises(tmp_path / "corpus")
    theirs = {name for _, name, _ in recipe_recordings("rir_noise", tmp_path / "corpus", parts=("real_rir",))}
    ours = {name.removeprefix("rirs-real-") for name, _ in wavs(prepare("rirs_noises") / "rirs_real")}
    assert ours - theirs == {"air_type1_air_binaural_booth_0_1"} and theirs < ours


def test_of_several_channels_the_first_is_taken_to_the_bit(prepare, real_rirs):
    data = prepare("rirs_noises")
    copy = Path(read_table(data / "rirs_real/wav.scp")["rirs-real-air_type1_air_binaural_booth_0_1"])
    assert copy == data / "rirs_real_wav/rirs-real-air_type1_air_binaural_booth_0_1.wav"
    samples, rate = soundfile.read(copy, dtype="int16")
    assert rate == 16000 and np.array_equal(samples, real_rirs)
    assert not (data / "rirs_small_wav").exists()


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_the_first_of_other_channels_is_kept_as_floats(tmp_path, prepare, subtype):
    rirs_noises(tmp_path / "corpus")
    wav = tmp_path / "corpus" / REAL / "air_type1_air_binaural_booth_0_1.wav"
    tone(wav, channels=2, subtype=subtype)
    copy = read_table(prepare("rirs_noises") / "rirs_real/wav.scp")["rirs-real-air_type1_air_binaural_booth_0_1"]
    assert soundfile.info(copy).subtype == "FLOAT"
    assert np.array_equal(soundfile.read(copy, dtype="float32")[0], soundfile.read(wav, dtype="float32")[0][:, 0])


def test_a_second_preparation_writes_only_the_channels_that_changed(tmp_path, prepare):
    rirs_noises(tmp_path / "corpus")
    folder = prepare("rirs_noises") / "rirs_real_wav"
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    tone(tmp_path / "corpus" / REAL / "air_type1_air_binaural_booth_0_1.wav", 900, channels=2)
    prepare("rirs_noises")
    after = {path.name: path.stat().st_ino for path in folder.iterdir()}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"rirs-real-air_type1_air_binaural_booth_0_1.wav"} and before.keys() == after.keys()
    assert soundfile.info(folder / changed.pop()).frames == 900


MALFORMED = [
    pytest.param(corpus, *case, id=f"{corpus}: {name}")
    for corpus, cases in {
        "musan": {
            "another folder": (lambda folder: tone(folder / "a/x.wav"), r"no WAV in music/: not the folder of MUSAN"),
            "a part is missing": (spoil(musan, "noise"), r"no WAV in noise/"),
            "annotated music is missing": (
                spoil(musan, "music/fma/music-fma-0001.wav"), r"ANNOTATIONS:2: music-fma-0001\.wav is not here"
            ),
            "a short annotation": (
                spoil(musan, "music/fma/ANNOTATIONS", "music-fma-0000 rock\n"), r"ANNOTATIONS:1: expected 'recording"
            ),
            "no annotations": (spoil(musan, "music/fma/ANNOTATIONS"), "music: no file ANNOTATIONS"),
            "not audio": (
                spoil(musan, "noise/free-sound/noise-free-sound-0000.wav", "text"), r"sound-0000\.wav' failed"
            ),
            "empty file": (spoil(musan, "speech/librivox/speech-librivox-0001.wav", ""), r"librivox-0001\.wav' failed"),
            "no samples": (
                lambda folder: (musan(folder), tone(folder / "noise/free-sound/noise-none.wav", samples=0)),
                "noise-none: duration has to be greater than 0",
            ),
            "two channels": (
                lambda folder: (musan(folder), tone(folder / "noise/free-sound/noise-two.wav", channels=2)),
                r"noise-two\.wav: 2 channels instead of one",
            ),
            "one name twice": (
                lambda folder: (musan(folder), tone(folder / "noise/other/noise-free-sound-0000.wav")),
                "duplicated IDs",
            ),
            "a strange name": (
                lambda folder: (musan(folder), tone(folder / "noise/other/two words.wav")), r"utterance id .*two words"
            ),
        },
        "rirs_noises": {
            "another folder": (musan, r"no WAV in pointsource_noises/: not the folder RIRS_NOISES"),
            "a size is missing": (spoil(rirs_noises, "simulated_rirs/mediumroom"), r"simulated_rirs/mediumroom/"),
            "not audio": (spoil(rirs_noises, f"{REAL}/RWCP_type4_rir_p10l.wav", "text"), r"p10l\.wav: .*[Ff]ormat"),
            "truncated header": (
                spoil(rirs_noises, "simulated_rirs/smallroom/Room001/Room001-00001.wav", b"RIFF\x24\0\0\0WAVE"),
                r"smallroom/Room001/Room001-00001\.wav",
            ),
        },
    }.items()
    for name, case in cases.items()
]  # fmt: skip


def test_a_recipe_of_lhotses_that_fails_without_a_word_is_an_error_with_the_folder(tmp_path):
    (tmp_path / "media").mkdir()  # of earnings21, whose recipe has `assert len(audio_files) == 44`
    with pytest.raises(InputError, match=f"{tmp_path}: Lhotse's recipe earnings21: AssertionError"):
        recipe_recordings("earnings21", tmp_path)


@pytest.mark.parametrize(("corpus", "build", "message"), MALFORMED)
def test_malformed_noise_corpora_are_told_before_anything_is_written(tmp_path, prepare, corpus, build, message):
    build(tmp_path / "corpus")
    with pytest.raises(InputError, match=message):
        prepare(corpus)
    assert not (tmp_path / "data").exists()
