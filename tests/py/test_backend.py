"""Back ends in files and as commands: means, fitted back ends, models of several utterances, long trial lists."""

import sys
import tracemalloc

import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.ark import write_ark
from sv_py.io.embeddings import Embeddings, StoredEmbeddings, load_embeddings
from sv_py.io.scores import read_scores
from sv_py.io.text import read_table, write_table
from sv_py.io.trials import read_trials
from sv_py.scoring import BACKENDS
from sv_py.scoring.arguments import CosineArguments, DotArguments, PldaArguments
from sv_py.scoring.backend import load_backend, save_backend, score_rows

SPEAKERS, UTTS, DIMENSION = 12, 8, 6
DOMAINS = ("phone", "video")


@pytest.fixture(scope="module")
def embeddings():
    """Of speakers s00, s01...; those of even ones lie elsewhere."""
    random = np.random.default_rng(0)
    ids = [f"s{speaker:02d}-u{utt}" for speaker in range(SPEAKERS) for utt in range(UTTS)]
    of_speakers = np.repeat(random.standard_normal((SPEAKERS, DIMENSION)), UTTS, axis=0)
    matrix = of_speakers + 0.5 * random.standard_normal((len(ids), DIMENSION))
    matrix[np.arange(len(ids)) // UTTS % 2 == 0] += 4
    return Embeddings(ids, matrix.astype(np.float32))


@pytest.fixture(scope="module")
def speakers():
    return np.repeat(np.arange(SPEAKERS), UTTS)


@pytest.fixture(scope="module")
def domains(embeddings):
    """Of each embedding: even speakers are of one, odd ones of the other."""
    return [DOMAINS[int(name[1:3]) % 2] for name in embeddings.ids]


ALL = [
    ("cosine", CosineArguments(mean="global")),
    ("cosine", CosineArguments(mean="domain")),
    ("dot", DotArguments(mean="domain")),
    ("plda", PldaArguments()),
    ("plda", PldaArguments(mean="domain", lda_dim=4, length_norm=False)),
]


def fitted(name, arguments, embeddings, speakers, domains):
    backend = BACKENDS.build(name, arguments)
    backend.fit(embeddings, speakers, domains)
    return backend


def every_pair(embeddings) -> np.ndarray:
    return np.indices((len(embeddings.ids),) * 2).reshape(2, -1)


def test_a_dot_product_counts_lengths(embeddings):
    rows = every_pair(embeddings)[:, ::17]
    scores = BACKENDS.build("dot", DotArguments()).score(embeddings, embeddings, rows)
    assert np.allclose(scores, (embeddings.matrix[rows[0]] * embeddings.matrix[rows[1]]).sum(axis=1), atol=1e-4)


@pytest.mark.parametrize("name", ["cosine", "dot"])
def test_the_mean_of_all_or_of_the_domain_is_subtracted(name, embeddings, speakers, domains):
    matrix, of_domain = embeddings.matrix.astype(float), np.array(domains)
    means = {"global": matrix.mean(axis=0), "domain": np.empty_like(matrix)}
    for domain in DOMAINS:
        means["domain"][of_domain == domain] = matrix[of_domain == domain].mean(axis=0)
    for mean, values in means.items():
        backend = fitted(name, BACKENDS.arguments(name)(mean=mean), embeddings, speakers, domains)
        plain = BACKENDS.build(name, BACKENDS.arguments(name)())
        found = backend.side(embeddings, domains).vectors
        assert np.allclose(found, plain.side(Embeddings(embeddings.ids, matrix - values)).vectors, atol=1e-5)


@pytest.mark.parametrize(("name", "arguments"), ALL)
def test_a_saved_back_end_gives_the_same_bits(tmp_path, embeddings, speakers, domains, name, arguments):
    backend = fitted(name, arguments, embeddings, speakers, domains)
    save_backend(tmp_path / "b.npz", name, backend)
    found_name, found = load_backend(tmp_path / "b.npz")
    assert (found_name, found.arguments) == (name, arguments)
    domains = domains if arguments.mean == "domain" else None
    rows = every_pair(embeddings)
    expected, again = (b.side(embeddings, domains) for b in (backend, found))
    assert (score_rows(expected, expected, rows, 100) == score_rows(again, again, rows, 1000)).all()
    first = (tmp_path / "b.npz").read_bytes()
    save_backend(tmp_path / "b.npz", name, fitted(name, arguments, embeddings, speakers, domains))
    assert (tmp_path / "b.npz").read_bytes() == first


@pytest.mark.parametrize(("name", "arguments"), ALL)
def test_what_is_fitted_does_not_depend_on_where_the_embeddings_lie(
    tmp_path, embeddings, speakers, domains, name, arguments
):
    write_ark(tmp_path / "x.ark", tmp_path / "x.scp", zip(embeddings.ids, embeddings.matrix, strict=True))
    stored = StoredEmbeddings(read_table(tmp_path / "x.scp"), embeddings.ids)
    expected = fitted(name, arguments, embeddings, speakers, domains).state
    found = fitted(name, arguments, stored, speakers, domains).state
    assert expected.keys() == found.keys() and all((expected[key] == found[key]).all() for key in expected)


def test_a_back_end_does_not_change_the_type_of_numbers(embeddings, speakers, domains):
    doubles = Embeddings(embeddings.ids, embeddings.matrix.astype(float))
    rows = every_pair(embeddings)[:, :50]
    for name, arguments in ALL:
        if arguments.mean == "global":
            backend = fitted(name, arguments, embeddings, speakers, domains)
            single, double = backend.score(embeddings, embeddings, rows), backend.score(doubles, doubles, rows)
            assert single.dtype == np.float32 and double.dtype == np.float64
            assert np.allclose(single, double, atol=1e-4)


@pytest.mark.parametrize("size", [0, 10, 200, -30])
def test_a_truncated_back_end_is_refused(tmp_path, embeddings, speakers, domains, size):
    path = tmp_path / "b.npz"
    save_backend(path, "plda", fitted("plda", PldaArguments(), embeddings, speakers, domains))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"b\.npz: truncated or no back end"):
        load_backend(path)


