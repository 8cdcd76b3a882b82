#!/usr/bin/env bash
# Computes EER, minDCF and their intervals of score files into one JSON, and prints them as a table.
#
# Usage: steps/compute_metrics.sh [options] <score-file>... <out-json>
#  e.g.: steps/compute_metrics.sh --utt2spk data/test/utt2spk exp/ecapa/scores/cosine/test exp/ecapa/results.json
#
# <out-json> is written anew: {"<name>": {"eer": 0.0339, "eer_threshold": ..., "min_dcf": {"0.01": ..., "0.05": ...,
# "0.001": ...}, "min_dcf_threshold": {...}, "counts": {"target": ..., "nontarget": ...}, "intervals": {"eer":
# [low, high], "min_dcf": {...}}, "bootstrap": {...}, "trials_sha256": ...}, ...}. The EER is a fraction. The same scores
# give the same bytes: no time, host or path is in it.
set -euo pipefail

# Begin configuration section.
name=()         # name of a score file, repeated in their order; default: the file names
utt2spk=()      # speakers of the bootstrap, may be repeated; default: what target trials connect is one speaker
bootstrap=500   # <int> replicates of the bootstrap, 0 for none
seed=0          # <int> seed of the bootstrap
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 2 inf "$@"
out=${!#}
scores=("${@:1:$#-1}")

options=(--bootstrap "$bootstrap" --seed "$seed")
for word in ${name[@]+"${name[@]}"}; do options+=(--name "$word"); done
for file in ${utt2spk[@]+"${utt2spk[@]}"}; do options+=(--utt2spk "$file"); done
python -m sv_py.metrics "${options[@]}" --out "$out" "${scores[@]}"
