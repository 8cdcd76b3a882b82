#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs 3dspeaker_train and 3dspeaker_test (with trials) of 3D-Speaker.
#
# Usage: local/prepare_three_d_speaker.sh [options] <data-root>
#  e.g.: local/prepare_three_d_speaker.sh --corpus-dir /corpora/3dspeaker data
#
# To get it (150 GB; CC BY-SA 4.0):
#   https://3dspeaker.github.io links the parts of train.tar.gz, test.tar.gz and 3dspeaker_files.tar.gz
#   mkdir -p /corpora/3dspeaker/files
#   cat train.tar.gz-part-? | tar -xz -C /corpora/3dspeaker; tar -xzf test.tar.gz -C /corpora/3dspeaker
#   tar -xzf 3dspeaker_files.tar.gz -C /corpora/3dspeaker/files
set -euo pipefail

# Begin configuration section.
corpus_dir=       # the corpus's folder; if empty, $THREE_D_SPEAKER_DIR of the environment or of conf/corpora.sh
skip_bad=false    # <bool> leave out files that cannot be used, and count them
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare three_d_speaker --corpus-dir "${corpus_dir:-$THREE_D_SPEAKER_DIR}" --skip-bad "$skip_bad" --data-root "$1"
