#!/usr/bin/env bash
# Writes the audio of a data dir to audio shards, arks of 16-bit WAVs: audio.scp, utt2num_samples, utt2dur, audio.id.
# A killed or failed run is taken up where it stopped: only shards that are missing or out of date are made.
#
# Usage: steps/make_shards.sh [options] <data-dir> [<log-dir> [<shard-dir>]]
#  e.g.: steps/make_shards.sh --nj 8 --resample true data/train exp/make_shards/train /scratch/shards
set -euo pipefail

# Begin configuration section.
nj=4                   # <int> number of parallel jobs
cmd=cmd_local.sh       # how to run them, docs/queue.md
sample_frequency=16000 # <int> of the shards, in Hz
resample=false         # <bool> convert audio of other rates, instead of failing
mixdown=false          # <bool> take the mean of several channels, instead of failing
encoding=pcm16         # pcm16: any slice is read by its position; flac: half as large, for archives
apply_vad=false        # <bool> keep only what the detector takes for speech
vad_config=            # the detector's options; if empty, conf/vad.conf of the recipe or else of the project
utts_per_shard=1000    # <int> bound on the size of a shard; many shards are shuffled better, few are opened faster
allow_pipes=false      # <bool> run the commands that stand in wav.scp
skip_bad=false         # <bool> leave out utterances that cannot be read, instead of failing
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
. "$SV_ROOT/utils/jobs.sh"
expect_arguments 1 3 "$@"
data_step "$@"

make=(python -m sv_py.make_shards --sample-frequency "$sample_frequency" --encoding "$encoding"
  --utts-per-shard "$utts_per_shard")
if [ "$apply_vad" = true ]; then make+=(--vad-config "${vad_config:-$(conf_file vad.conf)}"); fi
id=$("${make[@]}" --print-id)
validate=("$SV_ROOT/utils/validate_data_dir.sh" --no-shards)
if [ "$allow_pipes" = true ]; then validate+=(--allow-pipes); fi
"${validate[@]}" "$data"
num_shards=$((($(wc -l < "$data/utt2spk") + utts_per_shard - 1) / utts_per_shard))
nj=$(limit_jobs "$nj" <(seq "$num_shards"))
mkdir -p "$logdir" "$outdir"
rm -f "$data/audio.scp" # shards that it names may be replaced: if that is interrupted, nobody shall mix old and new
shard=$(cd "$outdir" && pwd)/audio_$name
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd JOB=1:"$nj" "$logdir/make_shards_$name.JOB.log" \
  "${make[@]}" --resample "$resample" --mixdown "$mixdown" --allow-pipes "$allow_pipes" --skip-bad "$skip_bad" \
  --job "JOB/$nj" "$data" "$shard"
merge_tables "$num_shards" "$shard.JOB.shard" "$shard.index"
merge_tables "$num_shards" "$shard.JOB.utt2dur" "$data/utt2dur"
merge_tables "$num_shards" "$shard.JOB.utt2num_samples" "$data/utt2num_samples"
install_file <(echo "$id") "$data/audio.id"
merge_tables "$num_shards" "$shard.JOB.scp" "$data/audio.scp"
if [ "$skip_bad" = true ]; then "$SV_ROOT/utils/fix_data_dir.sh" "$data"; fi
echo "$0: $(wc -l < "$data/audio.scp") utterances of $data in $num_shards shards"
