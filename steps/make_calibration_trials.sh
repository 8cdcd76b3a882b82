#!/usr/bin/env bash
# Draws the trials on which a calibration is fitted: target and non-target, of two short utterances, of a short and a
# long one, and of two long ones; as many of each label, no utterance against itself, no pair twice.
#
# <utt2spk> has the utterances: those of training speakers that steps/make_cohort.sh kept out of the cohort. <utt2dur>
# has their seconds. Where the limits do not fit the corpus, fewer trials come out, which is said.
#
# Usage: steps/make_calibration_trials.sh [options] <utt2spk> <utt2dur> <trials>
#  e.g.: steps/make_calibration_trials.sh --long 4 exp/x/cohort/calibration_utt2spk data/train/utt2dur calibration/trials
set -euo pipefail

# Begin configuration section.
config=            # the experiment's YAML, whose scoring.calibration has what is not given here
short=             # seconds of a short utterance, least and most, as 2,6
long=              # <float> seconds above which an utterance is long
trials_per_kind=   # <int> trials of each label and pair of durations
seed=              # <int>
spk2gender=        # non-target trials are of one gender; any table by speaker will do
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 3 3 "$@"
utt2spk=$1
utt2dur=$2
trials=$3
for file in "$utt2spk" "$utt2dur" ${config:+"$config"} ${spk2gender:+"$spk2gender"}; do
  if [ ! -f "$file" ]; then echo "$0: no such file: $file" >&2; exit 1; fi
done
options=(${config:+--config "$config"} ${short:+--short "$short"} ${long:+--long "$long"} ${seed:+--seed "$seed"})
options+=(${trials_per_kind:+--trials-per-kind "$trials_per_kind"} ${spk2gender:+--spk2gender "$spk2gender"})
python -m sv_py.make_calibration_trials ${options[@]+"${options[@]}"} "$utt2spk" "$utt2dur" "$trials"
echo "$0: $(wc -l < "$trials") trials in $trials"
