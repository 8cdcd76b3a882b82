"""The cohort: means of speakers or utterances, without those that are kept for calibration."""

import sys

import kaldiio
import numpy as np
import pytest

from sv_py import make_cohort
from sv_py.cli import InputError
from sv_py.io.ark import write_ark
from sv_py.io.text import read_table, write_table

COUNTS = {"ann": 1, "bob": 2, "cat": 5, "dan": 10}
UTT2SPK = {f"{spk}-{n:02}": spk for spk, count in COUNTS.items() for n in range(count)}


@pytest.fixture
def embeddings(tmp_path) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    found = {utt: random.standard_normal(4).astype(np.float32) for utt in [*UTT2SPK, "other-01"]}
    write_ark(tmp_path / "x.ark", tmp_path / "x.scp", found.items())
    write_table(tmp_path / "utt2spk", UTT2SPK)
    return found


@pytest.fixture
def make(tmp_path, embeddings, monkeypatch):
    """``make(*options)`` makes the cohort tmp_path/out; its vectors."""

    def call(*options):
        places = [tmp_path / name for name in ("utt2spk", "x.scp", "out")]
        monkeypatch.setattr(sys, "argv", ["make_cohort", *map(str, [*options, *places])])
        make_cohort.main()
        found = kaldiio.load_scp(str(tmp_path / "out/cohort.scp"))
        return {name: found[name] for name in found}

    return call


def table(tmp_path, name: str) -> dict[str, str]:
    return read_table(tmp_path / "out" / name, columns=2)


def test_a_cohort_of_speakers_has_their_mean_embeddings(make, embeddings, tmp_path):
    found = make()
    assert list(found) == list(COUNTS) and table(tmp_path, "cohort_utt2spk") == {spk: spk for spk in COUNTS}
    for speaker, vector in found.items():
        assert vector == pytest.approx(
            np.mean([embeddings[u] for u in UTT2SPK if UTT2SPK[u] == speaker], axis=0), abs=1e-6
        )
    assert table(tmp_path, "utts") == UTT2SPK
    assert not (tmp_path / "out/calibration_utt2spk").exists()


def test_a_cohort_of_utterances_has_their_embeddings(make, embeddings, tmp_path):
    found = make("--cohort", "utterances")
    assert table(tmp_path, "cohort_utt2spk") == UTT2SPK == table(tmp_path, "utts")
    assert list(found) == list(UTT2SPK) and all((found[utt] == embeddings[utt]).all() for utt in found)


def test_a_share_of_each_speakers_utterances_is_kept_out_but_never_the_last(make, embeddings, tmp_path):
    found = make("--share", "0.3", "--seed", "1")
    kept, used = table(tmp_path, "calibration_utt2spk"), table(tmp_path, "utts")
    assert kept | used == UTT2SPK and not kept.keys() & used.keys()
    assert {spk: list(kept.values()).count(spk) for spk in COUNTS} == {"ann": 0, "bob": 1, "cat": 2, "dan": 3}
    assert found["dan"] == pytest.approx(
        np.mean([embeddings[utt] for utt in used if used[utt] == "dan"], axis=0), abs=1e-6
    )
    first = (tmp_path / "out/calibration_utt2spk").read_text()
    make("--share", "0.3", "--seed", "1")
    assert (tmp_path / "out/calibration_utt2spk").read_text() == first
    make("--share", "0.3", "--seed", "2")
    assert (tmp_path / "out/calibration_utt2spk").read_text() != first


def test_a_list_chooses_among_the_utterances(make, tmp_path):
    (tmp_path / "list").write_text("dan-03\nbob-00\ndan-01\n")
    assert list(make("--utt-list", tmp_path / "list", "--cohort", "utterances")) == ["bob-00", "dan-01", "dan-03"]
    assert list(make("--utt-list", tmp_path / "list")) == ["bob", "dan"]


def test_another_choice_leaves_nothing_of_the_first(make, tmp_path):
    write_table(tmp_path / "utt2domain", {utt: "studio" if spk < "c" else "phone" for utt, spk in UTT2SPK.items()})
    make("--share", "0.3", "--utt2domain", tmp_path / "utt2domain")
    assert table(tmp_path, "cohort_utt2domain") == {"ann": "studio", "bob": "studio", "cat": "phone", "dan": "phone"}
    make("--cohort", "utterances")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"cohort.scp", "cohort_utt2spk", "utts"}


@pytest.mark.parametrize(
    ("norm", "calibration", "vectors", "kept"),
    [
        ("{name: as_norm, args: {cohort: utterances}}", "null", 18, 0),
        ("{name: as_norm, args: {cohort: utterances}}", "{name: linear, args: {share: 0.5}}", 9, 9),
        ("{name: s_norm}", "{name: qmf, args: {share: 0.5}}", 4, 9),
        ("null", "{name: linear, args: {share: 0.5}}", 4, 9),
    ],
)
def test_an_experiment_says_what_the_cohort_is_and_how_much_is_kept(make, tmp_path, norm, calibration, vectors, kept):
    scoring = f"{{norm: {norm}, calibration: {calibration}}}"
    (tmp_path / "x.yaml").write_text(f"model: {{name: ecapa_tdnn}}\nscoring: {scoring}\n")
    assert len(make("--config", tmp_path / "x.yaml")) == vectors
    assert len(table(tmp_path, "utts")) == 18 - kept
    assert (tmp_path / "out/calibration_utt2spk").exists() == (kept > 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--share", "1"], "--share is at least 0 and below 1"),
        (["--share", "0.3", "--seed", "-1"], "--seed at least 0"),
        (["--utt-list", "one"], "a cohort has at least two speakers, not 1"),
        (["--utt-list", "unknown"], r"unknown:1: the data dir has no utterance 'eve-01'"),
        (["--utt-list", "singles", "--share", "0.5"], "no speaker has two utterances, to keep 0.5 of them"),
        (["--utt2domain", "mixed"], "mixed: bob is of studio and of phone: only a cohort of utterances can be"),
        (["--config", "plain.yaml"], "neither scoring.norm nor scoring.calibration is set"),
        (["--config", "plain.yaml", "--share", "0.5"], "--config has the cohort and the share"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(make, tmp_path, options, message):
    (tmp_path / "one").write_text("dan-03\ndan-04\n")
    (tmp_path / "unknown").write_text("eve-01\n")
    (tmp_path / "singles").write_text("ann-00\nbob-00\n")
    (tmp_path / "plain.yaml").write_text("model: {name: ecapa_tdnn}\n")
    write_table(tmp_path / "mixed", {utt: "phone" if utt.endswith("1") else "studio" for utt in UTT2SPK})
    with pytest.raises(InputError, match=message):
        make(*(tmp_path / word if word[0] != "-" and not word[0].isdigit() else word for word in options))
    assert not (tmp_path / "out").exists()


def test_an_utterance_without_embedding_is_named(make, tmp_path):
    write_table(tmp_path / "utt2spk", UTT2SPK | {"eve-01": "eve"})
    with pytest.raises(InputError, match=r"x\.scp: lacks eve-01"):
        make()
    assert not (tmp_path / "out").exists()
