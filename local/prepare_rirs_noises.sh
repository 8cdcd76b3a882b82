#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs rirs_{small,medium,large,real,point_noise,iso_noise} of RIRS_NOISES.
# Of recordings with several channels the first is taken; it lies in <data-root>/<set>_wav.
#
# Usage: local/prepare_rirs_noises.sh [options] <data-root>
#  e.g.: local/prepare_rirs_noises.sh --corpus-dir /corpora/RIRS_NOISES data
set -euo pipefail

# Begin configuration section.
corpus_dir=   # the corpus's folder; if empty, $RIRS_NOISES_DIR of the environment or of conf/corpora.sh
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare rirs_noises --corpus-dir "${corpus_dir:-$RIRS_NOISES_DIR}" --data-root "$1"
