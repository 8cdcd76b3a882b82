#!/usr/bin/env bash
# Writes a trained model as ONNX: waveform in, embedding out, any batch size and length; docs/export.md.
#
# Usage: steps/export_onnx.sh [options] <model> <onnx-file>
#  e.g.: steps/export_onnx.sh exp/ecapa/final.pt exp/ecapa/final.onnx
set -euo pipefail

# Begin configuration section.
cmd=cmd_local.sh   # how to run the job, docs/queue.md
threshold=         # least cosine of two utterances of one speaker, noted in the file
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 2 2 "$@"
model=$1
out=$2

[ -f "$model" ] || { echo "$0: no such file: $model" >&2; exit 1; }
mkdir -p "$(dirname "$out")/log"
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd "$(dirname "$out")/log/export_$(basename "$out").log" \
  python -m sv_py.export_onnx ${threshold:+--threshold "$threshold"} "$model" "$out"
echo "$0: wrote $out"
