#!/usr/bin/env bash
# Fits a calibration on scored trials with labels; several score files of the same trials are fused into one.
#
# The trials are those of steps/make_calibration_trials.sh, scored as the trials that are to be calibrated. <out-json>
# has the weights, and thresholds for wanted rates of false accepts and for priors, with their intervals.
#
# Usage: steps/fit_calibration.sh [options] <score-file>... <out-json>
#  e.g.: steps/fit_calibration.sh --quality calibration/quality --leave-out 5 calibration/scores calibration.json
set -euo pipefail

# Begin configuration section.
config=          # the experiment's YAML, whose scoring.calibration has what is not given here
quality=         # quality table of the trials' ids; without it, no measures are used
measures=        # of the table, as duration,snr; if empty, those of the experiment, or else all of its columns
prior=           # <float> of a target trial in the cost; if empty, the experiment's, or else 0.5
utt2spk=         # speakers of the trials; if empty, what target trials connect is one speaker
far=             # wanted rates of false accepts; if empty, 0.05,0.01,0.001
bootstrap=1000   # <int> replicates of the intervals, 0 for none
leave_out=0      # <int> folds of speakers that are left out to judge the measures; 0: this is not done
seed=0           # <int> of the bootstrap and of the folds
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 2 inf "$@"
out=${!#}
scores=("${@:1:$#-1}")

options=(--bootstrap "$bootstrap" --leave-out "$leave_out" --seed "$seed")
options+=(${config:+--config "$config"} ${quality:+--quality "$quality"} ${measures:+--measures "$measures"})
options+=(${prior:+--prior "$prior"} ${utt2spk:+--utt2spk "$utt2spk"} ${far:+--far "$far"})
python -m sv_py.fit_calibration "${options[@]}" "${scores[@]}" "$out"
echo "$0: $out"
