"""Normalised scores: those of the equations, of real embeddings, and refusals of cohorts that know the trials."""

import sys

import numpy as np
import pytest

from sv_py import normalise_scores
from sv_py.cli import InputError
from sv_py.io.ark import write_ark
from sv_py.io.embeddings import load_embeddings
from sv_py.io.quality import read_quality
from sv_py.io.scores import read_scores
from sv_py.io.text import read_table, write_table
from sv_py.scoring.backend import Side, load_backend, score_rows

UTTS = [f"{spk}-{n}" for spk in "abcd" for n in (1, 2)]
COHORT = [f"{spk}-{n}" for spk in "pqrstu" for n in (1, 2, 3)]


def vectors(names, dimension=5) -> dict[str, np.ndarray]:
    """A random embedding of each name; those of one speaker are alike."""
    found = {}
    for name in names:
        of_speaker = np.random.default_rng(ord(name[0])).standard_normal(dimension)
        found[name] = (of_speaker + np.random.default_rng([ord(name[0]), int(name[2:])]).normal(0, 0.5, dimension)) * 3
    return {name: vector.astype(np.float32) for name, vector in found.items()}


def cosine(one, other) -> float:
    one, other = one.astype(np.float64), other.astype(np.float64)
    return one @ other / np.sqrt(one @ one) / np.sqrt(other @ other)


@pytest.fixture
def folder(tmp_path):
    """Scores of all pairs of UTTS, their embeddings and the cohort's, and who speaks."""
    for name, names in (("trials", UTTS), ("cohort", COHORT)):
        write_ark(tmp_path / f"{name}.ark", tmp_path / f"{name}.scp", vectors(names).items())
        write_table(tmp_path / f"{name}_utt2spk", {utt: utt[0] for utt in names})
    found = vectors(UTTS)
    lines = [
        f"{one} {other} {cosine(found[one], found[other]):.6f} {'target' if one[0] == other[0] else 'nontarget'}\n"
        for k, one in enumerate(UTTS)
        for other in UTTS[k + 1 :]
    ]
    (tmp_path / "scores").write_text("".join(lines))
    return tmp_path


@pytest.fixture
def normalise(folder, monkeypatch):
    """``normalise(*options)`` writes folder/out; who speaks is told unless the options say ``--own-speaker allow``."""

    def call(*options):
        tables = ["--utt2spk", folder / "trials_utt2spk", "--cohort-utt2spk", folder / "cohort_utt2spk"]
        words = [*(tables if "allow" not in options else []), *options]
        places = [folder / name for name in ("scores", "trials.scp", "cohort.scp", "out")]
        monkeypatch.setattr(sys, "argv", ["normalise_scores", *map(str, [*words, *places])])
        normalise_scores.main()
        return read_scores(folder / "out").scores if (folder / "out").exists() else None

    return call


def expected(folder, norm: str, top: int, cohort=COHORT, own=False) -> np.ndarray:
    """The equations, word by word, in float64."""
    trials, impostors = vectors(UTTS), vectors(COHORT)
    cohort_scores = {
        utt: sorted(cosine(trials[utt], impostors[name]) for name in cohort if not own or name[0] != own_speaker(utt))
        for utt in UTTS
    }
    best = {utt: np.array(scores[-top:]) for utt, scores in cohort_scores.items()}
    scores = read_scores(folder / "scores")
    found = []
    for enrol, test, score in zip(scores.enrol, scores.test, scores.scores, strict=True):
        parts = [(score - best[scores.ids[k]].mean()) / best[scores.ids[k]].std() for k in (enrol, test)]
        found.append({"z_norm": parts[0], "t_norm": parts[1]}.get(norm, sum(parts) / 2))
    return np.array(found)


def own_speaker(utt: str) -> str:
    """Whom the tests that leave out make the speaker of ``utt`` in the cohort."""
    return {"a": "p", "b": "q"}.get(utt[0], utt[0])


