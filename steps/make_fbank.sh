#!/usr/bin/env bash
# Makes the features of a data dir, Kaldi's log mel filter banks or another front end's (docs/features.md): feats.scp,
# utt2num_frames, utt2dur, feats.id.
# A killed or failed run is taken up where it stopped: only arks that are missing or out of date are made.
#
# Usage: steps/make_fbank.sh [options] <data-dir> [<log-dir> [<fbank-dir>]]
#  e.g.: steps/make_fbank.sh --nj 8 data/train exp/make_fbank/train fbank
set -euo pipefail

# Begin configuration section.
nj=4                # <int> number of parallel jobs
cmd=cmd_local.sh    # how to run them, docs/queue.md
fbank_config=       # the front end's options; if empty, conf/fbank.conf of the recipe or else of the project
compress=false      # <bool> Kaldi's compressed arks: a quarter of the size, values rounded
allow_pipes=false   # <bool> run the commands that stand in wav.scp
skip_bad=false      # <bool> leave out utterances that cannot be read, instead of failing
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
. "$SV_ROOT/utils/jobs.sh"
expect_arguments 1 3 "$@"
data_step "$@"
fbank_config=${fbank_config:-$(conf_file fbank.conf)}

validate=("$SV_ROOT/utils/validate_data_dir.sh" --no-feats)
if [ "$allow_pipes" = true ]; then validate+=(--allow-pipes); fi
"${validate[@]}" "$data"
id=$(python -m sv_py.compute_fbank --config "$fbank_config" --print-id)
nj=$(limit_jobs "$nj" "$data/utt2spk")
"$SV_ROOT/utils/split_data.sh" --per-utt "$data" "$nj"
mkdir -p "$logdir" "$outdir"
rm -f "$data/feats.scp" # arks that it names may be replaced: if that is interrupted, nobody shall mix old and new
shard=$(cd "$outdir" && pwd)/raw_fbank_$name
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd JOB=1:"$nj" "$logdir/make_fbank_$name.JOB.log" \
  python -m sv_py.compute_fbank --config "$fbank_config" --compress "$compress" --allow-pipes "$allow_pipes" \
  --skip-bad "$skip_bad" "$data/split${nj}utt/JOB" "$shard.JOB.ark" "$shard.JOB.scp"
merge_tables "$nj" "$shard.JOB.shard" "$shard.index"
merge_tables "$nj" "$shard.JOB.utt2dur" "$data/utt2dur"
merge_tables "$nj" "$shard.JOB.utt2num_frames" "$data/utt2num_frames"
install_file <(echo "$id") "$data/feats.id"
merge_tables "$nj" "$shard.JOB.scp" "$data/feats.scp"
if [ "$skip_bad" = true ]; then "$SV_ROOT/utils/fix_data_dir.sh" "$data"; fi
echo "$0: features of $(wc -l < "$data/feats.scp") utterances for $data"
