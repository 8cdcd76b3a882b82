"""Write a report of experiments: one HTML file with tables and figures, that needs neither network nor scripts."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.compare_exps import read_scored, significance
from sv_py.config import read_values
from sv_py.io.atomic import replace_file
from sv_py.io.quality import read_quality
from sv_py.io.scores import Scores
from sv_py.io.text import read_table
from sv_py.report.comparison import Experiment, differences, read_experiment
from sv_py.report.curves import read_epochs
from sv_py.report.page import Study, render
from sv_py.report.svg import COLOURS
from sv_py.report.system import Curve, Decision, System, decide, histogram, worst_trials
from sv_py.scoring.bootstrap import det_band
from sv_py.scoring.calibration import load_calibration
from sv_py.scoring.cllr import pav
from sv_py.scoring.evaluation import find_speakers
from sv_py.scoring.roc import det_points

_BAND_POINTS = 80
_MARKED_PRIOR = "0.01"  # whose minDCF is marked on DET curves


def read_systems(
    folder: Path, experiment: Experiment, p_values: Mapping[str, dict], replicates: int, worst: int
) -> Iterator[System]:
    """The systems in an experiment's results, in their order. Raises InputError where its scores are others."""
    for key, result in experiment.results.items():
        if "calibrated" not in result:
            raise InputError(f"{key} was measured by an older version: run stage 9 again", folder / "results.json")
        backend, _, name = key.partition("/")
        trials = _trials_name(name, backend, experiment.results)
        scores = read_scored(folder, key, result)
        quality = folder / "quality" / backend / trials
        yield System(
            experiment.name,
            key,
            trials,
            backend,
            tuple(name.removeprefix(trials).split("_")[1:]),
            result,
            p_values.get(key),
            _curve(scores, result, folder / "scores/utt2spk", replicates),
            histogram(scores),
            _reliability(scores) if result["calibrated"] else None,
            _decisions(scores, folder / "calibration" / backend / "calibration.json") if result["calibrated"] else [],
            worst_trials(scores, read_quality(quality) if quality.is_file() else None, worst),
        )


def _trials_name(name: str, backend: str, results: dict[str, dict]) -> str:
    """The name of the trial list in that of its scores: the shortest other one of equal trials that it begins with."""
    digest = results[f"{backend}/{name}"]["trials_sha256"]
    parts = name.split("_")
    prefixes = ["_".join(parts[:count]) for count in range(1, len(parts))]
    return next((p for p in prefixes if results.get(f"{backend}/{p}", {}).get("trials_sha256") == digest), name)


def _curve(scores: Scores, result: dict, utt2spk: Path, replicates: int) -> Curve:
    from scipy.special import ndtr, ndtri  # here, since its start-up takes time

    points = det_points(scores.scores, scores.target)
    grid = ndtr(np.linspace(ndtri(0.5 / result["counts"]["nontarget"]), ndtri(0.95), _BAND_POINTS))
    band = None
    if replicates:
        speakers = find_speakers(scores, read_table(utt2spk, columns=2) if utt2spk.is_file() else {})
        band = det_band(scores, speakers, grid, replicates, seed=0)
    threshold = result["min_dcf_threshold"][_MARKED_PRIOR]
    cheapest = None
    if threshold is not None:
        accepted = scores.scores >= threshold
        cheapest = float(accepted[~scores.target].mean()), float((~accepted[scores.target]).mean())
    return Curve(points.far, points.frr, grid, band, cheapest)


def _reliability(scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    blocks = pav(scores.scores, scores.target)
    return np.stack([blocks.lowest, blocks.highest], axis=1).ravel(), np.repeat(blocks.llr, 2)


def _decisions(scores: Scores, calibration: Path) -> list[Decision]:
    return decide(scores, load_calibration(calibration).facts.get("thresholds", {})) if calibration.is_file() else []


def find_p_values(folders: list[Path], experiments: list[Experiment], replicates: int) -> dict[tuple[int, str], dict]:
    """p-values of the metrics by (number of the experiment, key): of the difference from the first experiment.

    In a single experiment, it is the difference from the first result of the same trials.
    """
    baselines: list[str | None] = [None]
    if len(experiments) == 1:
        results = experiments[0].results
        of_trials = {result["trials_sha256"]: key for key, result in reversed(results.items())}
        baselines = list(of_trials.values())
    found = {}
    for baseline in baselines:
        found |= significance(folders, experiments, baseline, replicates)
    return found


def read_launches(folder: Path) -> list[dict]:
    """The records of an experiment's launches, in their order in time."""
    found = []
    for path in sorted((folder / "launches").glob("*.json")):
        try:
            found.append(json.loads(path.read_text()))
        except json.JSONDecodeError as error:
            raise InputError(f"not JSON: {error}", path, error.lineno) from None
    return found


def main() -> None:
    """Parse the command line and write the report."""
    parser = Parser(prog="make_report.sh", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the report")
    parser.add_argument("--bootstrap", type=int, default=1000, help="replicates of bands and p-values; 0: none")
    parser.add_argument("--worst", type=int, default=5, help="trials of either kind in the tables of the worst ones")
    parser.add_argument("exp", type=Path, nargs="+", help=f"experiments' folders, at most {COLOURS}; e.g. exp/ecapa")
    args = parser.parse_args()
    if min(args.bootstrap, args.worst) < 0:
        parser.error("--bootstrap and --worst are at least 0")
    if len(args.exp) > COLOURS:
        parser.error(f"{len(args.exp)} experiments, and colours for {COLOURS}")
    log.setup()
    configs = [read_values(folder / "config.yaml") for folder in args.exp]
    experiments = [read_experiment(folder, config) for folder, config in zip(args.exp, configs, strict=True)]
    names = [experiment.name for experiment in experiments]
    if len(set(names)) < len(names):
        raise InputError(f"two experiments have one name: {', '.join(names)}")

    p_values = find_p_values(args.exp, experiments, args.bootstrap) if args.bootstrap else {}
    lists: dict[tuple[str, str], list[System]] = {}
    for number, (folder, experiment) in enumerate(zip(args.exp, experiments, strict=True)):
        own = {key: found for (column, key), found in p_values.items() if column == number}
        for system in read_systems(folder, experiment, own, args.bootstrap, args.worst):
            lists.setdefault((system.trials, system.result["trials_sha256"]), []).append(system)
    listed = [trials for trials, _ in lists]
    study = Study(
        lists={
            trials if listed.count(trials) == 1 else f"{trials} ({digest[:8]})": systems
            for (trials, digest), systems in lists.items()
        },
        facts=differences(experiments),
        epochs={
            name: read_epochs(folder, [phase["name"] for phase in config.get("phases", [])])
            for name, folder, config in zip(names, args.exp, configs, strict=True)
        },
        launches={name: read_launches(folder) for name, folder in zip(names, args.exp, strict=True)},
        configs={name: (folder / "config.yaml").read_text() for name, folder in zip(names, args.exp, strict=True)},
    )
    with replace_file(args.out) as file:
        file.write(render(study))


if __name__ == "__main__":
    command(main)
