#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs musan_music, musan_speech and musan_noise of MUSAN.
#
# Usage: local/prepare_musan.sh [options] <data-root>
#  e.g.: local/prepare_musan.sh --corpus-dir /corpora/musan data
#
# To get it (11 GB; CC BY 4.0 and public domain):
#   wget https://www.openslr.org/resources/17/musan.tar.gz
#   tar -xzf musan.tar.gz -C /corpora                                 # makes /corpora/musan
set -euo pipefail

# Begin configuration section.
corpus_dir=   # the corpus's folder; if empty, $MUSAN_DIR of the environment or of conf/corpora.sh
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare musan --corpus-dir "${corpus_dir:-$MUSAN_DIR}" --data-root "$1"
