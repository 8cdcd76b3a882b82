#!/usr/bin/env bash
# Scores a trial list with the embeddings of a set: lines `enrol test score target|nontarget` in the order of the list.
#
# Usage: steps/score.sh [options] <trials> <embedding-dir> <score-file>
#  e.g.: steps/score.sh data/test/trials exp/ecapa/embeddings/test exp/ecapa/scores/cosine/test
#
# The trials name utterances of <embedding-dir>/xvector.scp. Where their enrolment side names models instead, give
# either the models' embeddings or the utterances to average.
set -euo pipefail

# Begin configuration section.
cmd=cmd_local.sh   # how to run the job, docs/queue.md
backend=cosine     # scoring back end, with its default arguments
config=            # or the experiment's YAML, whose scoring.backend is taken with its arguments
subtract_mean=     # xvector.scp whose mean is subtracted from all embeddings
enrol_scp=         # embeddings of the models, as spk_xvector.scp
enrol_spk2utt=     # utterances of each model: `model utt1 utt2 ...`
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 3 3 "$@"
trials=$1
embeddings=$2/xvector.scp
scores=$3

if [ -n "$config" ]; then options=(--config "$config"); else options=(--backend "$backend"); fi
for name in subtract_mean enrol_scp enrol_spk2utt; do
  if [ -n "${!name}" ]; then options+=("--${name//_/-}" "${!name}"); fi
done
for file in "$trials" "$embeddings" ${config:+"$config"} ${subtract_mean:+"$subtract_mean"} ${enrol_scp:+"$enrol_scp"} \
    ${enrol_spk2utt:+"$enrol_spk2utt"}; do
  if [ ! -f "$file" ]; then echo "$0: no such file: $file" >&2; exit 1; fi
done
mkdir -p "$(dirname "$scores")/log"
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd "$(dirname "$scores")/log/score_$(basename "$scores").log" \
  python -m sv_py.score "${options[@]}" "$trials" "$embeddings" "$scores"
echo "$0: $(wc -l < "$scores") scores in $scores"
