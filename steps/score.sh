#!/usr/bin/env bash
# Scores a trial list with the embeddings of a set: lines `enrol test score target|nontarget` in the order of the list.
#
# Usage: steps/score.sh [options] <trials> <embedding-dir> <score-file>
#  e.g.: steps/score.sh data/test/trials exp/ecapa/embeddings/test exp/ecapa/scores/cosine/test
#
# The trials name utterances of <embedding-dir>/xvector.scp. Where their enrolment side names models instead, give
# either the models' embeddings or their utterances.
set -euo pipefail

# Begin configuration section.
cmd=cmd_local.sh   # how to run the job, docs/queue.md
config=            # the experiment's YAML, whose scoring.backend and scoring.models are taken
backend=           # without --config and --fitted: scoring back end; if empty, cosine
set=()             # argument of --backend, e.g. --set mean=global; may be repeated
fitted=            # back end that fit_backend.sh has fitted
models=            # a model scores as the mean of its utterances' embeddings or scores; if empty, of embeddings
enrol_scp=         # embeddings of the models, as spk_xvector.scp
enrol_spk2utt=     # utterances of each model: `model utt1 utt2 ...`
utt2domain=        # domain of each embedding, where each domain has a mean of its own
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 3 3 "$@"
trials=$1
embeddings=$2/xvector.scp
scores=$3

for file in "$trials" "$embeddings" ${config:+"$config"} ${fitted:+"$fitted"} ${enrol_scp:+"$enrol_scp"} \
    ${enrol_spk2utt:+"$enrol_spk2utt"} ${utt2domain:+"$utt2domain"}; do
  if [ ! -f "$file" ]; then echo "$0: no such file: $file" >&2; exit 1; fi
done
options=(
  ${config:+--config "$config"} ${backend:+--backend "$backend"} ${fitted:+--fitted "$fitted"} ${models:+--models "$models"}
  ${enrol_scp:+--enrol-scp "$enrol_scp"} ${enrol_spk2utt:+--enrol-spk2utt "$enrol_spk2utt"}
  ${utt2domain:+--utt2domain "$utt2domain"}
)
for pair in ${set[@]+"${set[@]}"}; do options+=(--set "$pair"); done
mkdir -p "$(dirname "$scores")/log"
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd "$(dirname "$scores")/log/score_$(basename "$scores").log" \
  python -m sv_py.score ${options[@]+"${options[@]}"} "$trials" "$embeddings" "$scores"
echo "$0: $(wc -l < "$scores") scores in $scores"
