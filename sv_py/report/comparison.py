"""One table of several experiments: a column each, a row per trial list and metric, and what differs between them."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sv_py.cli import InputError
from sv_py.io.text import read_table
from sv_py.report.curves import read_epochs
from sv_py.report.text import EER, aligned, cell, percent, value

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


def compare(experiments: list[Experiment], p_values: Mapping[tuple[int, str], dict] | None = None) -> list[Row]:
    """The rows of the table. Scores of different trial files never share a row, whatever the files are called.

    ``p_values``: (column, key of results) -> p-value of each metric, in nested dicts as the metrics themselves.
    """
    lists = {
        (key, result["trials_sha256"]): None for experiment in experiments for key, result in experiment.results.items()
    }
    names = [key for key, _ in lists]
    rows = []
    for key, digest in lists:
        found = [e.results.get(key) for e in experiments]
        found = [r if r and r["trials_sha256"] == digest else None for r in found]
        tests = [(p_values or {}).get((column, key)) for column in range(len(experiments))]
        backend, _, trials = key.partition("/")
        title = f"{trials}, {backend}" + (f" (trials {digest[:8]})" if names.count(key) > 1 else "")
        rows += _metric_rows(title, found, tests)
    return rows + differences(experiments)


def differences(experiments: list[Experiment]) -> list[Row]:
    """What the experiments have in numbers, and the configuration keys in which they differ."""
    configs = [e.config for e in experiments]
    return [*_keyed_rows([e.facts for e in experiments])] + [
        (key, values) for key, values in _keyed_rows(configs) if len(set(values)) > 1 and not _of_one(key, configs)
    ]


def _metric_rows(title: str, found: list[dict | None], tests: list[dict | None]) -> Iterator[Row]:
    priors = next(r for r in found if r)["min_dcf"]
    metrics = {"EER %": EER} | {f"minDCF({prior})": ("min_dcf", prior) for prior in priors}
    if any(r and r.get("calibrated") for r in found):
        metrics |= {f"actDCF({prior})": ("act_dcf", prior) for prior in priors}
        metrics |= {"Cllr": ("cllr",), "minCllr": ("min_cllr",)}
    for name, path in metrics.items():
        cells = [percent(r, path) if path == EER else cell(r, path) for r in found]
        chances = [value(test, path) for test in tests]
        yield f"{title}: {name}", [c if p is None else f"{c}, p {p:.3f}" for c, p in zip(cells, chances, strict=True)]
    counts = [f"{r['counts']['target']} / {r['counts']['nontarget']}" if r else "-" for r in found]
    yield f"{title}: target / non-target trials", counts


def _keyed_rows(columns: list[dict[str, Any]]) -> Iterator[Row]:
    for key in dict.fromkeys(key for column in columns for key in column):
        yield key, [_shown(column.get(key)) for column in columns]


def _shown(value: Any) -> str:
    return "-" if value is None or value == [] else str(value).lower() if isinstance(value, bool) else str(value)


def _of_one(key: str, configs: list[dict[str, Any]]) -> bool:
    """Whether a key is of a part or a phase that some experiments do not have: its name, and epochs, say enough."""
    part, args, _ = key.partition(".args.")
    if args and any(f"{part}.name" not in config for config in configs):
        return True
    phase = re.match(r"phases\.\d+", key)
    told = phase is None or key.removeprefix(phase[0]) in (".name", ".sets", ".epochs")
    return not told and any(f"{phase[0]}.name" not in config for config in configs)


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
    epochs = read_epochs(folder, [path.name for path in folder.glob("phases/*")])
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
    return aligned([["", *names], *([title, *values] for title, values in rows)], markdown)
