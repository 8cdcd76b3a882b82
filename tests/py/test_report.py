"""The report of experiments, as make_report writes it."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from reported import ODD, STEPS, UTT2SPK, make_experiment, measure, write_trials

from sv_py import make_report
from sv_py.cli import InputError
from sv_py.io.quality import write_quality
from sv_py.io.scores import read_scores


class Page(HTMLParser):
    """The texts of a page's tables and headings, and the attributes of all of its elements."""

    def __init__(self, text: str):
        super().__init__()
        self.tables, self.headings, self.elements, self._open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag in ("h2", "h3"):
            self.headings.append("")

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if "table" in self._open:
            self.tables[-1][-1][-1] = f"{self.tables[-1][-1][-1]} {data}".strip()
        elif {"h2", "h3"} & set(self._open):
            self.headings[-1] += data

    def figures(self, begin: str) -> list[str]:
        """What the figures show whose label begins so."""
        labels = [attrs.get("aria-label") or "" for tag, attrs in self.elements if tag == "svg"]
        return [label for label in labels if label.startswith(begin)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two experiments, of which nothing is changed."""
    folder = tmp_path_factory.mktemp("exp")
    return [make_experiment(folder / "ecapa"), make_experiment(folder / "resnet", seed=1)]


@pytest.fixture
def exp(made, tmp_path):
    """A copy of an experiment, to be spoilt."""
    shutil.copytree(made[0], tmp_path / "ecapa")
    return tmp_path / "ecapa"


def write_report(out: Path, *arguments: object) -> Page:
    """The page that the command writes, run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["make_report", "--bootstrap", "20", "--out", *map(str, (out, *arguments))])
        make_report.main()
    return Page(out.read_text())


@pytest.fixture
def report(tmp_path):
    """``report(*arguments)``: a page; out.html in tmp_path."""
    return lambda *arguments: write_report(tmp_path / "out.html", *arguments)


@pytest.fixture(scope="module")
def one(made):
    """The page of the first experiment."""
    return write_report(made[0].parent / "one.html", made[0])


@pytest.fixture(scope="module")
def both(made):
    """The page of both."""
    return write_report(made[0].parent / "both.html", *made)


def test_one_experiment_is_reported_in_its_own_folder_and_several_beside_the_first(root, run, made, tmp_path):
    for folder in made:
        shutil.copytree(folder, tmp_path / folder.name)
    run(root / "steps/make_report.sh", "--bootstrap", 0, "ecapa")
    assert Page((tmp_path / "ecapa/report.html").read_text()).tables
    run(root / "steps/make_report.sh", "--bootstrap", 0, "ecapa", "resnet")
    assert Page((tmp_path / "report.html").read_text()).tables
    assert not (tmp_path / "resnet/report.html").exists()


def test_equal_experiments_give_equal_bytes(report, made, tmp_path):
    report(*made)
    once = (tmp_path / "out.html").read_bytes()
    report(*made)
    assert (tmp_path / "out.html").read_bytes() == once


def test_the_page_loads_nothing_and_runs_nothing(both, made):
    assert not {"script", "link", "img", "iframe", "object", "base"} & {tag for tag, _ in both.elements}
    for tag, attrs in both.elements:
        assert not [name for name in attrs if name.startswith("on") or name in ("src", "action", "style")], tag
        assert attrs.get("href", "#").startswith("#")
    policy = next(attrs["content"] for _, attrs in both.elements if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"url\(|@import|//[a-z]", (made[0].parent / "both.html").read_text().split("<body>")[0])


def test_what_stands_in_files_never_becomes_markup(report, made, tmp_path):
    page = report("--worst", 200, made[0])
    text = (tmp_path / "out.html").read_text()
    assert ODD not in text and "a&lt;b&gt;&amp;&quot;x-0" in text
    assert "&lt;/pre&gt;" in text and text.count("</pre>") == text.count("<pre>")
    assert f"{ODD}-0" in {row[0] for table in page.tables for row in table}  # as the reader sees it


