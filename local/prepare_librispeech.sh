#!/usr/bin/env bash
# Makes Lhotse manifests and the data dir librispeech of LibriSpeech.
#
# Usage: local/prepare_librispeech.sh [options] <data-root>
#  e.g.: local/prepare_librispeech.sh --corpus-dir /corpora/librispeech data
#
# To get it (train-clean-100: 6 GB; CC BY 4.0; more parts at https://www.openslr.org/12):
#   wget https://www.openslr.org/resources/12/train-clean-100.tar.gz
#   tar -xzf train-clean-100.tar.gz -C /corpora                       # makes /corpora/LibriSpeech
set -euo pipefail

# Begin configuration section.
corpus_dir=   # the corpus's folder; if empty, $LIBRISPEECH_DIR of the environment or of conf/corpora.sh
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare librispeech --corpus-dir "${corpus_dir:-$LIBRISPEECH_DIR}" --data-root "$1"
