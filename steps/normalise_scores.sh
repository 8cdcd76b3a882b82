#!/usr/bin/env bash
# Normalises scores by what both sides of their trials score against a cohort of impostors: AS-Norm, S-, Z- or T-norm.
#
# Usage: steps/normalise_scores.sh [options] <score-file> <embedding-dir> <cohort-dir> <normalised-score-file>
#  e.g.: steps/normalise_scores.sh --utt2spk data/test/utt2spk exp/ecapa/scores/cosine/test \
#          exp/ecapa/embeddings/test exp/ecapa/cohort exp/ecapa/scores/cosine/test_asnorm
#
# <embedding-dir> and the options of the back end are those that the scores were made with; <cohort-dir> is of
# steps/make_cohort.sh. Of several --top each has a file, whose name ends with the number.
set -euo pipefail

# Begin configuration section.
cmd=cmd_local.sh   # how to run the job, docs/queue.md
num_threads=1      # <int> CPU threads
gpu=0              # <int> 1: find the highest cohort scores on a GPU
memory_mb=512      # <int> MB for cohort scores, beside embeddings and cohort
config=            # the experiment's YAML, whose scoring.norm, scoring.backend and scoring.models are taken
norm=              # without --config: as_norm, s_norm, z_norm or t_norm; if empty, as_norm
top=()             # <int> without --config: how many of the highest cohort scores count, 0: all; may be repeated
utt2spk=           # speakers of the trials, of whom none may be in the cohort
own_speaker=error  # what if they are: error, leave_out (his vectors do not count for him) or allow
impostors_out=     # quality table to write, with the mean and the deviation of the cohort scores of each id
backend=           # back end of the scores, and so the following: as for score.sh
set=()             # argument of --backend, e.g. --set mean=global; may be repeated
fitted=            # back end that fit_backend.sh has fitted
models=            # a model scores as the mean of its utterances' embeddings or scores; if empty, of embeddings
enrol_scp=         # embeddings of the models, as spk_xvector.scp
enrol_spk2utt=     # utterances of each model: `model utt1 utt2 ...`
utt2domain=        # domain of each embedding, where each domain has a mean of its own
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 4 4 "$@"
scores=$1
embeddings=$2/xvector.scp
cohort=$3
out=$4
[ "$gpu" -le 1 ] || usage_error "--gpu is 0 or 1, not $gpu"
[ "$num_threads" -ge 1 ] || usage_error "--num-threads is 1 or more, not $num_threads"

if [ "$gpu" = 1 ]; then device=cuda; else device=cpu; fi
if [ -e "$cohort/cohort_utt2domain" ]; then cohort_utt2domain=$cohort/cohort_utt2domain; else cohort_utt2domain=; fi
options=(
  --memory-mb "$memory_mb" --num-threads "$num_threads" --device "$device" --own-speaker "$own_speaker"
  ${config:+--config "$config"} ${norm:+--norm "$norm"} ${utt2spk:+--utt2spk "$utt2spk"}
  ${impostors_out:+--impostors-out "$impostors_out"} ${cohort_utt2domain:+--cohort-utt2domain "$cohort_utt2domain"}
  ${backend:+--backend "$backend"} ${fitted:+--fitted "$fitted"} ${models:+--models "$models"}
  ${enrol_scp:+--enrol-scp "$enrol_scp"} ${enrol_spk2utt:+--enrol-spk2utt "$enrol_spk2utt"}
  ${utt2domain:+--utt2domain "$utt2domain"}
)
for number in ${top[@]+"${top[@]}"}; do options+=(--top "$number"); done
for pair in ${set[@]+"${set[@]}"}; do options+=(--set "$pair"); done
for file in "$scores" "$embeddings" "$cohort"/cohort{.scp,_utt2spk} ${config:+"$config"} ${utt2spk:+"$utt2spk"} \
    ${fitted:+"$fitted"} ${enrol_scp:+"$enrol_scp"} ${enrol_spk2utt:+"$enrol_spk2utt"} ${utt2domain:+"$utt2domain"}; do
  if [ ! -f "$file" ]; then echo "$0: no such file: $file" >&2; exit 1; fi
done
mkdir -p "$(dirname "$out")/log"
# BLAS has one thread, since the step's own are the parallelism.
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd --num-threads "$num_threads" --gpu "$gpu" "$(dirname "$out")/log/normalise_$(basename "$out").log" \
  env OPENBLAS_NUM_THREADS=1 python -m sv_py.normalise_scores "${options[@]}" --cohort-utt2spk "$cohort/cohort_utt2spk" \
  "$scores" "$embeddings" "$cohort/cohort.scp" "$out"
echo "$0: $(wc -l < "$scores") scores, normalised in $out"
