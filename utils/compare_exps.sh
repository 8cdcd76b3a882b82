#!/usr/bin/env bash
# Compares experiments: one table of their error rates, data, size, time, and the keys in which they differ.
#
# Usage: utils/compare_exps.sh [--markdown] [--baseline KEY] [--bootstrap N] <exp-dir>...
#  e.g.: utils/compare_exps.sh --markdown exp/ecapa exp/resnet34
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.compare_exps "$@"
