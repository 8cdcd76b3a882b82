"""PLDA: the model against dense Gaussians, what EM finds, adaptation, and real embeddings."""

import kaldiio
import numpy as np
import pytest
import scipy.linalg

from sv_py.cli import InputError
from sv_py.io.embeddings import Embeddings
from sv_py.io.trials import look_up, read_trials
from sv_py.scoring.arguments import CosineArguments, PldaArguments
from sv_py.scoring.cosine import Cosine
from sv_py.scoring.metrics import eer
from sv_py.scoring.plda import Plda
from sv_py.scoring.two_covariance import Moments, TwoCovariance, fit_by_em

PLAIN = {"whiten": False, "length_norm": False}


def random_covariance(random: np.random.Generator, dimension: int) -> np.ndarray:
    factor = random.standard_normal((dimension, 2 * dimension))
    return factor @ factor.T / (2 * dimension)


def draw(random, between, within, sizes) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of speakers with ``sizes`` utterances, about the mean (3, 3, ...); the speakers' numbers."""
    speakers = np.repeat(np.arange(len(sizes)), sizes)
    of_speakers = random.multivariate_normal(np.full(len(between), 3.0), between, len(sizes))
    return of_speakers[speakers] + random.multivariate_normal(np.zeros(len(within)), within, len(speakers)), speakers


def as_embeddings(matrix: np.ndarray) -> Embeddings:
    return Embeddings([f"u{k}" for k in range(len(matrix))], matrix)


def log_gaussian(x: np.ndarray, covariance: np.ndarray) -> float:
    return -0.5 * (len(x) * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + x @ np.linalg.solve(covariance, x))


def covariances(model: TwoCovariance) -> tuple[np.ndarray, np.ndarray]:
    """Between and within, in the coordinates of the vectors."""
    back = np.linalg.inv(model.transform)
    return back * model.psi @ back.T, back @ back.T


@pytest.fixture(scope="module")
def small():
    """Of 5 dimensions: vectors of 40 speakers with 1 to 6 utterances, and the speakers."""
    random = np.random.default_rng(3)
    return draw(random, random_covariance(random, 5), random_covariance(random, 5), random.integers(1, 7, 40))


@pytest.mark.parametrize("arguments", [PLAIN, {"whiten": True, "length_norm": True, "lda_dim": 3}])
def test_a_score_is_the_log_ratio_of_dense_gaussians(small, arguments):
    matrix, speakers = small
    plda = Plda(PldaArguments(**arguments))
    plda.fit(as_embeddings(matrix), speakers)
    state = plda.state
    between, within = covariances(TwoCovariance(state["mean"], state["transform"], state["psi"]))
    vectors = (matrix - state["means"]) @ state["projection"].T
    if arguments["length_norm"]:
        vectors *= np.sqrt(vectors.shape[1]) / np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors -= state["mean"]
    both = np.block([[between + within, between], [between, between + within]])
    rows = np.random.default_rng(0).integers(len(matrix), size=(2, 50))
    alone = [log_gaussian(x, between + within) for x in vectors]
    expected = [log_gaussian(np.concatenate([vectors[i], vectors[j]]), both) - alone[i] - alone[j] for i, j in rows.T]
    embeddings = as_embeddings(matrix)
    assert np.allclose(plda.score(embeddings, embeddings, rows), expected, atol=1e-9)
    single = as_embeddings(matrix.astype(np.float32))
    found = plda.score(single, single, rows)
    assert found.dtype == np.float32 and np.allclose(found, expected, atol=1e-4)


def test_the_likelihood_is_that_of_dense_gaussians_and_never_falls(small):
    matrix, speakers = small
    moments = Moments.of([matrix], speakers, 5)
    model, likelihoods = fit_by_em(moments, 30)
    assert (np.diff(likelihoods) > 0).all()
    between, within = covariances(model)
    total = 0.0
    for speaker in range(len(moments.sizes)):
        vectors = matrix[speakers == speaker] - model.mean
        n = len(vectors)
        total += log_gaussian(vectors.ravel(), np.kron(np.ones((n, n)), between) + np.kron(np.eye(n), within))
    assert likelihoods[-1] == pytest.approx(total / len(matrix), abs=1e-9)


