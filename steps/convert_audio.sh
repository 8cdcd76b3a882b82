#!/usr/bin/env bash
# Converts a tree of compressed audio (VoxCeleb2's m4a) with ffmpeg to 16-bit mono WAV, in a tree of the same folders.
# A killed run is taken up where it stopped: files that are there and whole are left alone. All others are tried; those
# that cannot be converted are listed in <log-dir>/failures, and the exit status is 1.
#
# Usage: steps/convert_audio.sh [options] <src-dir> <dest-dir> [<log-dir>]
#  e.g.: steps/convert_audio.sh --nj 16 /corpora/voxceleb2/dev/aac /corpora/voxceleb2/dev/wav
set -euo pipefail

# Begin configuration section.
nj=4                     # <int> number of parallel jobs
cmd=cmd_local.sh         # how to run them, docs/queue.md
extension=m4a            # which files to convert
sample_frequency=16000   # <int> of the WAVs, Hz
skip_bad=false           # <bool> exit status 0 even if files cannot be converted
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
. "$SV_ROOT/utils/jobs.sh"
expect_arguments 2 3 "$@"
refuse_job "$@"
src=${1%/} dest=${2%/}
logdir=${3:-$dest/.log}
[ -d "$src" ] || usage_error "no such folder: $src"
[[ $extension =~ ^[A-Za-z0-9]+$ ]] || usage_error "--extension is letters and digits without a dot, not '$extension'"
if [ "${extension,,}" = wav ] && [[ $(realpath -m "$dest")/ == "$(realpath "$src")"/* ]]; then
  usage_error "would take the WAVs of $dest for those of $src, or replace them: name another folder"
fi

mkdir -p "$dest" "$logdir"
find -L "$dest" -name '.*.wav.*.tmp' -type f -delete # what killed jobs left
find -L "$src" -name "*.$extension" ! -name '.*' -type f -printf '%P\n' | LC_ALL=C sort > "$logdir/files"
[ -s "$logdir/files" ] || { echo "$0: no *.$extension in $src (--extension names another kind)" >&2; exit 1; }
nj=$(limit_jobs "$nj" "$logdir/files")
rm -f "$logdir"/failures*
status=0
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd JOB=1:"$nj" "$logdir/convert_audio.JOB.log" \
  python -m sv_py.convert_audio --sample-frequency "$sample_frequency" --job JOB --nj "$nj" \
  "$logdir/files" "$src" "$dest" "$logdir/failures.JOB" || status=1
for ((job = 1; job <= nj; job++)); do # a job that broke off has not written its list
  [ -e "$logdir/failures.$job" ] || { echo "$0: job $job did not end; run this again" >&2; exit 1; }
done
cat "$logdir"/failures.* | LC_ALL=C sort > "$logdir/failures"
bad=$(wc -l < "$logdir/failures")
echo "$0: $(($(wc -l < "$logdir/files") - bad)) of $(wc -l < "$logdir/files") files of $src are in $dest"
if [ "$bad" -gt 0 ]; then echo "$0: $bad cannot be converted: $logdir/failures" >&2; fi
if [ "$skip_bad" = false ]; then exit "$status"; fi
