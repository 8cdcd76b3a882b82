"""Error rates by what is known of both sides of a trial."""

import numpy as np
import pytest

from sv_py.cli import InputError
from sv_py.io.scores import Scores
from sv_py.scoring.bootstrap import metric_replicates, percentiles
from sv_py.scoring.breakdown import Attribute, break_down
from sv_py.scoring.metrics import summarise

UTT2SPK = {f"{speaker}{k}": speaker for speaker in "abcd" for k in (1, 2)}
GENDER = {"a": "f", "b": "f", "c": "m", "d": "m"}


@pytest.fixture
def trials() -> Scores:
    """All pairs of two utterances of each of four speakers."""
    ids = sorted(UTT2SPK)
    enrol, test = np.triu_indices(len(ids), 1)
    target = enrol // 2 == test // 2
    return Scores(ids, enrol, test, np.random.default_rng(0).normal(target * 1.5), target)


def groups(attribute: Attribute, trials: Scores, utt2spk=UTT2SPK) -> dict[str, set[str]]:
    """The pairs of each group, as text."""
    return {
        name: {f"{trials.ids[trials.enrol[k]]} {trials.ids[trials.test[k]]}" for k in np.flatnonzero(mask)}
        for name, mask in attribute.groups(trials, utt2spk)
    }


def test_values_of_speakers_make_groups_of_equal_values_and_all_same_and_all_cross_pairs(trials):
    found = groups(Attribute("gender", GENDER), trials)
    assert list(found) == ["f", "m", "same", "cross"]
    assert found["f"] == {"a1 a2", "a1 b1", "a1 b2", "a2 b1", "a2 b2", "b1 b2"}
    assert found["same"] == found["f"] | found["m"] and len(found["cross"]) == 16
    assert "a1 c1" in found["cross"]


def test_values_of_utterances_and_of_speakers_count_alike(trials):
    by_utterance = {utt: GENDER[speaker] for utt, speaker in UTT2SPK.items()}
    assert groups(Attribute("gender", by_utterance), trials, {}) == groups(Attribute("gender", GENDER), trials)
    files = Scores([f"x/{name}.wav" for name in trials.ids], trials.enrol, trials.test, trials.scores, trials.target)
    mapped = {f"x-{utt}": value for utt, value in by_utterance.items()}
    assert [len(pairs) for pairs in groups(Attribute("gender", mapped), files, {}).values()] == [6, 6, 12, 16]


def test_one_value_is_one_group(trials):
    assert list(groups(Attribute("corpus", dict.fromkeys("abcd", "x")), trials)) == ["x"]


def test_durations_make_pairs_of_bins_in_any_order(trials):
    seconds = {"a1": "1", "a2": "5.9", "b1": "2", "b2": "6", "c1": "7", "c2": "0", "d1": "100", "d2": "1.999"}
    found = groups(Attribute("duration", seconds, (2.0, 6.0)), trials)
    assert list(found) == [
        "< 2 s", "< 2 s / 2-6 s", "< 2 s / >= 6 s", "2-6 s", "2-6 s / >= 6 s", ">= 6 s",
    ]  # fmt: skip
    assert found["2-6 s"] == {"a2 b1"}  # an edge belongs to the upper bin
    assert found["< 2 s"] == {"a1 c2", "a1 d2", "c2 d2"} and {"a1 a2", "b1 c2"} <= found["< 2 s / 2-6 s"]
    assert sum(map(len, found.values())) == len(trials)
    assert list(groups(Attribute("duration", seconds, (200.0, 300.0)), trials)) == ["< 200 s"]  # of what there is


def test_models_without_a_value_count_as_their_test_side(trials):
    ids = ["model", *trials.ids]
    models = Scores(ids, np.zeros(8, int), np.arange(1, 9), np.zeros(8), np.ones(8, bool))
    table = {utt: GENDER[speaker] for utt, speaker in UTT2SPK.items()}
    assert {name: len(pairs) for name, pairs in groups(Attribute("gender", table), models, {}).items()} == {
        "f": 4,
        "m": 4,
    }