def test_the_error_rates_are_those_of_the_results_with_intervals(one, made):
    results = json.loads((made[0] / "results.json").read_text())
    rows = {row[0]: row for row in one.tables[0][1:]}
    assert list(rows) == ["cosine", "cosine + asnorm", "cosine + qmf"]
    for suffix, name in zip(STEPS, rows, strict=True):
        result = results[f"cosine/calls{suffix}"]
        low, high = result["intervals"]["eer"]
        assert rows[name][1].startswith(f"{100 * result['eer']:.2f} [{100 * low:.2f}, {100 * high:.2f}]")
        low, high = result["intervals"]["min_dcf"]["0.05"]
        assert rows[name][3].startswith(f"{result['min_dcf']['0.05']:.3f} [{low:.3f}, {high:.3f}]")
        actual = f"actual {result['act_dcf']['0.05']:.3f}" if "act_dcf" in result else ""
        assert rows[name][3].endswith(actual) and ("actual" in rows[name][3]) == (suffix == "_qmf")
        assert rows[name][-1].endswith(f"at best {result['min_cllr']:.3f}")
        assert rows[name][-1].startswith(f"{result['cllr']:.3f} [" if suffix == "_qmf" else "-")


def test_the_systems_of_an_experiment_are_compared_with_the_first_of_their_trials(one):
    for table in one.tables[:2]:
        assert ["p 0." in row[1] for row in table[1:]] == [False, True, True]


def test_several_experiments_are_compared_with_the_first_where_they_score_alike(both):
    rows = {row[0]: row[1] for row in both.tables[0][1:]}
    assert list(rows)[:2] == ["cosine, ecapa", "cosine, resnet"]
    assert ["p " in cell for cell in rows.values()] == [False, True] * 3


def test_every_system_has_its_figures(both, one):
    scorings = ["cosine", "cosine + asnorm", "cosine + qmf"]
    assert both.figures("DET") == [f"DET curves, {scoring}" for scoring in scorings] * 2
    assert both.figures("scores") == ["scores, ecapa", "scores, resnet"] * 6
    assert both.figures("calibration") == ["calibration, ecapa", "calibration, resnet"] * 2
    assert len(both.figures("loss")) == len(both.figures("margin")) == 1
    assert one.figures("DET") == ["DET curves, cosine"] * 2  # all curves in one figure
    assert one.figures("scores") == [f"scores, {scoring}" for scoring in scorings] * 2
    assert one.figures("calibration") == ["calibration, cosine + qmf"] * 2


def test_the_name_of_a_trial_list_is_not_taken_for_a_step(both):
    assert [title for title in both.headings if title in ("calls", "calls_hard")] == ["calls", "calls_hard"]


def test_worst_trials_come_with_the_measures_of_both_ids(report, made):
    page = report("--worst", 3, made[0])
    scores = read_scores(made[0] / "scores/cosine/calls_qmf", labelled=True)
    for table, kind, sign in zip(
        [t for t in page.tables if t[0][0] == "enrol"][:2], (True, False), (1, -1), strict=True
    ):
        assert table[0] == ["enrol", "test", "score", "duration", "snr"]
        found = sorted(
            (sign * score, scores.ids[i], scores.ids[j])
            for i, j, score, target in zip(scores.enrol, scores.test, scores.scores, scores.target, strict=True)
            if target == kind
        )
        assert [(row[0], row[1], row[2]) for row in table[1:]] == [(i, j, f"{sign * s:.3f}") for s, i, j in found[:3]]
    measures = (made[0] / "quality/cosine/calls").read_text().splitlines()
    values = {line.split()[0]: [float(word) for word in line.split()[1:]] for line in measures[1:]}
    first = table[1]
    assert first[3:] == [f"{values[first[0]][k]:.3g} / {values[first[1]][k]:.3g}" for k in (0, 1)]


def test_thresholds_are_shown_with_what_they_do_to_the_list(one, made):
    table = next(table for table in one.tables if table[0][0] == "for")
    facts = json.loads((made[0] / "calibration/cosine/calibration.json").read_text())["thresholds"]["far"]
    assert facts["0.001"] is None  # of fewer than 1,000 non-targets nothing can be said
    assert [row[0] for row in table[1:]] == ["FAR 5 %"] + [f"prior {prior}" for prior in ("0.01", "0.05", "0.001")]
    scores = read_scores(made[0] / "scores/cosine/calls_qmf", labelled=True)
    accepted = scores.scores >= facts["0.05"]["threshold"]
    assert table[1][1].startswith(f"{facts['0.05']['threshold']:.3f} [")
    assert table[1][3] == f"{100 * accepted[~scores.target].mean():.2f}"
    assert table[1][5] == f"{100 * (~accepted[scores.target]).mean():.2f}"