def test_files_that_are_no_back_ends_are_refused(tmp_path, embeddings, speakers, domains):
    path = tmp_path / "b.npz"
    with pytest.raises(InputError, match="no such file"):
        load_backend(path)
    state = fitted("cosine", CosineArguments(mean="global"), embeddings, speakers, domains).state
    text = "backend=cosine\n--mean=global\n--block=1024\n"
    pickled = np.array([{}], dtype=object)
    for arrays, message in (
        ({"weights": np.ones(3)}, "truncated or no back end"),
        ({"format": 1, "part": pickled}, "truncated or no back end"),
        ({"format": 2, "part": text, **state}, "is of format 2, and this version reads format 1"),
        ({"format": 1, "part": text.replace("cosine", "cosin"), **state}, "did you mean 'cosine'"),
        ({"format": 1, "part": text.replace("mean", "maen"), **state}, "did you mean 'mean'"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(InputError, match=message):
            load_backend(path)
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(InputError, match="truncated or no back end"):
        load_backend(path)


def test_other_dimensions_and_domains_are_refused_by_name(embeddings, speakers, domains):
    backend = fitted("cosine", CosineArguments(mean="domain"), embeddings, speakers, domains)
    with pytest.raises(InputError, match="fitted to 6 dimensions; the embeddings have 4"):
        backend.side(Embeddings(["a"], np.ones((1, 4), np.float32)), ["phone"])
    with pytest.raises(InputError, match=r"b is of domain 'vidoe' \(did you mean 'video'\?\).* means of phone, video"):
        backend.side(Embeddings(["a", "b"], np.ones((2, 6), np.float32)), ["phone", "vidoe"])
    with pytest.raises(InputError, match="--utt2domain"):
        backend.side(embeddings)


@pytest.fixture
def folder(tmp_path, embeddings, domains):
    """xvector.scp, utt2spk, utt2domain, trials of utterances and trials of models with their utterances."""
    write_ark(tmp_path / "x.ark", tmp_path / "xvector.scp", zip(embeddings.ids, embeddings.matrix, strict=True))
    write_table(tmp_path / "utt2spk", {name: name.split("-")[0] for name in embeddings.ids})
    write_table(tmp_path / "utt2domain", dict(zip(embeddings.ids, domains, strict=True)))
    names = embeddings.ids[::5]
    lines = [f"{a} {b} {'target' if a[:3] == b[:3] else 'nontarget'}\n" for a in names for b in names if a < b]
    (tmp_path / "trials").write_text("".join(lines))
    models = {f"m{k}": [f"s{k:02d}-u0", f"s{k:02d}-u3", f"s{k + 1:02d}-u1"] for k in range(0, SPEAKERS - 1)}
    write_table(tmp_path / "spk2utt", {model: " ".join(utts) for model, utts in models.items()})
    lines = [f"{m} {b} {'target' if f'{int(m[1:]):02d}' == b[1:3] else 'nontarget'}\n" for m in models for b in names]
    (tmp_path / "model_trials").write_text("".join(lines))
    return tmp_path


@pytest.fixture
def command(run, root, folder):
    """``command(name, *arguments)`` runs a command of the package in the folder."""

    def call(name, *arguments, code=0):
        return run(sys.executable, "-m", f"sv_py.{name}", *arguments, cwd=folder, code=code, PYTHONPATH=root)

    return call


def test_a_back_end_is_fitted_and_scores_as_commands(command, folder, embeddings, speakers, domains):
    options = ("--backend", "plda", "--set", "mean=domain", "--set", "lda_dim=4")
    done = command("fit_backend", *options, "--utt2domain", "utt2domain", "utt2spk", "xvector.scp", "out/plda.npz")
    assert "plda, fitted to 96 embeddings of 12 speakers" in done.stderr
    command("score", "--fitted", "out/plda.npz", "--utt2domain", "utt2domain", "trials", "xvector.scp", "scores")
    found = read_scores(folder / "scores", labelled=True)
    backend = fitted("plda", PldaArguments(mean="domain", lda_dim=4), embeddings, speakers, domains)
    side = backend.side(embeddings, domains)
    place = {name: k for k, name in enumerate(embeddings.ids)}
    rows = np.array([[place[found.ids[k]] for k in side] for side in (found.enrol, found.test)])
    assert np.allclose(found.scores, score_rows(side, side, rows, 7), atol=1e-6)


def test_the_experiments_back_end_is_the_one_that_was_fitted(command, folder):
    text = "model: {name: ecapa_tdnn}\nscoring: {backend: {name: cosine, args: {mean: global}}}\n"
    (folder / "e.yaml").write_text(text)
    command("fit_backend", "--config", "e.yaml", "utt2spk", "xvector.scp", "b.npz")
    command("score", "--config", "e.yaml", "--fitted", "b.npz", "trials", "xvector.scp", "one")
    command("score", "--fitted", "b.npz", "trials", "xvector.scp", "two")
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    (folder / "e.yaml").write_text(text.replace("global", "domain"))
    done = command("score", "--config", "e.yaml", "--fitted", "b.npz", "trials", "xvector.scp", "three", code=1)
    assert "b.npz: was fitted as cosine with other arguments than are wanted now" in done.stderr
    assert not (folder / "three").exists()


@pytest.mark.parametrize("name", ["cosine", "plda"])
def test_models_score_as_the_mean_of_embeddings_or_of_scores(command, folder, embeddings, name):
    command("fit_backend", "--backend", name, "--set", "mean=global", "utt2spk", "xvector.scp", "b.npz")
    backend = load_backend(folder / "b.npz")[1]
    listed = read_table(folder / "spk2utt")
    row = {utt: k for k, utt in enumerate(embeddings.ids)}
    for models in ("embeddings", "scores"):
        options = ("--fitted", "b.npz", "--models", models, "--enrol-spk2utt", "spk2utt")
        command("score", *options, "model_trials", "xvector.scp", "scores")
        found = read_scores(folder / "scores")
        for k in range(0, len(found), 13):
            model, test = found.ids[found.enrol[k]], found.ids[found.test[k]]
            utts = [row[utt] for utt in listed[model].split()]
            if models == "embeddings":
                mean = Embeddings([model], embeddings.matrix[utts].mean(axis=0, keepdims=True))
                expected = backend.score(mean, embeddings, np.array([[0], [row[test]]]))[0]
            else:
                rows = np.array([utts, [row[test]] * len(utts)])
                expected = backend.score(embeddings, embeddings, rows).mean()
            assert found.scores[k] == pytest.approx(expected, abs=2e-5)


def test_each_utterance_of_a_model_loses_the_mean_of_its_own_domain(command, folder, embeddings, speakers, domains):
    options = ("--backend", "dot", "--set", "mean=domain", "--utt2domain", "utt2domain")
    command("fit_backend", *options, "utt2spk", "xvector.scp", "b.npz")
    options = ("--fitted", "b.npz", "--utt2domain", "utt2domain", "--enrol-spk2utt", "spk2utt")
    command("score", *options, "model_trials", "xvector.scp", "scores")
    backend = fitted("dot", DotArguments(mean="domain"), embeddings, speakers, domains)
    centred = dict(zip(embeddings.ids, backend.side(embeddings, domains).vectors, strict=True))
    found = read_scores(folder / "scores")
    utts = read_table(folder / "spk2utt")[found.ids[found.enrol[3]]].split()
    assert {name[1:3] for name in utts} == {"00", "01"}  # of both domains
    expected = np.mean([centred[utt] for utt in utts], axis=0) @ centred[found.ids[found.test[3]]]
    assert found.scores[3] == pytest.approx(expected, abs=1e-5)


FIT = ("utt2spk", "xvector.scp", "out/b.npz")
SCORE = ("trials", "xvector.scp", "out/scores")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("fit_backend", FIT, "the back end cosine has nothing to fit"),
        ("fit_backend", ("--backend", "plad", *FIT), "unknown scoring back end 'plad' (did you mean 'plda'?)"),
        ("fit_backend", ("--set", "maen=global", *FIT), "unknown option '--maen' (did you mean 'mean'?)"),
        ("fit_backend", ("--set", "mean=globl", *FIT), "not 'globl' (did you mean 'global'?)"),
        ("fit_backend", ("--set", "mean=domain", *FIT), "--utt2domain"),
        ("fit_backend", ("--set", "mean=global", "--utt2domain", "utt2domain", *FIT), "so what are the domains for?"),
        ("fit_backend", ("--backend", "plda", "--adapt-embeddings", "xvector.scp", *FIT), "adaptation takes both"),
        ("fit_backend", ("--backend", "plda", "--set", "adapt=coral", *FIT), "adaptation takes both"),
        ("fit_backend", ("--backend", "plda", "more2spk", *FIT[1:]), "xvector.scp: lacks s99-u0"),
        ("score", ("--backend", "plda", *SCORE), "is to be fitted first"),
        ("score", ("--set", "mean=global", *SCORE), "is to be fitted first"),
        ("score", ("--fitted", "none.npz", *SCORE), "none.npz: no such file"),
        ("score", ("--fitted", "utt2spk", *SCORE), "utt2spk: truncated or no back end"),
        ("score", ("--config", "x.yaml", "--backend", "dot", *SCORE), "neither --backend nor --set"),
        ("score", ("--fitted", "b.npz", "--backend", "dot", *SCORE), "neither --backend nor --set"),
        ("score", ("--utt2domain", "utt2domain", *SCORE), "so what are the domains for?"),
        ("score", ("--models", "scores", *SCORE), "--models is for --enrol-spk2utt"),
    ],
)
def test_mistakes_end_with_a_message_and_write_nothing(command, folder, name, arguments, message):
    (folder / "more2spk").write_text((folder / "utt2spk").read_text() + "s99-u0 s99\n")
    done = command(name, *arguments, code=1)
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not (folder / "out").exists()


