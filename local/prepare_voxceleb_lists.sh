#!/usr/bin/env bash
# Puts VoxCeleb1's trial lists into the data dirs that local/prepare_voxceleb1.sh has made: trials_O and trials_O_cleaned
# into voxceleb1_test, and these, trials_E, trials_H, trials_E_cleaned and trials_H_cleaned into voxceleb1.
#
# Usage: local/prepare_voxceleb_lists.sh [options] <data-root>
#  e.g.: local/prepare_voxceleb_lists.sh --corpus-dir /corpora/voxceleb_lists data
#
# To get them (100 MB):
#   local/fetch_voxceleb_lists.sh /corpora/voxceleb_lists
set -euo pipefail

# Begin configuration section.
corpus_dir=              # folder of the lists; if empty, $VOXCELEB_LISTS_DIR of the environment or of conf/corpora.sh
allow_incomplete=false   # <bool> pass over lists of which utterances are not there
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"
corpus_dir=${corpus_dir:-$VOXCELEB_LISTS_DIR}
[ -n "$corpus_dir" ] || usage_error "where are the lists? --corpus-dir or VOXCELEB_LISTS_DIR names their folder"

exec python -m sv_py.voxceleb_lists install --allow-incomplete "$allow_incomplete" "$corpus_dir" "$1"
