#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs so762_train and so762_test of speechocean762.
#
# Usage: local/prepare_speechocean762.sh [options] <data-root>
#  e.g.: local/prepare_speechocean762.sh --corpus-dir /corpora/speechocean762 data
#
# To get it (520 MB; free for any use):
#   wget https://www.openslr.org/resources/101/speechocean762.tar.gz
#   tar -xzf speechocean762.tar.gz -C /corpora                        # makes /corpora/speechocean762
set -euo pipefail

# Begin configuration section.
corpus_dir=   # the corpus's folder; if empty, $SPEECHOCEAN762_DIR of the environment or of conf/corpora.sh
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare speechocean762 --corpus-dir "${corpus_dir:-$SPEECHOCEAN762_DIR}" --data-root "$1"
