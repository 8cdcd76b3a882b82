#!/usr/bin/env bash
# Combines data dirs into one, with the files that all of them have.
#
# Usage: utils/combine_data.sh [--skip-fix] <dest> <src1> [<src2> ...]
#  e.g.: utils/combine_data.sh data/train data/voxceleb1_dev data/voxceleb2_dev
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.data_dir combine "$@"
