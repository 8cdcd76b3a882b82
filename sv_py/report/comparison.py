"""One table of several experiments: a column each, a row per trial list and metric, and what differs between them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sv_py.cli import InputError
from sv_py.io.text import read_lines, read_table

Row = tuple[str, list[str]]


@dataclass(frozen=True)
class Experiment:
    """What an experiment's folder says of itself."""

    name: str
    results: dict[str, dict]  # "<back end>/<trials>" -> metrics
    config: dict[str, Any]  # dotted key -> value
    facts: dict[str, str]  # parameters, data, time


def read_experiment(folder: Path, config: dict) -> Experiment:
    """Read ``folder``; ``config`` is its configuration as plain dicts. Raises InputError without results."""
    path = folder / "results.json"
    if not path.is_file():
        raise InputError("no such file: the experiment has not reached stage 9", path)
    try:
        results = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error}", path, error.lineno) from None
    return Experiment(folder.name, results, dict(_flatten(config, "")), dict(_facts(folder, config)))


def compare(experiments: list[Experiment]) -> list[Row]:
    """The rows of the table. Scores of different trial files never share a row, whatever the files are called."""
    lists = {
        (key, result["trials_sha256"]): None for experiment in experiments for key, result in experiment.results.items()
    }
    names = [key for key, _ in lists]
    rows = []
    for key, digest in lists:
        found = [e.results.get(key) for e in experiments]
        found = [r if r and r["trials_sha256"] == digest else None for r in found]
        backend, _, trials = key.partition("/")
        title = f"{trials}, {backend}" + (f" (trials {digest[:8]})" if names.count(key) > 1 else "")
        rows += _metric_rows(title, found)
    rows += _keyed_rows([e.facts for e in experiments])
    configs = [e.config for e in experiments]
    rows += [
        (key, values) for key, values in _keyed_rows(configs) if len(set(values)) > 1 and not _of_one(key, configs)
    ]
    return rows


def _metric_rows(title: str, found: list[dict | None]) -> Iterator[Row]:
    yield f"{title}: EER %", [_interval(r, 100, 2, lambda m: m["eer"]) for r in found]
    priors = next(r for r in found if r)["min_dcf"]
    for prior in priors:
        yield f"{title}: minDCF({prior})", [_interval(r, 1, 3, lambda m, p=prior: m["min_dcf"][p]) for r in found]
    counts = [f"{r['counts']['target']} / {r['counts']['nontarget']}" if r else "-" for r in found]
    yield f"{title}: target / non-target trials", counts


def _interval(result: dict | None, scale: float, digits: int, metric) -> str:
    if result is None:
        return "-"
    text = f"{scale * metric(result):.{digits}f}"
    if result.get("intervals"):
        low, high = (f"{scale * end:.{digits}f}" for end in metric(result["intervals"]))
        text += f" [{low}, {high}]"
    return text


def _keyed_rows(columns: list[dict[str, Any]]) -> Iterator[Row]:
    for key in dict.fromkeys(key for column in columns for key in column):
        yield key, [_shown(column.get(key)) for column in columns]


def _shown(value: Any) -> str:
    return "-" if value is None or value == [] else str(value).lower() if isinstance(value, bool) else str(value)


def _of_one(key: str, configs: list[dict[str, Any]]) -> bool:
    """Whether a key is an argument of a part that some experiments do not have: the part's name says enough."""
    part, args, _ = key.partition(".args.")
    return bool(args) and any(f"{part}.name" not in config for config in configs)


def _facts(folder: Path, config: dict) -> Iterator[tuple[str, str]]:
    roles = dict.fromkeys(role for phase in config.get("phases", []) for role in phase.get("sets", ["train"]))
    model = folder / "model.json"
    if model.is_file():
        yield "parameters", f"{json.loads(model.read_text())['parameters']:,}"
    if utt2spk := _table_of(folder, roles, "utt2spk"):
        yield "training speakers", f"{len(set(utt2spk.values())):,}"
        yield "training utterances", f"{len(utt2spk):,}"
    if utt2dur := _table_of(folder, roles, "utt2dur"):
        yield "training hours", f"{sum(map(float, utt2dur.values())) / 3600:.2f}"
    epochs = [json.loads(line) for path in sorted(folder.glob("phases/*/metrics.jsonl")) for line in read_lines(path)]
    if epochs:
        yield "training time", f"{sum(epoch['seconds'] for epoch in epochs) / 60:.1f} min"


def _table_of(folder: Path, roles: Iterable[str], table: str) -> dict[str, str]:
    """A table of those training sets of an experiment that its phases train on."""
    paths = [folder / "data" / role / table for role in roles]
    return {utt: value for path in paths if path.is_file() for utt, value in read_table(path, columns=2).items()}


def _flatten(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys of nested dicts and of lists of dicts; other lists are values."""
    if isinstance(value, list) and any(isinstance(child, dict) for child in value):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        yield key, value
        return
    for name, child in value.items():
        yield from _flatten(child, f"{key}.{name}" if key else str(name))


def render(names: list[str], rows: list[Row], markdown: bool) -> str:
    """The table as aligned text or as Markdown."""
    table = [["", *names], *([title, *values] for title, values in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in table]
    if not markdown:
        return "\n".join("  ".join(line).rstrip() for line in lines)
    lines.insert(1, ["-" * max(3, width) for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
