"""The table of several experiments."""

import json

import pytest

from sv_py.cli import InputError
from sv_py.report.comparison import Experiment, compare, read_experiment, render


def result(eer: float, digest: str = "aa", intervals: bool = True) -> dict:
    spread = {"eer": [eer - 0.01, eer + 0.01], "min_dcf": {"0.01": [0.1, 0.2]}} if intervals else None
    return {
        "eer": eer, "min_dcf": {"0.01": 0.15}, "counts": {"target": 10, "nontarget": 90}, "intervals": spread,
        "trials_sha256": digest,
    }  # fmt: skip


def rows(*experiments: Experiment) -> dict[str, list[str]]:
    table = compare(list(experiments))
    assert len({title for title, _ in table}) == len(table)
    return dict(table)


def test_equal_trials_share_a_row_and_differing_keys_are_shown():
    a = Experiment("a", {"cosine/x": result(0.05)}, {"seed": 0, "model.name": "ecapa"}, {"parameters": "10"})
    b = Experiment("b", {"cosine/x": result(0.07)}, {"seed": 0, "model.name": "resnet"}, {"parameters": "20"})
    table = rows(a, b)
    assert table["x, cosine: EER %"] == ["5.00 [4.00, 6.00]", "7.00 [6.00, 8.00]"]
    assert table["x, cosine: target / non-target trials"] == ["10 / 90", "10 / 90"]
    assert table["model.name"] == ["ecapa", "resnet"]
    assert table["parameters"] == ["10", "20"]
    assert "seed" not in table


def test_the_arguments_of_a_part_that_only_one_experiment_has_are_not_listed():
    chain = {"augment.0.name": "one_of", "augment.0.args.parts.0.name": "rooms", "augment.0.args.probability": 0.6}
    a = Experiment("a", {}, {"augment": []}, {})
    b = Experiment("b", {}, chain, {})
    c = Experiment("c", {}, {**chain, "augment.0.args.probability": 0.5}, {})
    assert rows(a, b) == {"augment.0.name": ["-", "one_of"]}
    assert rows(b, c) == {"augment.0.args.probability": ["0.6", "0.5"]}


def test_scores_of_different_trial_files_never_share_a_row():
    a = Experiment("a", {"cosine/x": result(0.05, "aaaaaaaaaa")}, {}, {})
    b = Experiment("b", {"cosine/x": result(0.07, "bbbbbbbbbb")}, {}, {})
    table = rows(a, b)
    assert table["x, cosine (trials aaaaaaaa): EER %"] == ["5.00 [4.00, 6.00]", "-"]
    assert table["x, cosine (trials bbbbbbbb): EER %"] == ["-", "7.00 [6.00, 8.00]"]


def test_a_trial_list_that_one_experiment_lacks_is_a_dash():
    a = Experiment("a", {"cosine/x": result(0.05), "cosine/y": result(0.01, "cc", intervals=False)}, {}, {})
    b = Experiment("b", {"cosine/x": result(0.07)}, {}, {})
    assert rows(a, b)["y, cosine: EER %"] == ["1.00", "-"]


def test_actual_costs_are_shown_where_scores_are_likelihood_ratios():
    ratios = result(0.07) | {"calibrated": True, "act_dcf": {"0.01": 0.3}, "cllr": 0.25, "min_cllr": 0.2}
    a = Experiment("a", {"cosine/x": result(0.05)}, {}, {})
    table = rows(a, Experiment("b", {"cosine/x": ratios}, {}, {}))
    assert table["x, cosine: actDCF(0.01)"] == ["-", "0.300"] and table["x, cosine: Cllr"] == ["-", "0.250"]
    assert "x, cosine: Cllr" not in rows(a)


def test_p_values_stand_behind_the_intervals():
    a = Experiment("a", {"cosine/x": result(0.05)}, {}, {})
    b = Experiment("b", {"cosine/x": result(0.07)}, {}, {})
    table = dict(compare([a, b], {(1, "cosine/x"): {"eer": 0.0123, "min_dcf": {"0.01": 1.0}}}))
    assert table["x, cosine: EER %"] == ["5.00 [4.00, 6.00]", "7.00 [6.00, 8.00], p 0.012"]
    assert table["x, cosine: minDCF(0.01)"][1].endswith("], p 1.000")


def test_of_a_phase_that_one_experiment_does_not_have_name_sets_and_epochs_say_enough():
    first = {"phases.0.name": "warmup", "phases.0.crop": 200}
    second = {"phases.1.name": "lmft", "phases.1.epochs": 5, "phases.1.crop": 600, "phases.1.rate.peak": 0.1}
    a = Experiment("a", {"cosine/x": result(0.05)}, first, {})
    b = Experiment("b", {"cosine/x": result(0.05)}, first | second | {"phases.0.crop": 300}, {})
    table = rows(a, b)
    assert table["phases.0.crop"] == ["200", "300"]
    assert [key for key in table if key.startswith("phases.1")] == ["phases.1.name", "phases.1.epochs"]


def test_markdown_has_a_rule_under_its_head():
    text = render(["a"], [("EER %", ["1.0"])], markdown=True).splitlines()
    assert text[0].split() == ["|", "|", "a", "|"]
    assert set(text[1]) == {"|", "-", " "}
    assert len({len(line) for line in text}) == 1


def test_an_experiment_without_results_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"results\.json: no such file"):
        read_experiment(tmp_path, {})


def test_results_that_are_not_json_are_an_error_with_their_line(tmp_path):
    (tmp_path / "results.json").write_text('{\n"a": \n')
    with pytest.raises(InputError, match=r"results\.json:\d+: not JSON"):
        read_experiment(tmp_path, {})


def test_facts_come_from_the_experiments_own_files(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"cosine/x": result(0.05)}))
    train = tmp_path / "data/train"
    train.mkdir(parents=True)
    (train / "utt2spk").write_text("a-1 a\na-2 a\nb-1 b\n")
    (train / "utt2dur").write_text("a-1 1800\na-2 1800\nb-1 3600\n")
    extra = tmp_path / "data/extra"
    extra.mkdir()
    (extra / "utt2spk").write_text("a-3 a\nc-1 c\n")
    (extra / "utt2dur").write_text("a-3 1800\nc-1 900\n")
    (tmp_path / "model.json").write_text('{"parameters": 1234567}')
    phase = {"epochs": 3, "margin_ramp": [1, 2]}
    experiment = read_experiment(tmp_path, {"phases": [phase, {"epochs": 1, "sets": ["train", "extra"]}]})
    assert experiment.facts == {
        "parameters": "1,234,567", "training speakers": "3", "training utterances": "5", "training hours": "2.75",
    }  # fmt: skip
    assert experiment.config["phases.0.margin_ramp"] == [1, 2] and experiment.config["phases.0.epochs"] == 3
    for sets, speakers in ((["extra"], "2"), (["train"], "2")):
        assert read_experiment(tmp_path, {"phases": [{"sets": sets}]}).facts["training speakers"] == speakers
    assert read_experiment(tmp_path, {"phases": [phase]}).facts["training utterances"] == "3"