@pytest.mark.parametrize(
    ("options", "norm", "top"),
    [
        (["--top", "4"], "as_norm", 4),
        (["--norm", "as_norm"], "as_norm", 18),  # 300 of 18
        (["--norm", "s_norm"], "s_norm", 18),
        (["--norm", "z_norm"], "z_norm", 18),
        (["--norm", "t_norm"], "t_norm", 18),
        (["--norm", "t_norm", "--top", "4"], "t_norm", 4),
        (["--top", "4", "--memory-mb", "1", "--num-threads", "3"], "as_norm", 4),
    ],
)
def test_scores_are_those_of_the_equations(folder, normalise, options, norm, top):
    assert normalise(*options) == pytest.approx(expected(folder, norm, top), abs=1e-4)
    labels = [line.split()[3] for line in (folder / "out").read_text().splitlines()]
    assert labels == [line.split()[3] for line in (folder / "scores").read_text().splitlines()]


def test_of_several_numbers_each_has_its_own_file(folder, normalise):
    normalise("--top", "4", "--top", "0", "--top", "100")
    assert not (folder / "out").exists()
    for name, top in (("out4", 4), ("out0", 18), ("out100", 18)):
        assert read_scores(folder / name).scores == pytest.approx(expected(folder, "as_norm", top), abs=1e-4)


def test_impostor_scores_become_a_quality_table(folder, normalise):
    normalise("--norm", "z_norm", "--top", "4", "--impostors-out", folder / "quality")
    table = read_quality(folder / "quality")
    assert sorted(table.rows) == UTTS and table.measures == ["impostor_mean", "impostor_std"]
    trials, cohort = vectors(UTTS), vectors(COHORT)
    for utt, row in table.rows.items():
        best = np.sort([cosine(trials[utt], other) for other in cohort.values()])[-4:]
        assert table.values[row] == pytest.approx([best.mean(), best.std()], abs=1e-5)


def test_a_speaker_of_the_trials_in_the_cohort_is_an_error_and_nothing_is_written(folder, normalise):
    write_table(folder / "cohort_utt2spk", {utt: own_speaker(utt) if utt[0] != "p" else "a" for utt in COHORT})
    with pytest.raises(InputError, match=r"cohort_utt2spk: 1 speakers of the cohort are in the trials: a; take others"):
        normalise()
    assert not (folder / "out").exists()


def test_the_vectors_of_ones_own_speaker_can_be_left_out(folder, normalise):
    renamed = {"p": "a", "q": "b"}
    write_table(folder / "cohort_utt2spk", {utt: renamed.get(utt[0], utt[0]) for utt in COHORT})
    found = normalise("--own-speaker", "leave_out", "--top", "4")
    assert found == pytest.approx(expected(folder, "as_norm", 4, own=True), abs=1e-4)
    assert np.abs(found - expected(folder, "as_norm", 4)).max() > 0.01


def test_who_speaks_need_not_be_known_if_all_is_allowed(folder, normalise):
    assert normalise("--own-speaker", "allow", "--top", "4") == pytest.approx(expected(folder, "as_norm", 4), abs=1e-4)


def test_cohort_scores_without_deviation_only_shift(folder, normalise, caplog):
    write_ark(folder / "cohort.ark", folder / "cohort.scp", dict.fromkeys(COHORT, vectors(COHORT)["p-1"]).items())
    found = normalise("--top", "4")
    scores, other = read_scores(folder / "scores"), vectors(COHORT)["p-1"]
    mean = np.array([cosine(vectors([utt])[utt], other) for utt in scores.ids])
    assert found == pytest.approx(scores.scores - (mean[scores.enrol] + mean[scores.test]) / 2, abs=1e-5)
    assert "8 embeddings score alike" in caplog.text