def test_em_is_that_of_the_plain_formulas(small):
    matrix, speakers = small
    moments = Moments.of([matrix[:70], matrix[70:]], speakers, 5)
    means = moments.means - moments.means.mean(axis=0)
    between, within = means.T @ means / len(means), moments.within
    for _ in range(4):
        of_between, of_within = np.zeros((5, 5)), moments.scatter.copy()
        for n, mean in zip(moments.sizes, means, strict=True):
            variance = np.linalg.inv(np.linalg.inv(between) + n * np.linalg.inv(within))
            expected = variance @ (n * np.linalg.solve(within, mean))
            of_between += variance + np.outer(expected, expected)
            of_within += n * (variance + np.outer(mean - expected, mean - expected))
        between, within = of_between / len(means), of_within / len(matrix)
    found = covariances(fit_by_em(moments, 4)[0])
    assert np.allclose(found[0], between, atol=1e-10) and np.allclose(found[1], within, atol=1e-10)


def test_em_finds_the_covariances_that_the_data_were_drawn_from():
    random = np.random.default_rng(5)
    between, within = random_covariance(random, 4), random_covariance(random, 4)
    matrix, speakers = draw(random, between, within, random.integers(1, 5, 6000))
    model, _ = fit_by_em(Moments.of(np.array_split(matrix, 7), speakers, 4), 20)
    for found, planted in zip(covariances(model), (between, within), strict=True):
        assert np.linalg.norm(found - planted) < 0.05 * np.linalg.norm(planted)
    assert np.allclose(model.mean, 3, atol=0.05)


def test_moments_are_those_of_numpy(small):
    matrix, speakers = small
    moments = Moments.of([matrix[:1], matrix[1:60], matrix[60:]], speakers, 5)
    assert np.allclose(moments.total, np.cov(matrix.T, bias=True)) and np.allclose(moments.mean, matrix.mean(axis=0))
    residuals = matrix - moments.means[speakers]
    assert np.allclose(moments.within, residuals.T @ residuals / len(matrix))


def test_lda_keeps_the_directions_that_tell_speakers_apart():
    random = np.random.default_rng(1)
    between = np.diag([9.0, 4.0, 0.01, 0.01, 0.01])
    matrix, speakers = draw(random, between, np.eye(5), np.full(300, 6))
    mixing = random.standard_normal((5, 5))
    plda = Plda(PldaArguments(lda_dim=2, **PLAIN))
    plda.fit(as_embeddings(matrix @ mixing.T), speakers)
    shares = np.abs(plda.state["projection"] @ mixing)
    assert (shares[:, 2:] < 0.1).all() and np.allclose(np.diag(shares), 1, atol=0.15)  # by N, not N - K


def test_whitened_vectors_have_no_correlations_and_one_length(small):
    matrix, speakers = small
    for arguments in ({}, {"lda_dim": 4}):
        plda = Plda(PldaArguments(**arguments))
        plda.fit(as_embeddings(matrix), speakers)
        vectors = (matrix - matrix.mean(axis=0)) @ plda.state["projection"].T
        assert np.allclose(np.cov(vectors.T, bias=True), np.eye(vectors.shape[1]), atol=1e-9)


def test_dimensions_in_which_nothing_varies_change_no_score(small):
    matrix, speakers = small
    padded = np.column_stack([matrix, np.full(len(matrix), 7.0), np.zeros(len(matrix)), matrix[:, 0]])
    rows = np.random.default_rng(0).integers(len(matrix), size=(2, 50))
    scores = []
    for embeddings in (as_embeddings(matrix), as_embeddings(padded)):
        plda = Plda(PldaArguments())
        plda.fit(embeddings, speakers)
        scores.append(plda.score(embeddings, embeddings, rows))
    assert np.allclose(*scores, atol=1e-8)


