#!/usr/bin/env bash
# Checks shards against their index: missing, truncated or altered ones are named, with exit status 1.
#
# Usage: utils/validate_shards.sh [--checksums true|false] <index> | <shard-dir> | <data-dir>
#  e.g.: utils/validate_shards.sh data/train
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.shards validate "$@"
