#!/usr/bin/env bash
# Writes the quality table of a trial list: `utt <measure>...`, then `<id> <number>...`, for each of its ids.
#
# duration is taken from the data dir's utt2dur, magnitude and magnitude_l1 from the embeddings; speech_duration and snr
# are measured on the audio, by jobs and only if they are asked for; all others stand in tables of --quality, such as
# impostor_mean in what steps/normalise_scores.sh writes, or your own.
#
# Usage: steps/compute_quality.sh [options] <data-dir> <embedding-dir> <trials> <quality-table>
#  e.g.: steps/compute_quality.sh --measures duration,snr data/test exp/x/embeddings/test data/test/trials quality/test
set -euo pipefail

# Begin configuration section.
nj=4                # <int> number of parallel jobs that measure audio
cmd=cmd_local.sh    # how to run jobs, docs/queue.md
config=             # the experiment's YAML, whose scoring.calibration has the measures
measures=           # or the measures, as duration,snr
quality=()          # quality table with other measures, may be repeated
enrol_spk2utt=      # utterances of each model on the enrolment side: `model utt1 utt2 ...`
vad_config=         # the detector of speech; if empty, conf/vad.conf of the recipe or else of the project
allow_pipes=false   # <bool> run the commands that stand in wav.scp
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
. "$SV_ROOT/utils/jobs.sh"
expect_arguments 4 4 "$@"
refuse_job "$@"
data=${1%/}
embeddings=${2%/}/xvector.scp
trials=$3
out=$4
if [ -n "$config" ] && [ -n "$measures" ]; then usage_error "--config or --measures, not both"; fi
if [ -n "$config" ]; then measures=$(python -m sv_py.config "$config" --get scoring.calibration.args.measures); fi
[ -n "$measures" ] || usage_error "--config or --measures says which measures"
for file in "$trials" "$data/utt2spk" ${quality[@]+"${quality[@]}"} ${enrol_spk2utt:+"$enrol_spk2utt"}; do
  if [ ! -f "$file" ]; then echo "$0: no such file: $file" >&2; exit 1; fi
done
options=(${enrol_spk2utt:+--enrol-spk2utt "$enrol_spk2utt"})
logdir=$(dirname "$out")/log
name=$(basename "$out")
mkdir -p "$logdir"

if [[ ,$measures, == *,speech_duration,* || ,$measures, == *,snr,* ]]; then
  nj=$(limit_jobs "$nj" "$trials")
  vad_config=${vad_config:-$(conf_file vad.conf)}
  # shellcheck disable=SC2086 # $cmd is a command with its options
  $cmd JOB=1:"$nj" "$logdir/measure_audio_$name.JOB.log" \
    python -m sv_py.measure_audio --vad-config "$vad_config" --allow-pipes "$allow_pipes" --job "JOB/$nj" \
    ${options[@]+"${options[@]}"} "$data" "$trials" "$logdir/audio_$name.JOB"
  { head -n 1 "$logdir/audio_$name.1"; for ((job = 1; job <= nj; job++)); do tail -n +2 "$logdir/audio_$name.$job"; done; } \
    > "$logdir/audio_$name"
  quality+=("$logdir/audio_$name")
fi
for table in ${quality[@]+"${quality[@]}"}; do options+=(--quality "$table"); done
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd "$logdir/compute_quality_$name.log" \
  python -m sv_py.compute_quality --measures "$measures" --utt2dur "$data/utt2dur" --embeddings "$embeddings" \
  ${options[@]+"${options[@]}"} "$trials" "$out"
echo "$0: $measures of $(($(wc -l < "$out") - 1)) ids in $out"