def test_scaling_shares_out_what_the_domain_varies_more():
    model = TwoCovariance(np.zeros(3), np.diag([1.0, 2.0, 0.5]), np.array([4.0, 1.0, 0.5]))
    between, within = covariances(model)
    same = model.adapted(np.ones(3), between + within, 0.3, 0.7)
    assert np.allclose(covariances(same)[0], between) and np.allclose(covariances(same)[1], within)
    assert (same.mean == 1).all()
    wider = covariances(model.adapted(np.zeros(3), 4 * (between + within), 0.3, 0.7))
    assert np.allclose(wider[0], between + 0.7 * 3 * (between + within))
    assert np.allclose(wider[1], within + 0.3 * 3 * (between + within))
    narrower = covariances(model.adapted(np.zeros(3), 0.5 * (between + within), 0.3, 0.7))
    assert np.allclose(narrower[0], between) and np.allclose(narrower[1], within)


def test_scaling_widens_only_the_directions_that_vary_more():
    random = np.random.default_rng(2)
    model = TwoCovariance(np.zeros(4), random.standard_normal((4, 4)), np.array([3.0, 2.0, 1.0, 0.1]))
    between, within = covariances(model)
    direction = random.standard_normal(4)
    excess = np.outer(direction, direction)
    found = covariances(model.adapted(np.zeros(4), between + within + excess, 0.25, 0.5))
    assert np.allclose(found[0], between + 0.5 * excess) and np.allclose(found[1], within + 0.25 * excess)


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_coral_gives_the_fitted_vectors_the_covariance_of_the_domain(small, weight):
    matrix, speakers = small
    random = np.random.default_rng(8)
    domain = random.multivariate_normal(np.full(5, -2.0), random_covariance(random, 5), 400)
    plda = Plda(PldaArguments(adapt="coral", coral_weight=weight, iterations=0, **PLAIN))
    plda.fit(as_embeddings(matrix), speakers, adaptation=as_embeddings(domain))
    assert np.allclose(plda.state["means"], domain.mean(axis=0))
    fitted, wanted = (np.cov(vectors.T, bias=True) for vectors in (matrix, domain))
    transform = plda.state["transform"] @ plda.state["projection"]
    within = np.linalg.inv(transform) @ np.linalg.inv(transform).T
    root = scipy.linalg.sqrtm(weight * wanted + (1 - weight) * fitted) @ np.linalg.inv(scipy.linalg.sqrtm(fitted))
    assert np.allclose(within, root @ Moments.of([matrix], speakers, 5).within @ root.T)


