#!/usr/bin/env bash
# Keeps the lines of a table whose id is in a list.
#
# Usage: utils/filter_scp.sh [--exclude] [-f N] <id-list> [<in> [<out>]]
#  e.g.: utils/filter_scp.sh data/dev/utt2spk < data/train/feats.scp
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.data_dir filter "$@"