def test_an_unknown_utterance_of_a_model_is_named(command, folder):
    (folder / "spk2utt").write_text((folder / "spk2utt").read_text().replace("s00-u0", "s00-u9"))
    done = command("score", "--enrol-spk2utt", "spk2utt", "model_trials", "xvector.scp", "scores", code=1)
    assert "spk2utt: not in xvector.scp: s00-u9" in done.stderr


def test_a_long_trial_list_is_read_a_little_at_a_time(tmp_path):
    path, count = tmp_path / "trials", 60_000
    with path.open("w") as file:
        file.writelines(f"utterance-{k % 90:040d} utterance-{k % 89:040d} nontarget\n" for k in range(count))
    tracemalloc.start()
    trials = read_trials(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(trials) == count and path.stat().st_size > 110 * count
    assert peak < 60 * count  # ids and labels as numbers, and to sort them


def test_embeddings_come_in_blocks_of_rows(tmp_path, embeddings):
    many = Embeddings([f"u{k:05d}" for k in range(20_000)], np.random.default_rng(0).random((20_000, 2), np.float32))
    write_ark(tmp_path / "x.ark", tmp_path / "x.scp", zip(many.ids, many.matrix, strict=True))
    places = read_table(tmp_path / "x.scp")
    for source in (many, StoredEmbeddings(places, many.ids)):
        parts, blocks = zip(*source.blocks(), strict=True)
        assert len(parts) == 3 and parts[-1].start == 16384
        assert (np.concatenate([block.matrix for block in blocks]) == many.matrix).all()
    assert (load_embeddings(places, many.ids).matrix == many.matrix).all()
