#!/usr/bin/env bash
# Mends a data dir in place: sorts, keeps the utterances that all files have, makes spk2utt.
#
# Usage: utils/fix_data_dir.sh <data-dir>
#  e.g.: utils/fix_data_dir.sh data/train
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.data_dir fix "$@"
