"""The report's tables: error rates with intervals, parts of the trials, worst trials, configurations, launches."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from sv_py.report.html import Html, join, tag
from sv_py.report.svg import whisker
from sv_py.report.system import Decision, Line, WorstTrial
from sv_py.report.text import EER, value

Column = tuple[str, Sequence[Html]]  # its head, its cells


def table(rows: str, titles: Sequence[object], columns: Iterable[Column], style: str | None = None) -> Html:
    """A table with a head cell for each row; on a phone's screen rows are cards, and heads stand beside the cells."""
    columns = list(columns)
    head = tag("tr", tag("th", rows), *(tag("th", name) for name, _ in columns))
    body = [
        tag("tr", tag("th", title), *(tag("td", tag("div", cells[k]), data_label=name) for name, cells in columns))
        for k, title in enumerate(titles)
    ]
    return tag("table", tag("thead", head), tag("tbody", *body), class_=f"cards {style or ''}".strip())


def results(names: Sequence[str], lines: Sequence[Line]) -> Html:
    """Error rates of the systems of one trial list; of log-likelihood ratios also what they cost as they are."""
    heads = [join(_swatch(line.style), name) for name, line in zip(names, lines, strict=True)]
    found = [line.system.result for line in lines]
    tests = [line.system.p_values for line in lines]
    columns = [("EER, %", _rates(found, [line.style for line in lines], tests))]
    for prior in found[0]["min_dcf"]:
        actual = [_note("actual {:.3f}", value(result, ("act_dcf", prior))) for result in found]
        columns.append((f"minDCF({prior})", _cells(found, ("min_dcf", prior), 1, tests, actual)))
    for rate in found[0]["frr_at_far"]:
        title = f"FRR, % at\u00a0FAR\u00a0{100 * float(rate):g}\u00a0%"
        columns.append((title, _cells(found, ("frr_at_far", rate), 100, tests)))
    best = [_note("at best {:.3f}", result["min_cllr"]) for result in found]
    columns.append(("Cllr", _cells(found, ("cllr",), 1, tests, best)))
    return table("system", heads, columns)


def decisions(found: Sequence[Decision]) -> Html:
    """Thresholds of a calibration, with the rates of errors that it expects and those of the trial list."""
    columns = [("threshold", _cells([one.chosen for one in found], ("threshold",), 1))]
    for rate in ("far", "frr"):
        columns.append((f"expected {rate.upper()}, %", _cells([one.chosen for one in found], (rate,), 100)))
        columns.append((f"{rate.upper()} here, %", _cells([one.here for one in found], (rate,), 100)))
    titles = [f"prior {one.value}" if one.kind == "prior" else f"FAR {100 * float(one.value):g} %" for one in found]
    return table("for", titles, columns)


def breakdown(attribute: str, lines: Sequence[Line]) -> Html:
    """Error rates of the groups of trials by an attribute: their own EERs, and errors at the EER threshold of all."""
    parts = [line.system.result["by"].get(attribute, {}) for line in lines]
    groups = list(dict.fromkeys(group for part in parts for group in part))
    rows = [
        (group, line, part[group]) for group in groups for line, part in zip(lines, parts, strict=True) if group in part
    ]
    found = [result for _, _, result in rows]
    counts = [join(f"{counts['target']:,} / {counts['nontarget']:,}") for counts in (r["counts"] for r in found)]
    columns = [("targets / non-targets", counts), ("EER, %", _rates(found, [line.style for _, line, _ in rows]))]
    columns += [(f"{rate.upper()}, %", _cells(found, (rate,), 100)) for rate in ("frr", "far")]
    names = [None if len(lines) == 1 else tag("small", _swatch(line.style), line.name) for _, line, _ in rows]
    return table(attribute, [join(group, name) for (group, _, _), name in zip(rows, names, strict=True)], columns)


def _swatch(style: str) -> Html:
    return tag("span", class_=f"swatch {style}")


def _rates(found: Sequence[dict], styles: Sequence[str], tests: Sequence[dict | None] = ()) -> list[Html]:
    """EERs as numbers and as dots on one scale, with their intervals."""
    rates = [value(result, EER) for result in found]
    spans = [value(result, ("intervals", *EER)) or [rate] for result, rate in zip(found, rates, strict=True)]
    most = 1.05 * max((span[-1] for span in spans if span[-1] is not None), default=0) or 1
    drawn = [
        None if rate is None else whisker(rate, (span[0], span[-1]), most, style)
        for rate, span, style in zip(rates, spans, styles, strict=True)
    ]
    return _cells(found, EER, 100, tests, drawn)


def _cells(
    found: Sequence[dict | None], path: Sequence[str], scale: float, tests: Sequence[dict | None] = (),
    notes: Sequence[Html | None] = (),
) -> list[Html]:  # fmt: skip
    """The numbers under ``path`` with intervals, p-values and ``notes`` under them; a dash where there are none."""
    digits = 3 if scale == 1 else 2
    cells = []
    for result, test, note in zip_longest(found, tests, notes):
        number, interval = value(result, path), value(result, ("intervals", *path))
        ends = interval and ", ".join("inf" if end is None else f"{scale * end:.{digits}f}" for end in interval)
        cells.append(
            join(
                "-" if number is None else f"{scale * number:.{digits}f}",
                _note("[{}]", ends),
                _note("p {:.3f}", value(test, path)),
                note,
            )
        )
    return cells


def _note(form: str, content: object) -> Html | None:
    return None if content is None else tag("small", form.format(content))


def worst(trials: Sequence[WorstTrial]) -> Html:
    """Trials with the quality measures of both ids."""
    columns = [
        ("test", [join(trial.test) for trial in trials]),
        ("score", [join(f"{trial.score:.3f}") for trial in trials]),
    ]
    for measure in trials[0].quality:
        pairs = [" / ".join(f"{side:.3g}" for side in trial.quality[measure]) for trial in trials]
        columns.append((measure, [join(pair) for pair in pairs]))
    return table("enrol", [trial.enrol for trial in trials], columns, "trials")


def launch(record: Mapping, is_open: bool) -> Html:
    """One launch of an experiment: what was run, where, and of which state of the project."""
    git = record["git"]
    changed = (git["status"] or "").splitlines()
    revision = (git["revision"] or "unknown")[:12] + (f" and {len(changed)} changed files" if changed else "")
    facts = {
        "command": tag("code", shlex.join(record["argv"])),
        "folder": record["directory"],
        "revision": revision,
        "machine": f"{record['host']}, {record['cores']} cores",
        "versions": ", ".join(f"{name} {version}" for name, version in record["versions"].items()),
    }
    if record["job"]:
        facts["job"] = ", ".join(f"{name} {value}" for name, value in record["job"].items())
    for path, digest in record["inputs"].items():
        facts[path] = tag("code", digest)
    if changed:
        facts["changed"] = tag("pre", "\n".join(changed))
    rows = [join(tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    return tag("details", tag("summary", record["time"]), tag("dl", *rows), open="" if is_open else None)
