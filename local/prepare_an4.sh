#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs an4_all, an4_train and an4_test of CMU AN4.
#
# Usage: local/prepare_an4.sh [options] <data-root>
#  e.g.: local/prepare_an4.sh --corpus-dir /corpora/an4 data
#
# To get it (64 MB; free):
#   wget http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz
#   tar -xzf an4_sphere.tar.gz -C /corpora                            # makes /corpora/an4
set -euo pipefail

# Begin configuration section.
corpus_dir=   # the corpus's folder; if empty, $AN4_DIR of the environment or of conf/corpora.sh
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare an4 --corpus-dir "${corpus_dir:-$AN4_DIR}" --data-root "$1"