def test_models_are_normalised_as_what_they_score_as(folder, normalise, tmp_path):
    models = {"m1": ["a-1", "b-1"], "m2": ["c-1", "c-2", "d-1"]}
    write_table(folder / "spk2utt", {name: " ".join(utts) for name, utts in models.items()})
    write_table(folder / "trials_utt2spk", {"m1": "a", "m2": "c"} | {utt: utt[0] for utt in UTTS})
    found, impostors = vectors(UTTS), vectors(COHORT)
    pairs = [(model, utt) for model in models for utt in ("a-2", "b-2", "d-2")]

    def score(model, other):
        return np.mean([cosine(found[utt], other) for utt in models[model]])

    (folder / "scores").write_text("".join(f"{m} {u} {score(m, found[u]):.6f}\n" for m, u in pairs))
    result = normalise("--enrol-spk2utt", folder / "spk2utt", "--models", "scores", "--top", "4", "--norm", "z_norm")
    for (model, utt), value in zip(pairs, result, strict=True):
        best = np.sort([score(model, other) for other in impostors.values()])[-4:]
        assert value == pytest.approx((score(model, found[utt]) - best.mean()) / best.std(), abs=1e-4)
    assert all(len(line.split()) == 3 for line in (folder / "out").read_text().splitlines())  # no labels, as before


@pytest.fixture
def fitted(folder, monkeypatch):
    """``fitted(*settings)``: the back end with these arguments, fitted to all, and its scores in folder/scores."""
    from sv_py import fit_backend, score

    everything = vectors(UTTS + COHORT)
    write_ark(folder / "all.ark", folder / "all.scp", sorted(everything.items()))
    write_table(folder / "all_utt2spk", {utt: utt[0] for utt in everything})
    write_table(folder / "domains", {utt: "left" if utt[0] in "abpqr" else "right" for utt in everything})
    pairs = [line.split()[:2] for line in (folder / "scores").read_text().splitlines()]
    (folder / "list").write_text("".join(f"{enrol} {test} target\n" for enrol, test in pairs))
    monkeypatch.chdir(folder)

    def call(name, *settings, domains=()):
        options = ["--backend", name, *(word for setting in settings for word in ("--set", setting)), *domains]
        monkeypatch.setattr(sys, "argv", ["fit_backend", *options, "all_utt2spk", "all.scp", "fitted.npz"])
        fit_backend.main()
        monkeypatch.setattr(sys, "argv", ["score", "--fitted", "fitted.npz", *domains, "list", "trials.scp", "scores"])
        score.main()
        return load_backend("fitted.npz")[1]

    return call


def expected_by_sides(folder, trials: Side, cohort: Side, norm: str, top: int) -> np.ndarray:
    """As `expected`, of any back end: by its sides of UTTS and COHORT."""
    scores = read_scores(folder / "scores")
    pairs = np.stack(np.indices((len(UTTS), len(COHORT)))).reshape(2, -1)
    best = np.sort(score_rows(trials, cohort, pairs, 100).reshape(len(UTTS), -1).astype(float), axis=1)[:, -top:]
    rows = np.array([UTTS.index(name) for name in scores.ids])
    parts = [(scores.scores - best.mean(1)[rows[k]]) / best.std(1)[rows[k]] for k in (scores.enrol, scores.test)]
    return {"z_norm": parts[0], "t_norm": parts[1]}.get(norm, (parts[0] + parts[1]) / 2)


@pytest.mark.parametrize("top", [4, 0])
def test_the_cohort_of_plda_scores_is_scored_by_plda(folder, normalise, fitted, top):
    backend = fitted("plda")
    trials, cohort = (load_embeddings(read_table(folder / "all.scp"), names) for names in (UTTS, COHORT))
    sides = backend.side(trials), backend.side(cohort)
    assert sides[0].offsets is not None
    found = normalise("--fitted", "fitted.npz", "--top", top)
    assert found == pytest.approx(expected_by_sides(folder, *sides, "as_norm", top), abs=1e-4)


