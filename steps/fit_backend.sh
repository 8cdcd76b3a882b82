#!/usr/bin/env bash
# Fits a scoring back end that subtracts a mean, or PLDA, to embeddings of known speakers: one .npz file for
# steps/score.sh --fitted.
#
# Usage: steps/fit_backend.sh [options] <utt2spk> <embedding-dir> <npz>
#  e.g.: steps/fit_backend.sh --backend plda data/train/utt2spk exp/ecapa/embeddings/train exp/ecapa/backend/plda.npz
set -euo pipefail

# Begin configuration section.
cmd=cmd_local.sh   # how to run the job, docs/queue.md
config=            # the experiment's YAML, whose scoring.backend is taken with its arguments
backend=           # without --config: scoring back end; if empty, cosine
set=()             # argument of --backend, e.g. --set mean=global; may be repeated
utt2domain=        # domain of each utterance, where each domain has a mean of its own
adapt_dir=         # embedding dir of the domain that the back end is adapted to (argument adapt)
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 3 3 "$@"
utt2spk=$1
embeddings=$2/xvector.scp
out=$3
adapt=${adapt_dir:+$adapt_dir/xvector.scp}

for file in "$utt2spk" "$embeddings" ${config:+"$config"} ${utt2domain:+"$utt2domain"} ${adapt:+"$adapt"}; do
  if [ ! -f "$file" ]; then echo "$0: no such file: $file" >&2; exit 1; fi
done
options=(
  ${config:+--config "$config"} ${backend:+--backend "$backend"} ${utt2domain:+--utt2domain "$utt2domain"}
  ${adapt:+--adapt-embeddings "$adapt"}
)
for pair in ${set[@]+"${set[@]}"}; do options+=(--set "$pair"); done
mkdir -p "$(dirname "$out")/log"
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd "$(dirname "$out")/log/fit_$(basename "$out" .npz).log" \
  python -m sv_py.fit_backend ${options[@]+"${options[@]}"} "$utt2spk" "$embeddings" "$out"
echo "$0: back end in $out"
