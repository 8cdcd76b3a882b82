"""The report: one HTML file without scripts, which loads nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sv_py.report import figures, tables
from sv_py.report.html import Html, join, tag
from sv_py.report.svg import COLOURS
from sv_py.report.system import Line, System

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a browser enforces it: no network, no script

_NOTE = """In brackets: 95 % intervals of a bootstrap over speakers; dots and lines show those of the EER, from 0 on.
FRR at FAR: false rejects where so many non-targets are accepted. Of log-likelihood ratios, "actual" is the DCF at the
threshold that the prior asks for. Cllr in bits, beside that of the best calibration."""
_P_VALUE = "p: p-value of the difference from {}, by a paired bootstrap over speakers."
_THRESHOLDS = "Expected is what the trials of training speakers tell, of which the calibration is made."
_PARTS = "FRR and FAR: false rejects and false accepts at the threshold of the EER of all trials."


@dataclass(frozen=True)
class Study:
    """What a report is of. ``lists``: trial list -> its systems; other mappings have a key for each experiment."""

    lists: Mapping[str, Sequence[System]]
    facts: Sequence[tuple[str, Sequence[str]]]  # what the experiments have and where they differ, a value for each
    epochs: Mapping[str, Sequence[dict]]
    launches: Mapping[str, Sequence[dict]]
    configs: Mapping[str, str]

    @property
    def experiments(self) -> list[str]:
        """Their names."""
        return list(self.configs)


def render(study: Study) -> str:
    """The page; equal studies give equal bytes."""
    sections = [("Results", _results(study))]
    sections += [(name, _trial_list(study, systems)) for name, systems in study.lists.items()]
    if any(study.epochs.values()):
        sections.append(("Training", _training(study)))
    sections.append(("Experiments", _experiments(study)))
    names = ", ".join(study.experiments)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{names}: speaker verification"),
        tag("style", Html(Path(__file__).with_name("report.css").read_text())),
    )
    links = [tag("a", title, href=f"#s{number}") for number, (title, _) in enumerate(sections)]
    body = [tag("section", tag("h2", title), *parts, id=f"s{k}") for k, (title, parts) in enumerate(sections)]
    lists = tag("p", f"Speaker verification on {', '.join(study.lists)}")
    page = tag("html", head, tag("body", tag("h1", names), lists, tag("nav", *links), *body), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _style(number: int) -> str:
    return f"c{number % COLOURS}"


def _panels(study: Study, systems: Sequence[System]) -> dict[str, list[Line]]:
    """What one figure shows: of several experiments all that score alike, of one experiment all with one back end."""
    several = len(study.experiments) > 1
    found: dict[str, list[Line]] = {}
    for number, system in enumerate(systems):
        style = _style(study.experiments.index(system.experiment) if several else number)
        panel, name = (system.scoring, system.experiment) if several else (system.backend, system.scoring)
        found.setdefault(panel, []).append(Line(name, system, style))
    return found


def _results(study: Study) -> list[Html]:
    several = len(study.experiments) > 1
    parts = [tag("p", _NOTE)]
    if any(system.p_values for systems in study.lists.values() for system in systems):
        parts.append(tag("p", _P_VALUE.format(f"{study.experiments[0]}, scored alike" if several else "the first row")))
    for name, systems in study.lists.items():
        counts = systems[0].result["counts"]
        lines = [line for panel in _panels(study, systems).values() for line in panel]
        names = [f"{line.system.scoring}, {line.name}" if several else line.name for line in lines]
        parts.append(tag("h3", f"{name}: {counts['target']:,} target and {counts['nontarget']:,} non-target trials"))
        parts.append(tables.results(names, lines))
    return parts


def _trial_list(study: Study, systems: Sequence[System]) -> list[Html]:
    parts, last = [], {}
    for panel, lines in _panels(study, systems).items():
        drawn = [figures.det(panel, lines)]
        drawn += [figures.scores(line) for line in lines]
        drawn += [figures.calibration(line) for line in lines if line.system.reliability]
        parts += [tag("h3", panel), tag("div", *drawn, class_="panels")]
        last |= {line.system.experiment: line for line in lines}  # of each experiment the one with all steps
    thresholds = [
        tag("div", tag("h3", f"Thresholds: {name}, {line.system.scoring}"), tables.decisions(line.system.decisions))
        for name, line in last.items()
        if line.system.decisions
    ]
    if thresholds:
        parts += [tag("div", *thresholds, class_="halves"), tag("p", _THRESHOLDS)]
    attributes = dict.fromkeys(attribute for line in last.values() for attribute in line.system.result["by"])
    if attributes:
        parts += [tag("h3", "Parts of the trials"), tag("p", _PARTS)]
        found = [tables.breakdown(attribute, list(last.values())) for attribute in attributes]
        parts.append(tag("div", *found, class_="halves"))
    for name, line in last.items():
        for target, kind in ((True, "Targets with the lowest scores"), (False, "Non-targets with the highest scores")):
            trials = [trial for trial in line.system.worst if trial.target == target]
            if trials:
                parts += [tag("h3", f"{kind}: {name}, {line.system.scoring}"), tables.worst(trials)]
    return parts


def _training(study: Study) -> list[Html]:
    styles = {name: _style(number) for number, name in enumerate(study.experiments)}
    trained = {name: epochs for name, epochs in study.epochs.items() if epochs}
    return [
        figures.legend({name: styles[name] for name in trained}),
        tag("div", *figures.trainings(trained, styles), class_="panels"),
    ]


def _experiments(study: Study) -> list[Html]:
    columns = [(name, [join(values[k]) for _, values in study.facts]) for k, name in enumerate(study.experiments)]
    parts = [tables.table("", [title for title, _ in study.facts], columns)] if study.facts else []
    for name, config in study.configs.items():
        launches = study.launches[name]
        parts.append(tag("h3", name))
        parts += [tables.launch(record, is_open=record is launches[-1]) for record in launches]
        parts.append(tag("details", tag("summary", "config.yaml"), tag("pre", config)))
    return parts