def test_a_list_of_which_nothing_is_known_has_no_groups_and_one_of_which_something_is_an_error(trials):
    assert groups(Attribute("gender", {"z": "f"}), trials) == {}
    with pytest.raises(InputError, match="2 ids of the trials have no gender: d1, d2"):
        groups(Attribute("gender", {speaker: GENDER[speaker] for speaker in "abc"}), trials)


def test_too_many_values_and_names_of_other_groups_are_errors():
    ids = [f"u{k}" for k in range(202)]
    trials = Scores(ids, np.arange(101), np.arange(101, 202), np.zeros(101), np.arange(101) < 50)
    with pytest.raises(InputError, match="202 values of speaker in the trials, and at most 100"):
        groups(Attribute("speaker", {name: name for name in ids}), trials, {})
    with pytest.raises(InputError, match="'cross' is a value of kind"):
        groups(Attribute("kind", dict.fromkeys(ids, "cross")), trials, {})


def test_a_group_has_the_metrics_of_its_trials_and_its_rates_at_the_threshold_of_all(trials):
    speakers = np.repeat(np.arange(4), 2)
    cut = trials.scores[(trials.test < 4) & ~trials.target].max()  # a score: it is accepted
    found = break_down(trials, Attribute("gender", GENDER).groups(trials, UTT2SPK), cut, speakers, 200, 3, True)
    women = (trials.enrol < 4) & (trials.test < 4)
    scores, target = trials.scores[women], trials.target[women]
    expected = summarise(scores, target, calibrated=True)
    for key in ("eer", "min_dcf", "act_dcf", "cllr", "min_cllr", "frr_at_far", "counts"):
        assert found["f"][key] == expected[key]
    assert found["f"]["frr"] == np.mean(scores[target] < cut) and found["f"]["far"] == np.mean(scores[~target] >= cut)
    part = Scores(trials.ids, trials.enrol[women], trials.test[women], scores, target)
    drawn = [replicate["eer"] for replicate in metric_replicates(part, speakers, 200, 3)]
    assert found["f"]["intervals"]["eer"] == percentiles(*drawn)
    assert found["f"]["intervals"].keys() == found["f"].keys() - {"counts", "intervals"}


def test_a_group_of_one_kind_has_only_the_error_rate_of_that_kind(trials):
    speakers = np.repeat(np.arange(4), 2)
    attribute = Attribute("gender", GENDER)
    cross = break_down(trials, attribute.groups(trials, UTT2SPK), 0.7, speakers, 100, 0, False)["cross"]
    assert cross.keys() == {"counts", "far", "intervals"} and cross["counts"] == {"target": 0, "nontarget": 16}
    low, high = cross["intervals"]["far"]
    assert cross["intervals"].keys() == {"far"} and low < cross["far"] < high
    without = break_down(trials, attribute.groups(trials, UTT2SPK), 0.7, speakers, 0, 0, False)
    assert without["cross"]["intervals"] is without["f"]["intervals"] is None


def test_the_interval_of_an_error_rate_is_that_of_trials_spelt_out(trials):
    wrong = trials.scores >= 0.7
    cross = (trials.enrol < 4) != (trials.test < 4)
    random = np.random.default_rng(5)
    rates = []
    for _ in range(50):
        drawn = random.multinomial(4, np.full(4, 1 / 4))
        counts = (drawn[trials.enrol // 2] * drawn[trials.test // 2])[cross]
        if counts.any():
            rates.append(np.repeat(wrong[cross], counts).mean())
    found = break_down(trials, iter([("cross", cross)]), 0.7, np.repeat(np.arange(4), 2), 50, 5, False)
    assert found["cross"]["intervals"]["far"] == pytest.approx(percentiles(*rates))
