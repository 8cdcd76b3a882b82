"""Results as tables of text, with 95 % intervals in brackets."""

from collections.abc import Iterator, Sequence
from typing import Any

Path = tuple[str, ...]
Row = list[str]

EER: Path = ("eer",)


def value(result: dict | None, path: Path) -> Any:
    """What stands in nested dicts under the keys of ``path``, or None."""
    for key in path:
        result = result and result.get(key)
    return result


def cell(result: dict | None, path: Path, scale: float = 1, digits: int = 3) -> str:
    """A metric with its interval, such as "3.39 [2.90, 3.91]"; "-" where there is none."""
    number, interval = value(result, path), value(result, ("intervals", *path))
    if number is None:
        return "-"
    ends = ", ".join(f"{scale * end:.{digits}f}" for end in interval or [])
    return f"{scale * number:.{digits}f}" + (f" [{ends}]" if ends else "")


def percent(result: dict | None, path: Path) -> str:
    """As `cell`, of a fraction."""
    return cell(result, path, 100, 2)


def aligned(rows: Sequence[Row], markdown: bool = False) -> str:
    """Rows, the first of which is the head, as aligned text or as Markdown."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[word.ljust(width) for word, width in zip(row, widths, strict=True)] for row in rows]
    if not markdown:
        return "\n".join("  ".join(line).rstrip() for line in lines)
    lines.insert(1, ["-" * max(3, width) for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(results: dict[str, dict]) -> str:
    """Results by name: error rates; what the scores are worth at few false alarms and as likelihood ratios; groups."""
    parts = [_errors(results), _costs(results), *_breakdowns(results)]
    return "\n\n".join(aligned(part) for part in parts)


def _errors(results: dict[str, dict]) -> list[Row]:
    priors = next(iter(results.values()))["min_dcf"]
    rows = [["trials", "EER %", *(f"minDCF({prior})" for prior in priors), "targets", "non-targets"]]
    for name, result in results.items():
        costs = [cell(result, ("min_dcf", prior)) for prior in priors]
        rows.append([name, percent(result, EER), *costs, *map(str, result["counts"].values())])
    return rows


def _costs(results: dict[str, dict]) -> list[Row]:
    first = next(iter(results.values()))
    columns = {f"FRR % at FAR {100 * float(far):g} %": ("frr_at_far", far) for far in first["frr_at_far"]}
    columns["minCllr"] = ("min_cllr",)
    if any(result["calibrated"] for result in results.values()):
        columns |= {"Cllr": ("cllr",)} | {f"actDCF({prior})": ("act_dcf", prior) for prior in first["min_dcf"]}
    rows = [["trials", *columns]]
    for name, result in results.items():
        cells = [percent(result, path) if "frr_at_far" in path else cell(result, path) for path in columns.values()]
        rows.append([name, *cells])
    return rows


def _breakdowns(results: dict[str, dict]) -> Iterator[list[Row]]:
    """A table for each attribute; rates of both errors are those at the EER threshold of the whole list."""
    for attribute in dict.fromkeys(attribute for result in results.values() for attribute in result["by"]):
        rates = [f"{rate} % at list's EER" for rate in ("FRR", "FAR")]
        rows = [["trials", attribute, "EER %", "minDCF(0.01)", *rates, "targets", "non-targets"]]
        for name, result in results.items():
            for group, found in result["by"].get(attribute, {}).items():
                own = [percent(found, EER), cell(found, ("min_dcf", "0.01"))]
                shared = [percent(found, path) for path in (("frr",), ("far",))]
                rows.append([name, group, *own, *shared, *map(str, found["counts"].values())])
        yield rows