@pytest.mark.parametrize(
    ("arguments", "count", "message"),
    [
        ({}, 40, "in some of the 12 dimensions the utterances of a speaker do not differ"),
        ({"lda_dim": 13}, 600, "lda_dim 13: 12 dimensions and 20 speakers have at most 12 directions"),
        ({"lda_dim": 10}, 60, "lda_dim 10: 12 dimensions and 2 speakers have at most 1 directions"),
        ({}, 5, "PLDA needs embeddings of at least two speakers"),
    ],
)
def test_too_little_data_is_refused_with_the_numbers(arguments, count, message):
    random = np.random.default_rng(0)
    matrix = random.standard_normal((count, 12))
    speakers = np.arange(count) % {40: 30, 5: 1, 60: 2}.get(count, 20)
    with pytest.raises(InputError, match=message):
        Plda(PldaArguments(**arguments)).fit(as_embeddings(matrix), speakers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": "none"}, "mean is one of global, domain, not 'none'"),
        ({"adapt": "corel"}, r"adapt is one of none, scaling, coral, not 'corel' \(did you mean 'coral'\?\)"),
        ({"lda_dim": -1}, "lda_dim must be at least 0, is -1"),
        ({"block": 0}, "block must be at least 1, is 0"),
        ({"mean": "domain", "adapt": "coral"}, "mean: global"),
        ({"coral_weight": 0.0}, "coral_weight lies above 0 and is at most 1, not 0.0"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        PldaArguments(**arguments)


def test_an_embedding_that_is_the_mean_has_no_length():
    matrix = np.random.default_rng(0).standard_normal((60, 4))
    plda = Plda(PldaArguments())
    plda.fit(as_embeddings(matrix), np.arange(60) % 6)
    odd = as_embeddings(plda.state["means"].copy())
    with pytest.raises(InputError, match="u0 has an embedding equal to the mean"):
        plda.side(odd)


@pytest.fixture(scope="module")
def real(shared):
    """``real(model, corpus)``: public embeddings, and the number of the speaker of each."""

    def load(model: str, corpus: str) -> tuple[Embeddings, np.ndarray]:
        vectors = dict(kaldiio.load_ark(str(shared / "embeddings" / f"{model}_{corpus}.ark")))
        ids = sorted(vectors)
        speakers = np.unique([name.split("-")[1] for name in ids], return_inverse=True)[1]
        return Embeddings(ids, np.stack([vectors[name] for name in ids])), speakers

    return load


def others(embeddings: Embeddings, trials) -> np.ndarray:
    """Which embeddings are of speakers that are not in the trials."""
    tested = {name.split("-")[1] for name in trials.ids}
    return np.array([name.split("-")[1] not in tested for name in embeddings.ids])


def subset(embeddings: Embeddings, chosen: np.ndarray) -> Embeddings:
    return Embeddings(
        [name for name, take in zip(embeddings.ids, chosen, strict=True) if take], embeddings.matrix[chosen]
    )


def error_rate(backend, embeddings: Embeddings, trials) -> float:
    names, rows = look_up(trials, set(embeddings.ids), "trials")
    place = {name: k for k, name in enumerate(embeddings.ids)}
    chosen = Embeddings(names, embeddings.matrix[[place[name] for name in names]])
    return eer(backend.score(chosen, chosen, rows), trials.target)


def test_plda_of_other_speakers_of_the_corpus_beats_the_cosine(shared, real):
    embeddings, speakers = real("ecapa", "so762")
    trials = read_trials(shared / "corpora/trials/so762_test.txt")
    chosen = others(embeddings, trials)
    plda = Plda(PldaArguments())
    plda.fit(subset(embeddings, chosen), np.unique(speakers[chosen], return_inverse=True)[1])
    assert error_rate(plda, embeddings, trials) < 0.9 * error_rate(Cosine(CosineArguments()), embeddings, trials)


def test_scaling_to_another_corpus_lowers_its_error_rate(shared, real):
    fitted, speakers = real("ecapa", "so762")
    embeddings, _ = real("ecapa", "an4")
    trials = read_trials(shared / "corpora/trials/an4_test.txt")
    domain = subset(embeddings, others(embeddings, trials))
    rates = []
    for adapt, adaptation in (("none", None), ("scaling", domain)):
        plda = Plda(PldaArguments(adapt=adapt))
        plda.fit(fitted, speakers, adaptation=adaptation)
        rates.append(error_rate(plda, embeddings, trials))
    assert rates[1] < 0.85 * rates[0]


def test_coral_undoes_a_change_of_covariance_that_other_speakers_show(shared, real):
    embeddings, speakers = real("ecapa", "so762")
    trials = read_trials(shared / "corpora/trials/so762_test.txt")
    chosen = others(embeddings, trials)
    numbers = np.unique(speakers[chosen], return_inverse=True)[1]
    random = np.random.default_rng(0)
    change = np.linalg.qr(random.standard_normal((192, 192)))[0]
    change = (change * np.exp(random.standard_normal(192))) @ change.T  # symmetric, as CORAL can undo it
    changed = Embeddings(embeddings.ids, ((embeddings.matrix + 20) @ change).astype(np.float32))
    domain = subset(changed, chosen)
    rates = {}
    for adapt, adaptation in (("none", None), ("scaling", domain), ("coral", domain)):
        plda = Plda(PldaArguments(adapt=adapt))
        plda.fit(subset(embeddings, chosen), numbers, adaptation=adaptation)
        rates[adapt] = error_rate(plda, changed, trials)
    assert rates["coral"] < 0.5 * rates["none"] and rates["scaling"] < 0.7 * rates["none"]
