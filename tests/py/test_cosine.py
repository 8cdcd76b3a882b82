"""From embeddings in arks to score files, and the public models' published error rates."""

import sys

import kaldiio
import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.ark import write_ark
from sv_py.io.embeddings import Embeddings, average, load_embeddings
from sv_py.io.scores import read_scores
from sv_py.io.text import read_table
from sv_py.io.trials import read_trials
from sv_py.scoring import BACKENDS
from sv_py.scoring.arguments import CosineArguments
from sv_py.scoring.metrics import summarise


@pytest.fixture
def vectors():
    random = np.random.default_rng(0)
    return {f"s{k // 4}-{'x' * (k % 3)}{k:02d}": random.standard_normal(16).astype(np.float32) for k in range(40)}


@pytest.fixture
def folder(tmp_path, vectors):
    """xvector.scp over two arks, ids of different lengths."""
    items = sorted(vectors.items())
    for job, part in ((1, items[:17]), (2, items[17:])):
        write_ark(tmp_path / f"xvector.{job}.ark", tmp_path / f"xvector.{job}.scp", part)
    scp = "".join((tmp_path / f"xvector.{job}.scp").read_text() for job in (1, 2))
    (tmp_path / "xvector.scp").write_text(scp)
    return tmp_path


@pytest.fixture
def trials(tmp_path, vectors):
    names = sorted(vectors)
    lines = [f"{a} {b} {'target' if a[:2] == b[:2] else 'nontarget'}" for a in names for b in names if a < b]
    (tmp_path / "trials").write_text("\n".join(lines) + "\n")
    return tmp_path / "trials"


def cosine(a, b):
    a, b = a.astype(float), b.astype(float)
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_bulk_loading_gives_what_reading_one_by_one_gives(folder, vectors):
    names = [*vectors][::-1]
    loaded = load_embeddings(read_table(folder / "xvector.scp"), names)
    assert loaded.ids == names and loaded.matrix.dtype == np.float32
    assert (loaded.matrix == np.stack([vectors[name] for name in names])).all()


def test_vectors_of_other_kinds_are_loaded_too(tmp_path, vectors):
    names = [*vectors]
    doubles = {name: vectors[name].astype(np.float64) for name in names[:2]}
    kaldiio.save_ark(str(tmp_path / "d.ark"), doubles, scp=str(tmp_path / "d.scp"))
    kaldiio.save_ark(str(tmp_path / "t.ark"), {names[2]: vectors[names[2]]}, scp=str(tmp_path / "t.scp"), text=True)
    write_ark(tmp_path / "f.ark", tmp_path / "f.scp", [(names[3], vectors[names[3]])])
    places = {}
    for scp in ("d.scp", "t.scp", "f.scp"):
        places |= read_table(tmp_path / scp)
    loaded = load_embeddings(places, names[:4])
    assert np.allclose(loaded.matrix, np.stack([vectors[name] for name in names[:4]]), atol=1e-4)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones(3), "s0-bad has 3 dimensions instead of 16"),
        (np.ones((2, 8)), r"s0-bad is no vector but has shape \(2, 8\)"),
        (np.full(16, np.nan), "s0-bad has values that are not finite"),
        (np.full(16, np.inf), "s0-bad has values that are not finite"),
    ],
)
def test_an_odd_embedding_is_refused_by_name(folder, vectors, value, message):
    write_ark(folder / "bad.ark", folder / "bad.scp", [("s0-bad", value)])
    places = read_table(folder / "xvector.scp") | read_table(folder / "bad.scp")
    with pytest.raises(InputError, match=message):
        load_embeddings(places, [*vectors, "s0-bad"])


def test_missing_truncated_and_piped_arks_are_refused_by_name(folder, vectors):
    places = read_table(folder / "xvector.scp")
    last = max(places)
    with pytest.raises(InputError, match=f"{last}: no such ark"):
        load_embeddings(places | {last: f"{folder}/gone.ark:5"}, [*vectors])
    with pytest.raises(InputError, match=f"{last}: pipes are not run"):
        load_embeddings(places | {last: "touch pwned |"}, [*vectors])
    ark = folder / "xvector.2.ark"
    ark.write_bytes(ark.read_bytes()[:-4])
    with pytest.raises(InputError, match=f"{last}: truncated"):
        load_embeddings(places, [*vectors])


def test_averages_are_those_of_the_vectors(folder, vectors):
    places = read_table(folder / "xvector.scp")
    names = [*vectors]
    models = {"m2": names[5:6], "m1": [names[3], names[0], names[3]]}
    models_matrix = average(load_embeddings(places, names), models)
    assert models_matrix.ids == ["m2", "m1"]
    assert np.allclose(models_matrix.matrix[0], vectors[names[5]])
    assert np.allclose(models_matrix.matrix[1], (2 * vectors[names[3]] + vectors[names[0]]) / 3)


def test_scores_are_the_same_bits_for_every_block_size():
    random = np.random.default_rng(1)
    embeddings = Embeddings([str(k) for k in range(50)], random.standard_normal((50, 33)).astype(np.float32))
    rows = random.integers(50, size=(2, 1000))
    scores = [
        BACKENDS.build("cosine", CosineArguments(block=block)).score(embeddings, embeddings, rows)
        for block in (1, 7, 4096)
    ]
    assert (scores[0] == scores[1]).all() and (scores[0] == scores[2]).all()
    expected = [cosine(embeddings.matrix[i], embeddings.matrix[j]) for i, j in rows.T]
    assert np.allclose(scores[0], expected, atol=1e-6)


