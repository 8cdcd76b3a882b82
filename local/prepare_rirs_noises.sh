#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs rirs_{small,medium,large,real,point_noise,iso_noise} of RIRS_NOISES, and of
# its simulated responses rirs_small_medium and rirs_simulated, which is all of them.
# Of recordings with several channels the first is taken; it lies in <data-root>/<set>_wav.
#
# Usage: local/prepare_rirs_noises.sh [options] <data-root>
#  e.g.: local/prepare_rirs_noises.sh --corpus-dir /corpora/RIRS_NOISES data
#
# To get it (1.3 GB; Apache 2.0):
#   wget https://www.openslr.org/resources/28/rirs_noises.zip
#   unzip -q rirs_noises.zip -d /corpora                              # makes /corpora/RIRS_NOISES
set -euo pipefail

# Begin configuration section.
corpus_dir=   # the corpus's folder; if empty, $RIRS_NOISES_DIR of the environment or of conf/corpora.sh
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare rirs_noises --corpus-dir "${corpus_dir:-$RIRS_NOISES_DIR}" --data-root "$1"
