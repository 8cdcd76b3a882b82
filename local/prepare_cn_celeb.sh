#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs cnceleb_train, cnceleb_eval (with trials) and cnceleb2_train of CN-Celeb.
#
# Usage: local/prepare_cn_celeb.sh [options] <data-root>
#  e.g.: local/prepare_cn_celeb.sh --corpus-dir /corpora/cn-celeb data
#
# To get it (33 GB; CC BY-SA 4.0):
#   wget https://www.openslr.org/resources/82/cn-celeb_v2.tar.gz https://www.openslr.org/resources/82/cn-celeb2_v2.tar.gza{a,b,c}
#   mkdir -p /corpora/cn-celeb
#   tar -xzf cn-celeb_v2.tar.gz -C /corpora/cn-celeb; cat cn-celeb2_v2.tar.gza? | tar -xz -C /corpora/cn-celeb
set -euo pipefail

# Begin configuration section.
corpus_dir=       # the corpus's folder; if empty, $CN_CELEB_DIR of the environment or of conf/corpora.sh
skip_bad=false    # <bool> leave out files that cannot be used, and count them
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare cn_celeb --corpus-dir "${corpus_dir:-$CN_CELEB_DIR}" --skip-bad "$skip_bad" --data-root "$1"
