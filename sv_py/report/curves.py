"""Curves of trainings over their epochs, from the metrics.jsonl of their phases, and a table of the phases."""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from statistics import fmean

from sv_py.cli import InputError
from sv_py.io.atomic import replace_file
from sv_py.io.text import read_lines
from sv_py.report.text import aligned

# Of a figure, the metadata without a date: equal numbers give equal bytes.
FORMATS = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}

# Of each panel: its title, the factor to its unit, the key of the numbers, and another one that is drawn dashed.
PANELS = (
    ("loss (dashed: held-out utterances)", 1, "loss", "valid_loss"),
    ("accuracy in % (dashed: held-out utterances)", 100, "accuracy", "valid_accuracy"),
    ("EER of held-out speakers in %", 100, "dev_eer", None),
    ("minDCF(0.01) of held-out speakers", 1, "dev_min_dcf", None),
    ("learning rate", 1, "rate", None),
    ("margin", 1, "margin", None),
)


def read_epochs(folder: Path, phases: Sequence[str]) -> list[dict]:
    """The numbers of every finished epoch of ``phases``, in order. Raises InputError for a line that is not JSON."""
    epochs = []
    for path in (folder / "phases" / name / "metrics.jsonl" for name in phases):
        for number, line in enumerate(read_lines(path) if path.is_file() else [], 1):
            try:
                epochs.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise InputError(f"not JSON: {error}", path, number) from None
    return epochs


def draw(trainings: Mapping[str, Sequence[dict]], path: Path) -> None:
    """Write the curves of ``trainings``, by name the epochs of each, to ``path``, whose ending is one of FORMATS."""
    import matplotlib  # late: half a second
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "", "axes.grid": True, "grid.alpha": 0.3}):
        figure = Figure(figsize=(12, 7))
        figure.subplots_adjust(left=0.05, right=0.98, bottom=0.07, top=0.9, hspace=0.3)
        for axes, (title, scale, *keys) in zip(figure.subplots(2, 3).flat, PANELS, strict=True):
            axes.set_title(title, fontsize="medium")
            axes.set_xlabel("epoch")
            for number, (name, epochs) in enumerate(trainings.items()):
                for key, style in zip(keys, ("-", "--"), strict=True):
                    points = [(x, scale * y) for x, y in enumerate(values_of(epochs, key), 1) if y is not None]
                    if points:
                        label = name if style == "-" else None
                        axes.plot(*zip(*points, strict=True), style, color=f"C{number}", marker=".", label=label)
                _mark_phases(axes, epochs, f"C{number}" if len(trainings) > 1 else "0.5", number)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="upper center", ncols=4)
        with replace_file(path, "wb") as file:
            figure.savefig(file, format=path.suffix[1:], metadata=FORMATS[path.suffix])


def summary(epochs: Sequence[dict]) -> str:
    """A table with a line for each phase: its epochs, the best one by the EER of held-out speakers, speed and time."""
    rows = [["", "epochs", "best epoch", "its dev EER", "last dev EER", "utt/s", "hours"]]
    for name, group in groupby(epochs, itemgetter("phase")):
        phase = list(group)
        best = min(phase, key=itemgetter("dev_eer"))
        rows.append([
            name, str(len(phase)), str(best["epoch"]), f"{best['dev_eer']:.2%}", f"{phase[-1]['dev_eer']:.2%}",
            f"{fmean(e['utt_per_s'] for e in phase):.1f}",
            f"{sum(e['seconds'] for e in phase) / 3600:.2f}",
        ])  # fmt: skip
    return aligned(rows)


def values_of(epochs: Sequence[dict], key: str | None) -> list[float | None]:
    """One number for each epoch; of a list, as of several margins, the first."""
    values = [epoch.get(key) for epoch in epochs]
    return [value[0] if isinstance(value, list) else value for value in values]


def phase_starts(epochs: Sequence[dict]) -> list[tuple[int, str]]:
    """The number of epochs before each phase, and its name."""
    names = [epoch["phase"] for epoch in epochs]
    return [(i, name) for i, name in enumerate(names) if i == 0 or name != names[i - 1]]


def _mark_phases(axes, epochs: Sequence[dict], colour: str, line: int) -> None:
    """A vertical line where each phase begins, with its name; ``line``: of text, from above."""
    for before, name in phase_starts(epochs):
        axes.axvline(before + 0.5, color=colour, linewidth=0.8, linestyle=":")
        axes.annotate(
            name, (before + 0.5, 1), xycoords=("data", "axes fraction"), xytext=(2, -9 - 9 * line),
            textcoords="offset points", fontsize="x-small", color=colour,
        )  # fmt: skip
