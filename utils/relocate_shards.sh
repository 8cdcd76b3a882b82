#!/usr/bin/env bash
# Rewrites the places of a data dir after its arks were copied or moved, once all of them are there.
#
# Usage: utils/relocate_shards.sh <data-dir> <old-prefix> <new-prefix>
#  e.g.: utils/relocate_shards.sh data/train /scratch/shards /nfs/shards
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.shards relocate "$@"