def test_groups_of_trials_have_a_row_for_each_experiment(both, made):
    table = next(table for table in both.tables if table[0][0] == "gender")
    by = [json.loads((folder / "results.json").read_text())["cosine/calls_qmf"]["by"]["gender"] for folder in made]
    assert [row[0] for row in table[1:]] == [f"{group} {folder.name}" for group in by[0] for folder in made]
    assert set(by[0]) == {"f", "m", "same", "cross"} and by[0]["cross"]["counts"]["target"] == 0
    for row, found in zip(table[1::2], by[0].values(), strict=True):
        assert row[1] == f"{found['counts']['target']:,} / {found['counts']['nontarget']:,}"
        assert row[2].startswith(f"{100 * found['eer']:.2f} [" if "eer" in found else "-")
        assert row[4].startswith(f"{100 * found['far']:.2f} [")


def test_differences_and_launches_of_experiments_are_told(both):
    facts = {row[0]: row[1:] for row in next(table for table in both.tables if table[0] == ["", "ecapa", "resnet"])}
    assert facts["parameters"] == ["1,234,567"] * 2 and facts["model.name"] == ["ecapa", "resnet"]
    assert "seed" not in facts


def test_parts_that_an_experiment_lacks_are_left_out(report, exp):
    for part in ("quality", "calibration", "phases", "launches"):
        shutil.rmtree(exp / part)
    page = report(exp)
    assert not page.figures("loss") and "Training" not in page.headings
    assert [table[0] for table in page.tables if table[0][0] == "enrol"] == [["enrol", "test", "score"]] * 4
    assert not [table for table in page.tables if table[0][0] == "for"]


def test_other_trials_of_the_same_name_are_another_list(report, made, exp):
    shutil.copytree(made[1], exp.parent / "resnet")
    results = json.loads((made[1] / "results.json").read_text())
    for suffix in STEPS:
        path = exp.parent / f"resnet/scores/cosine/calls{suffix}"
        write_trials(path, 1, seed=3, skip=1)
        results[f"cosine/calls{suffix}"] = measure(path, suffix == "_qmf")
    (exp.parent / "resnet/results.json").write_text(json.dumps(results))
    page = report(exp, exp.parent / "resnet")
    found = [title for title in page.headings if re.fullmatch(r"calls( \(\w{8}\))?", title)]
    assert len(found) == 2 and all("(" in title for title in found)
    assert len(page.tables[0]) == 1 + 3  # the first list's table has the first experiment only


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda e: (e / "results.json").unlink(), r"ecapa/results\.json: no such file: the experiment has not reached"),
        (lambda e: (e / "scores/cosine/calls").unlink(), r"ecapa/scores/cosine/calls: no such file"),
        (lambda e: write_trials(e / "scores/cosine/calls", 2, 7, 0), "results.json has cosine/calls of other scores"),
        (lambda e: (e / "launches/x.json").write_text("{\n,"), r"launches/x\.json:2: not JSON"),
        (lambda e: (e / "phases/lmft/metrics.jsonl").write_text("{"), r"lmft/metrics\.jsonl:1: not JSON"),
        (
            lambda e: (e / "calibration/cosine/calibration.json").write_text("{}"),
            r"calibration\.json: is no calibration",
        ),
        (
            lambda e: write_quality(e / "quality/cosine/calls", list(UTT2SPK)[1:], {"snr": range(len(UTT2SPK) - 1)}),
            r"quality/cosine/calls.*a<b>",
        ),
    ],
)
def test_what_cannot_be_reported_is_told_and_nothing_written(report, exp, spoil, message):
    spoil(exp)
    with pytest.raises(InputError, match=message):
        report(exp)
    assert not (exp.parent / "out.html").exists()


def test_results_of_an_older_version_are_told(report, exp):
    results = json.loads((exp / "results.json").read_text())
    for result in results.values():
        del result["calibrated"]
    (exp / "results.json").write_text(json.dumps(results))
    with pytest.raises(InputError, match="run stage 9 again"):
        report(exp)


def test_experiments_need_names_and_colours_of_their_own(report, made, exp, capsys):
    with pytest.raises(InputError, match="two experiments have one name: ecapa, ecapa"):
        report(made[0], exp)
    with pytest.raises(SystemExit):
        report(*[made[0]] * 9)
    assert "9 experiments, and colours for 8" in capsys.readouterr().err
