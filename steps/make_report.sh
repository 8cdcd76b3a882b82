#!/usr/bin/env bash
# Writes a report of experiments: one HTML file with tables and figures, that needs neither network nor scripts.
#
# Several experiments stand side by side. The report has error rates with intervals, DET curves, scores and thresholds,
# calibration, groups of trials, worst trials, trainings, configurations and what was launched (docs/scoring.md). It is
# made of what stage 9 leaves in exp/<tag>: results.json, scores, quality, calibration, phases and launches.
#
# Usage: steps/make_report.sh [options] <exp-dir>...
#  e.g.: steps/make_report.sh exp/ecapa
#        steps/make_report.sh --out exp/layouts.html exp/ecapa exp/resnet34
set -euo pipefail

# Begin configuration section.
out=             # the report; if empty, report.html in the experiment's folder or, of several, in that of the first one's
bootstrap=1000   # <int> replicates of the bands of DET curves and of p-values, 0 for neither
worst=5          # <int> trials of either kind in the tables of the worst ones
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 inf "$@"
if [ $# -eq 1 ]; then folder=$1; else folder=$(dirname "$1"); fi
out=${out:-$folder/report.html}

python -m sv_py.make_report --bootstrap "$bootstrap" --worst "$worst" --out "$out" "$@"
echo "$0: $out"
