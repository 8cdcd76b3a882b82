#!/usr/bin/env bash
# Turns scores into natural-log likelihood ratios by a calibration of steps/fit_calibration.sh.
#
# Usage: steps/calibrate_scores.sh [options] <calibration-json> <score-file>... <out-scores>
#  e.g.: steps/calibrate_scores.sh --quality quality/test calibration.json scores/test scores/test_qmf
set -euo pipefail

# Begin configuration section.
quality=   # quality table of the trials' ids, if the calibration uses measures
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 3 inf "$@"
out=${!#}

python -m sv_py.calibrate_scores ${quality:+--quality "$quality"} "$@"
echo "$0: $(wc -l < "$out") scores in $out"
