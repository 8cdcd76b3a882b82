#!/usr/bin/env bash
# Computes error rates and their intervals of score files into one JSON, and prints them as tables.
#
# Usage: steps/compute_metrics.sh [options] <score-file>... <out-json>
#  e.g.: steps/compute_metrics.sh --utt2spk data/test/utt2spk --attribute gender=data/test/spk2gender \
#          exp/ecapa/scores/cosine/test exp/ecapa/results.json
#
# <out-json> is written anew: {"<name>": {"eer": 0.0339, "min_dcf": {"0.01": ..., "0.05": ..., "0.001": ...}, "min_cllr":
# ..., "frr_at_far": {...}, "intervals": {"eer": [low, high], ...}, "by": {"gender": {"f": {...}, ...}}, ...}, ...}; all of
# it is in docs/scoring.md. Rates are fractions. The same scores give the same bytes: no time, host or path is in it.
set -euo pipefail

# Begin configuration section.
name=()            # name of a score file, repeated in their order; default: the file names
calibrated=()      # name of a file of natural-log likelihood ratios, may be repeated: these have actDCF and Cllr too
utt2spk=()         # speakers of the bootstrap, may be repeated; default: what target trials connect is one speaker
attribute=()       # NAME=FILE, may be repeated: break down by what FILE says of utterances or their speakers
utt2dur=()         # break down by duration in s, may be repeated
duration_bins=2,6  # edges of the bins of durations
bootstrap=1000     # <int> replicates of the bootstrap, 0 for none
seed=0             # <int> seed of the bootstrap
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 2 inf "$@"
out=${!#}
scores=("${@:1:$#-1}")

options=(--duration-bins "$duration_bins" --bootstrap "$bootstrap" --seed "$seed")
for word in ${name[@]+"${name[@]}"}; do options+=(--name "$word"); done
for word in ${calibrated[@]+"${calibrated[@]}"}; do options+=(--calibrated "$word"); done
for file in ${utt2spk[@]+"${utt2spk[@]}"}; do options+=(--utt2spk "$file"); done
for word in ${attribute[@]+"${attribute[@]}"}; do options+=(--attribute "$word"); done
for file in ${utt2dur[@]+"${utt2dur[@]}"}; do options+=(--utt2dur "$file"); done
python -m sv_py.metrics "${options[@]}" --out "$out" "${scores[@]}"
