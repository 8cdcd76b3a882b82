#!/usr/bin/env bash
# Chooses the cohort of score normalisation: the mean embeddings of speakers, or utterances; a share of each speaker's
# utterances may be kept out of it, for calibration. Makes cohort.scp, cohort_utt2spk, utts and calibration_utt2spk.
#
# Usage: steps/make_cohort.sh [options] <data-dir> <embedding-dir> <cohort-dir>
#  e.g.: steps/make_cohort.sh --share 0.3 data/train exp/ecapa/embeddings/train exp/ecapa/cohort
set -euo pipefail

# Begin configuration section.
cmd=cmd_local.sh   # how to run the job, docs/queue.md
config=            # the experiment's YAML, whose scoring.norm and scoring.calibration say the following
cohort=            # speakers or utterances; if empty, speakers
share=             # <float> share of each speaker's utterances to keep for calibration, rounded up, but never the last one; if empty, 0
seed=              # <int> which of them; if empty, 0
utt_list=          # take the utterances of this list only
utt2domain=        # domain of each utterance, where each domain has a mean of its own
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 3 3 "$@"
utt2spk=$1/utt2spk
embeddings=$2/xvector.scp
out=${3%/}

for file in "$utt2spk" "$embeddings" ${config:+"$config"} ${utt_list:+"$utt_list"} ${utt2domain:+"$utt2domain"}; do
  if [ ! -f "$file" ]; then echo "$0: no such file: $file" >&2; exit 1; fi
done
options=(
  ${config:+--config "$config"} ${cohort:+--cohort "$cohort"} ${share:+--share "$share"} ${seed:+--seed "$seed"}
  ${utt_list:+--utt-list "$utt_list"} ${utt2domain:+--utt2domain "$utt2domain"}
)
mkdir -p "$out/log"
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd "$out/log/make_cohort.log" python -m sv_py.make_cohort ${options[@]+"${options[@]}"} "$utt2spk" "$embeddings" "$out"
echo "$0: $(wc -l < "$out/cohort.scp") vectors in $out/cohort.scp"
