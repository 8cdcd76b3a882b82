#!/usr/bin/env bash
# Checks a data dir; prints each complaint as file:line: message and exits with 1 if there are any.
#
# Usage: utils/validate_data_dir.sh [--no-wav] [--no-feats] [--no-text] [--check-audio] [--allow-pipes] <data-dir>
#  e.g.: utils/validate_data_dir.sh data/train
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.data_dir validate "$@"
