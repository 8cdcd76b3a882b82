#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs esd, esd_train, esd_evaluation and esd_test of ESD.
#
# Usage: local/prepare_esd.sh [options] <data-root>
#  e.g.: local/prepare_esd.sh --corpus-dir /corpora/esd data
#
# To get it (3 GB; for research, by a signed form):
#   https://github.com/HLTSingapore/Emotional-Speech-Data has the form and links the archive; unpack it to /corpora/esd
set -euo pipefail

# Begin configuration section.
corpus_dir=       # the corpus's folder; if empty, $ESD_DIR of the environment or of conf/corpora.sh
skip_bad=false    # <bool> leave out files that cannot be used, and count them
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare esd --corpus-dir "${corpus_dir:-$ESD_DIR}" --skip-bad "$skip_bad" --data-root "$1"
