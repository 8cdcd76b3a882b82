"""local/prepare_*.sh on the real corpora, and how they say that there is none."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile as sf

from sv_py.corpora import CORPORA
from sv_py.io.text import read_table

REAL = {"an4": "an4", "speechocean762": "so762", "librispeech": "libri"}
SIZES = {
    "an4_all": (84, 1078), "an4_train": (42, 540), "an4_test": (42, 538),
    "so762_train": (125, 2500), "so762_test": (125, 2500), "librispeech": (261, 528),
}  # fmt: skip


@pytest.fixture(scope="session")
def data(shared, root, tmp_path_factory):
    """The data dirs of all real corpora."""
    folder = tmp_path_factory.mktemp("data")
    for corpus, name in REAL.items():
        script = root / f"local/prepare_{corpus}.sh"
        subprocess.run([script, "--corpus-dir", shared / "corpora" / name, folder], check=True)
    return folder


@pytest.mark.parametrize("name", SIZES)
def test_real_corpora_give_valid_data_dirs_of_known_size(data, root, run, name):
    run(root / "utils/validate_data_dir.sh", "--no-feats", data / name)
    utt2spk = read_table(data / name / "utt2spk")
    genders = read_table(data / name / "spk2gender")
    assert (len(set(utt2spk.values())), len(utt2spk)) == SIZES[name]
    assert set(genders) == set(utt2spk.values())


def test_training_and_test_speakers_are_disjoint(data):
    speakers = {name: set(read_table(data / name / "spk2utt")) for name in SIZES}
    assert not speakers["an4_train"] & speakers["an4_test"]
    assert not speakers["so762_train"] & speakers["so762_test"]
    assert speakers["an4_all"] == speakers["an4_train"] | speakers["an4_test"]


@pytest.mark.parametrize(
    ("trials", "name"),
    [
        ("an4/v1/trials/an4_test", "an4_test"),
        ("an4/v1/trials/an4_all", "an4_all"),
        ("speechocean762/v1/trials/an4_test", "an4_test"),
        ("speechocean762/v1/trials/so762_test", "so762_test"),
    ],
)
def test_every_utterance_of_the_recipes_trials_is_in_its_set(data, root, trials, name):
    known = read_table(data / name / "utt2spk")
    lines = (root / "egs" / trials).read_text().splitlines()
    assert {utt for line in lines for utt in line.split()[:2]} <= set(known)
    assert all((known[e] == known[t]) == (label == "target") for e, t, label in map(str.split, lines))


def test_real_manifests_pass_lhotses_own_validation(data):
    import lhotse

    recordings = lhotse.RecordingSet.from_file(data / "manifests/so762_test_recordings.jsonl.gz")
    supervisions = lhotse.SupervisionSet.from_file(data / "manifests/so762_test_supervisions.jsonl.gz")
    assert recordings.is_lazy
    lhotse.validate(recordings)
    lhotse.validate(supervisions)
    cut = next(iter(lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions)))
    assert cut.load_audio().shape == (1, cut.num_samples)
    assert cut.supervisions[0].id in read_table(data / "so762_test/utt2spk")


def test_the_distributions_layout_of_speechocean762_gives_the_ids_of_the_trials(shared, data, root, run, tmp_path):
    kept = {}
    for part in ("train", "test"):
        folder = tmp_path / "corpus" / part
        folder.mkdir(parents=True)
        wavs, utt2spk = [], []
        for utt, source in list(read_table(data / f"so762_{part}/wav.scp").items())[:40:7]:
            speaker, stem = utt.split("-")[1], utt.split("-")[3]
            wav = f"WAVE/SPEAKER{speaker}/{stem}.WAV"
            (tmp_path / "corpus" / wav).parent.mkdir(parents=True, exist_ok=True)
            sf.write(tmp_path / "corpus" / wav, *sf.read(source), format="WAV")
            wavs.append(f"{stem}\t{wav}\n")
            utt2spk.append(f"{stem}\t{speaker}\n")
            kept[utt] = part
        (folder / "wav.scp").write_text("".join(wavs))
        (folder / "utt2spk").write_text("".join(utt2spk))
        genders = read_table(data / f"so762_{part}/spk2gender")
        (folder / "spk2gender").write_text("".join(f"{s.split('-')[1]}\t{g}\n" for s, g in genders.items()))
    run(root / "local/prepare_speechocean762.sh", "--corpus-dir", "corpus", "data", cwd=tmp_path)
    for part in ("train", "test"):
        utts = [utt for utt in kept if kept[utt] == part]
        for table in ("utt2spk", "utt2dur"):
            whole = read_table(data / f"so762_{part}" / table)
            assert read_table(tmp_path / f"data/so762_{part}" / table) == {utt: whole[utt] for utt in utts}


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_corpus_that_is_nowhere_is_told_with_the_variable_and_its_home(root, run, tmp_path, corpus):
    variable = f"{corpus.upper()}_DIR"
    done = run(root / f"local/prepare_{corpus}.sh", "data", code=1, **{variable: tmp_path / "gone"})
    assert f"gone; give --corpus-dir, or set {variable}" in done.stderr
    assert "http" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_site_file_names_a_corpus_and_the_environment_goes_before_it(root, run, tmp_path):
    (tmp_path / "conf").mkdir()
    shutil.copy(root / "conf/corpora.sh", tmp_path / "conf")
    source = ["bash", "-euc", '. conf/corpora.sh; echo "$AN4_DIR:$LIBRISPEECH_DIR"']
    clean = {"SV_ROOT": tmp_path, "AN4_DIR": "", "LIBRISPEECH_DIR": ""}
    assert run(*source, **clean).stdout == ":\n"
    (tmp_path / "conf/corpora.site.sh").write_text(': "${AN4_DIR:=/corpora/an4}"\n')
    assert run(*source, **clean).stdout == "/corpora/an4:\n"
    assert run(*source, **{**clean, "AN4_DIR": "/elsewhere"}).stdout == "/elsewhere:\n"


def test_real_noises_and_responses_become_sets_that_shards_are_made_of(shared, root, run, tmp_path):
    files = sorted((shared / "corpora/noise/noise").rglob("*.flac")) + sorted((shared / "corpora/rir").rglob("*.flac"))
    places = {
        "musan": [f"{part}/own/{part}-own-0000" for part in ("music", "speech", "noise")],
        "rirs": [f"simulated_rirs/{size}room/Room001/Room001-00001" for size in ("small", "medium", "large")]
        + ["pointsource_noises/noise-own-0000", "real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1"],
    }
    for corpus, stems in places.items():
        for stem, file in zip(stems, files, strict=False):
            wav = tmp_path / corpus / f"{stem}.wav"
            wav.parent.mkdir(parents=True, exist_ok=True)
            sf.write(wav, *sf.read(file, dtype="int16"))
    both = np.stack([sf.read(files[-1], dtype="int16")[0]] * 2, axis=1)
    sf.write(tmp_path / "rirs/real_rirs_isotropic_noises/air_type1_air_binaural_booth_0_1.wav", both, 16000)
    (tmp_path / "musan/music/own/ANNOTATIONS").write_text("music-own-0000 folk N somebody\n")
    run(root / "local/prepare_musan.sh", "data", MUSAN_DIR=tmp_path / "musan")
    run(root / "local/prepare_rirs_noises.sh", "--corpus-dir", "rirs", "data")
    for name in ("musan_noise", "rirs_real"):
        run(root / "steps/make_shards.sh", "--nj", 1, f"data/{name}")
        run(root / "utils/validate_data_dir.sh", "--no-feats", f"data/{name}")
    samples = read_table(tmp_path / "data/rirs_real/utt2num_samples")
    assert samples == {"rirs-real-air_type1_air_binaural_booth_0_1": str(len(both))}


def test_a_full_disk_is_told_with_the_copy_that_did_not_fit(root, run, tmp_path):
    folder = tmp_path / "rirs"
    parts = ["pointsource_noises", *(f"simulated_rirs/{size}room" for size in ("small", "medium", "large"))]
    for stem in (
        *(f"{part}/a" for part in parts),
        *(f"real_rirs_isotropic_noises/{kind}" for kind in ("noise", "rir")),
    ):
        (folder / stem).parent.mkdir(parents=True, exist_ok=True)
        sf.write(folder / f"{stem}.wav", np.zeros((4000, 2 if stem.endswith("rir") else 1), np.int16), 16000)
    limited = ["bash", "-c", 'ulimit -f 4; exec "$@"', "-", root / "local/prepare_rirs_noises.sh"]
    done = run(*limited, "--corpus-dir", "rirs", "data", code=1)
    assert "data/rirs_real_wav/rirs-real-rir.wav: File too large" in done.stderr
    assert [path.name for path in (tmp_path / "data").rglob("*")] == ["rirs_real_wav"]


def test_prepare_dir_takes_a_folder_and_its_options(root, run, tmp_path):
    folder = tmp_path / "two words" / "anna" / "s1"
    folder.mkdir(parents=True)
    sf.write(folder / "x.wav", np.zeros(800), 16000)
    (folder / "notes.txt").write_text("not audio")
    script = root / "local/prepare_dir.sh"
    done = run(script, "--name", "calls", "two words", "data", code=1)
    assert "1 of 2 files cannot be used" in done.stderr
    assert not (tmp_path / "data").exists()
    run(script, "--name", "calls", "--skip-bad", "true", "--spk-prefix", "p-", "two words", "data")
    assert read_table(tmp_path / "data/calls/utt2spk") == {"p-anna-s1-x": "p-anna"}
    assert read_table(tmp_path / "data/calls/wav.scp") == {"p-anna-s1-x": str(folder / "x.wav")}


def test_a_misspelt_option_of_prepare_names_its_near_miss(root, run):
    done = run(root / "local/prepare_dir.sh", "--spk-prefx", "x", "corpus", "data", code=1)
    assert "--spk-prefix" in done.stderr
