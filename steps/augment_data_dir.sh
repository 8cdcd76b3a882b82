#!/usr/bin/env bash
# Makes an augmented copy of a data dir, as audio shards: speed, noise, reverberation... of docs/augmentation.md.
# Utterances get a suffix and keep their speakers; with --speed they and their speakers get a prefix and are new ones.
# A killed or failed run is taken up where it stopped: only shards that are missing or out of date are made.
#
# Usage: steps/augment_data_dir.sh [options] <data-dir> <augmented-data-dir> [<log-dir> [<shard-dir>]]
#  e.g.: steps/augment_data_dir.sh --augment wespeaker --suffix aug --augment-set noise=data/musan_noise \
#          --augment-set music=data/musan_music --augment-set speech=data/musan_speech --augment-set rir=data/rirs \
#          data/train data/train_aug
#        steps/augment_data_dir.sh --speed 0.9 data/train data/train_sp0.9
set -euo pipefail

# Begin configuration section.
nj=4                   # <int> number of parallel jobs
cmd=cmd_local.sh       # how to run them, docs/queue.md
augment=               # preset (conf/augment/NAME.yaml of the recipe or else of the project), or a YAML of one's own
suffix=                # of the new utterances' ids, with --augment: noise makes ann-1 ann-1-noise
speed=                 # play audio so many times as fast: 0.9 makes ann-1 of ann sp0.9-ann-1 of sp0.9-ann
augment_set=()         # ROLE=DIR: data dir with audio shards for noise, music, speech or rir; repeatable
seed=0                 # <int> of what is drawn
sample_frequency=16000 # <int> of the audio, in Hz
resample=false         # <bool> convert audio of other rates, instead of failing
mixdown=false          # <bool> take the mean of several channels, instead of failing
encoding=pcm16         # pcm16: any slice is read by its position; flac: half as large, for archives
utts_per_shard=1000    # <int> bound on the size of a shard
allow_pipes=false      # <bool> run the commands that stand in wav.scp
skip_bad=false         # <bool> leave out utterances that cannot be read, instead of failing
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
. "$SV_ROOT/utils/jobs.sh"
expect_arguments 2 4 "$@"
source=${1%/}
shift
data_step "$@"
if [ "$(realpath -m "$source")" = "$(realpath -m "$data")" ]; then usage_error "$data is source and destination"; fi
[ "$utts_per_shard" -ge 1 ] || usage_error "--utts-per-shard must be at least 1, not $utts_per_shard"
if [ -n "$augment" ] && [ ! -f "$augment" ]; then augment=$(conf_file "augment/$augment.yaml"); fi

validate=("$SV_ROOT/utils/validate_data_dir.sh" --no-feats --no-shards)
if [ "$allow_pipes" = true ]; then validate+=(--allow-pipes); fi
"${validate[@]}" "$source"
options=(--seed "$seed" --sample-frequency "$sample_frequency" --encoding "$encoding")
if [ -n "$augment" ]; then options+=(--augment "$augment"); fi
if [ -n "$suffix" ]; then options+=(--suffix "${suffix#-}"); fi
if [ -n "$speed" ]; then options+=(--speed "$speed"); fi
for binding in ${augment_set[@]+"${augment_set[@]}"}; do options+=(--augment-set "$binding"); done
staging=$outdir/source_$name
# From here on the copy has no audio until all of it is made: shards that its tables named may be replaced.
python -m sv_py.augment prepare "${options[@]}" "$source" "$data" "$staging"
num_shards=$((($(wc -l < "$staging/utt2spk") + utts_per_shard - 1) / utts_per_shard))
nj=$(limit_jobs "$nj" <(seq "$num_shards"))
mkdir -p "$logdir"
shard=$(cd "$outdir" && pwd)/audio_$name
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd JOB=1:"$nj" "$logdir/augment_$name.JOB.log" \
  python -m sv_py.augment job "${options[@]}" --utts-per-shard "$utts_per_shard" \
  --resample "$resample" --mixdown "$mixdown" --allow-pipes "$allow_pipes" --skip-bad "$skip_bad" \
  --job "JOB/$nj" "$source" "$staging" "$shard"
merge_tables "$num_shards" "$shard.JOB.shard" "$shard.index"
merge_tables "$num_shards" "$shard.JOB.utt2num_samples" "$data/utt2num_samples"
install_file <(awk -v rate="$sample_frequency" '{ printf "%s %.3f\n", $1, $2 / rate }' "$data/utt2num_samples") \
  "$data/utt2dur"
install_file <(printf '%s\n' "--sample-frequency=$sample_frequency" "--encoding=$encoding") "$data/audio.id"
merge_tables "$num_shards" "$shard.JOB.scp" "$data/audio.scp"
install_file "$data/audio.scp" "$data/wav.scp"
if [ "$skip_bad" = true ]; then "$SV_ROOT/utils/fix_data_dir.sh" "$data"; fi
rm -r "$staging"
echo "$0: $(wc -l < "$data/audio.scp") utterances of $data in $num_shards shards, from $source"
