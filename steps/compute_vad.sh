#!/usr/bin/env bash
# Decides which frames of a data dir are speech: vad.scp, vectors of 0 and 1 as long as the features.
#
# Utterances without any speech are named, and stay; steps/filter_data_dir.sh --min-voiced-frames drops them.
#
# Usage: steps/compute_vad.sh [options] <data-dir> [<log-dir> [<vad-dir>]]
#  e.g.: steps/compute_vad.sh --nj 8 data/train exp/make_vad/train vad
set -euo pipefail

# Begin configuration section.
nj=4                # <int> number of parallel jobs
cmd=cmd_local.sh    # how to run them, docs/queue.md
vad_config=         # the detector's options; if empty, conf/vad.conf of the recipe or else of the project
allow_pipes=false   # <bool> run the commands that stand in wav.scp
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
. "$SV_ROOT/utils/jobs.sh"
expect_arguments 1 3 "$@"
data_step "$@"
vad_config=${vad_config:-$(conf_file vad.conf)}

for f in wav.scp utt2spk utt2num_frames; do
  [ -f "$data/$f" ] || { echo "$0: no $data/$f: run steps/make_fbank.sh first" >&2; exit 1; }
done
nj=$(limit_jobs "$nj" "$data/utt2spk")
"$SV_ROOT/utils/split_data.sh" --per-utt "$data" "$nj"
mkdir -p "$logdir" "$outdir"
rm -f "$data/vad.scp" # arks that it names may be replaced: if that is interrupted, nobody shall mix old and new
shard=$(cd "$outdir" && pwd)/vad_$name
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd JOB=1:"$nj" "$logdir/compute_vad_$name.JOB.log" \
  python -m sv_py.compute_vad --config "$vad_config" --allow-pipes "$allow_pipes" \
  "$data/split${nj}utt/JOB" "$shard.JOB.ark" "$shard.JOB.scp"
merge_tables "$nj" "$shard.JOB.shard" "$shard.index"
merge_tables "$nj" "$shard.JOB.scp" "$data/vad.scp"
for ((job = 1; job <= nj; job++)); do
  grep -h 'no speech at all' "$logdir/compute_vad_$name.$job.log" >&2 || true
done
echo "$0: voice activity of $(wc -l < "$data/vad.scp") utterances for $data"