def test_means_of_domains_are_subtracted_from_the_cohort_too(folder, normalise, fitted):
    backend = fitted("cosine", "mean=domain", domains=["--utt2domain", "domains"])
    domains = read_table(folder / "domains")
    sides = [
        backend.side(load_embeddings(read_table(folder / "all.scp"), names), [domains[name] for name in names])
        for names in (UTTS, COHORT)
    ]
    options = ["--fitted", "fitted.npz", "--utt2domain", "domains", "--top", "4", "--norm", "t_norm"]
    with pytest.raises(InputError, match="the cohort's domains, too: --cohort-utt2domain"):
        normalise(*options)
    found = normalise(*options, "--cohort-utt2domain", "domains")
    assert found == pytest.approx(expected_by_sides(folder, *sides, "t_norm", 4), abs=1e-4)


def test_scores_of_another_back_end_are_an_error(folder, normalise):
    with pytest.raises(
        InputError, match=r"scores:\d+: score -?0\.\d+, where this back end with these embeddings gives"
    ):
        normalise("--backend", "dot")
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--norm", "asnorm"], r"unknown score normalisation 'asnorm' \(did you mean 'as_norm'\?\)"),
        (["--top", "1"], "each 0 or at least 2"),
        (["--memory-mb", "0"], "--memory-mb and --num-threads are 1 or more"),
        (["--device", "cuda:99"], "--device cuda:99: "),
        (["--config", "x.yaml"], r"x\.yaml: scoring.norm.name is none"),
        (["--config", "x.yaml", "--top", "5"], "neither --norm nor --top beside it"),
        (["--fitted", "none.npz"], "none.npz"),
        (["--utt2spk", "other"], r"other: lacks a-2, b-1, b-2 and 4 more"),
        (["--cohort-utt2spk", "other"], r"other: lacks p-1, p-2, p-3 and 15 more"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(folder, normalise, monkeypatch, options, message):
    monkeypatch.chdir(folder)
    (folder / "x.yaml").write_text("model: {name: ecapa_tdnn}\n")
    write_table(folder / "other", {"a-1": "a"})
    with pytest.raises((InputError, FileNotFoundError), match=message):
        normalise(*options)
    assert not (folder / "out").exists()


def test_without_knowing_who_speaks_nothing_is_normalised(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["normalise_scores", "scores", "trials.scp", "cohort.scp", "out"])
    with pytest.raises(InputError, match="are speakers of the trials in the cohort"):
        normalise_scores.main()


def test_a_cohort_of_another_dimension_is_an_error(folder, normalise):
    write_ark(folder / "cohort.ark", folder / "cohort.scp", vectors(COHORT, 6).items())
    with pytest.raises(InputError, match=r"cohort.scp: the cohort has 6 dimensions, the trials have 5"):
        normalise()


def test_scores_of_unknown_utterances_are_an_error(folder, normalise):
    (folder / "scores").write_text("a-1 e-1 0.5 target\n")
    with pytest.raises(InputError, match=r"scores:1: 1 of the 2 ids in the trials are unknown: e-1"):
        normalise()


def test_an_experiment_says_how_to_normalise(folder, normalise):
    norm = "{name: t_norm, args: {top: [4, 9]}}"
    (folder / "x.yaml").write_text(f"model: {{name: ecapa_tdnn}}\nscoring: {{norm: {norm}}}\n")
    normalise("--config", folder / "x.yaml")
    for top in (4, 9):
        found = read_scores(folder / f"out{top}").scores
        assert found == pytest.approx(expected(folder, "t_norm", top), abs=1e-4)


def test_the_command_imports_neither_torch_nor_scipy(run, root):
    code = "import sv_py.normalise_scores, sv_py.make_cohort, sys; print({'torch', 'lhotse', 'scipy'} & {*sys.modules})"
    assert run(sys.executable, "-c", code, PYTHONPATH=root).stdout == "set()\n"