def test_a_zero_embedding_has_no_cosine():
    embeddings = Embeddings(["a", "b"], np.array([[1, 0], [0, 0]], np.float32))
    with pytest.raises(InputError, match="b has an embedding of zero length"):
        BACKENDS.build("cosine", CosineArguments()).score(embeddings, embeddings, np.array([[0], [1]]))


def test_an_unknown_back_end_names_the_near_miss():
    with pytest.raises(InputError, match="did you mean 'cosine'"):
        BACKENDS.arguments("cosin")


@pytest.fixture
def score(run, root, folder, trials):
    """``score(*options)`` runs the command; returns the process and the scores, if it wrote any."""

    def call(*options, code=0):
        out = folder / "out" / "scores"
        argv = (sys.executable, "-m", "sv_py.score", *options, trials, folder / "xvector.scp", out)
        done = run(*argv, code=code, PYTHONPATH=root)
        return done, read_scores(out) if out.exists() else None

    return call


def test_the_command_scores_every_trial_in_order(score, trials, vectors):
    _, found = score()
    listed = read_trials(trials)
    assert found.ids == listed.ids and (found.target == listed.target).all()
    expected = [
        cosine(vectors[found.ids[i]], vectors[found.ids[j]]) for i, j in zip(found.enrol, found.test, strict=True)
    ]
    assert np.allclose(found.scores, expected, atol=1.1e-6)


def test_models_are_averaged_or_read_with_the_same_scores(score, folder, trials, vectors):
    models = {f"s{k}": [name for name in vectors if name.startswith(f"s{k}-")] for k in range(3)}
    trials.write_text("".join(f"{m} {t} {'target' if t[:2] == m else 'nontarget'}\n" for m in models for t in vectors))
    (folder / "spk2utt").write_text("".join(f"{m} {' '.join(utts)}\n" for m, utts in models.items()))
    averages = {m: np.mean([vectors[u] for u in utts], axis=0) for m, utts in models.items()}
    write_ark(folder / "spk.ark", folder / "spk.scp", averages.items())
    _, by_utts = score("--enrol-spk2utt", folder / "spk2utt")
    _, by_scp = score("--enrol-scp", folder / "spk.scp")
    assert np.allclose(by_utts.scores, by_scp.scores, atol=2e-6)
    assert by_scp.scores[7] == pytest.approx(cosine(averages["s0"], vectors[by_scp.ids[by_scp.test[7]]]), abs=2e-6)
    done, _ = score(code=1)
    assert f"{trials}:1: 3 of the 43 ids in the trials are unknown: s0, s1, s2" in done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("s0-00 s9-nobody target\n", ":781: 1 of the 41 ids in the trials are unknown: s9-nobody"),
        ("s0-00 s0-x01\n", ":781: 2 columns"),
        ("s0-00 s0-x01 nontarget\n", ":781: 's0-00 s0-x01' is target here and nontarget elsewhere, or the reverse"),
    ],
)
def test_bad_trials_exit_1_with_their_line_and_write_nothing(score, folder, trials, line, message):
    trials.write_text(trials.read_text() + line)
    done, found = score(code=1)
    assert f"{trials}{message}" in done.stderr and "Traceback" not in done.stderr
    assert found is None and not (folder / "out").exists()


def test_the_command_refuses_unknown_back_ends_and_models_of_another_dimension(score, folder, trials, vectors):
    assert "unknown scoring back end 'cosin' (did you mean 'cosine'?)" in score("--backend", "cosin", code=1)[0].stderr
    trials.write_text(f"m {max(vectors)} target\n")
    write_ark(folder / "m.ark", folder / "m.scp", [("m", np.ones(5))])
    assert "m has 5 dimensions instead of 16" in score("--enrol-scp", folder / "m.scp", code=1)[0].stderr


def test_scoring_and_metrics_import_neither_torch_nor_lhotse_nor_scipy(run, root):
    code = "import sv_py.score, sv_py.metrics, sv_py.scoring.cosine, sys; "
    code += "print({'torch', 'lhotse', 'scipy'} & {*sys.modules})"
    assert run(sys.executable, "-c", code, PYTHONPATH=root).stdout == "set()\n"


@pytest.mark.parametrize(
    ("model", "published"),
    [
        ("wespeaker", {"so762_test": (3.39, 0.323), "an4_all": (0.84, 0.083), "an4_test": (0.84, 0.044)}),
        ("campplus", {"so762_test": (2.12, 0.231), "an4_all": (2.16, 0.223), "an4_test": (2.38, 0.126)}),
        ("ecapa", {"so762_test": (5.59, 0.556), "an4_all": (1.99, 0.194), "an4_test": (1.21, 0.124)}),
    ],
)
def test_public_embeddings_give_their_published_error_rates(run, root, shared, tmp_path, model, published):
    for name, (rate, cost) in published.items():
        ark = shared / "embeddings" / f"{model}_{name.split('_')[0]}.ark"
        scp = tmp_path / f"{name}.scp"
        write_ark(tmp_path / f"{name}.ark", scp, sorted(kaldiio.load_ark(str(ark))))
        trials, out = shared / "corpora" / "trials" / f"{name}.txt", tmp_path / name
        run(sys.executable, "-m", "sv_py.score", trials, scp, out, PYTHONPATH=root)
        scores = read_scores(out, labelled=True)
        result = summarise(scores.scores, scores.target)
        assert f"{100 * result['eer']:.2f} {result['min_dcf']['0.01']:.3f}" == f"{rate:.2f} {cost:.3f}"
