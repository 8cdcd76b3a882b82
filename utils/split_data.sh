#!/usr/bin/env bash
# Splits a data dir into <data-dir>/splitN/{1..N} by speaker, or splitNutt/{1..N} by utterance.
#
# Usage: utils/split_data.sh [--per-utt] <data-dir> <N>
#  e.g.: utils/split_data.sh data/train 8
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.data_dir split "$@"
