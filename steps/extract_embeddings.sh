#!/usr/bin/env bash
# Extracts the embedding of every utterance of a data dir, and the mean of each speaker.
# Makes xvector.JOB.ark, xvector.scp, spk_xvector.scp and num_utts; only arks that are missing or out of date are made.
#
# Usage: steps/extract_embeddings.sh [options] <model> <data-dir> <embedding-dir>
#  e.g.: steps/extract_embeddings.sh --nj 8 exp/ecapa/final.pt data/test exp/ecapa/embeddings/test
set -euo pipefail

# Begin configuration section.
nj=4               # <int> number of parallel jobs
cmd=cmd_local.sh   # how to run them, docs/queue.md
gpu=0              # <int> GPUs of a job; 0: CPU
apply_vad=         # <bool> extract from the speech only; if empty, as in the model's training
vad_config=        # detector for audio shards that hold more than speech; if empty, conf/vad.conf of the recipe or else of the project
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
. "$SV_ROOT/utils/jobs.sh"
expect_arguments 3 3 "$@"
refuse_job "$@"
model=$1
data=${2%/}
out=${3%/}
vad_config=${vad_config:-$(conf_file vad.conf)}

for f in "$model" "$data/utt2spk" "$vad_config"; do
  [ -f "$f" ] || { echo "$0: no such file: $f" >&2; exit 1; }
done
nj=$(limit_jobs "$nj" "$data/utt2spk")
mkdir -p "$out/log"
rm -f "$out/xvector.scp" # arks that it names may be replaced: if that is interrupted, nobody shall mix old and new
device=cpu
if [ "$gpu" -gt 0 ]; then device=cuda; fi
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd --gpu "$gpu" JOB=1:"$nj" "$out/log/extract.JOB.log" \
  python -m sv_py.extract --device "$device" ${apply_vad:+--apply-vad "$apply_vad"} --vad-config "$vad_config" \
  --job "JOB/$nj" "$model" "$data" "$out/xvector.JOB.ark" "$out/xvector.JOB.scp"
merge_tables "$nj" "$out/xvector.JOB.scp" "$out/xvector.scp"
python -m sv_py.speaker_means "$data/utt2spk" "$out/xvector.scp" "$out"
echo "$0: $(wc -l < "$out/xvector.scp") embeddings in $out"
