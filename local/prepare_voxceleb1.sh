#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs voxceleb1_dev, voxceleb1_test and voxceleb1 (both) of VoxCeleb1, with the
# trials among the fetched lists (local/prepare_voxceleb_lists.sh).
#
# Usage: local/prepare_voxceleb1.sh [options] <data-root>
#  e.g.: local/prepare_voxceleb1.sh --corpus-dir /corpora/voxceleb1 data
#
# To get it (78 GB while it is unpacked; CC BY 4.0 for the annotation, for research):
#   the form at https://mm.kaist.ac.kr/datasets/voxceleb asks for an address of an institution; links come by mail to
#   vox1_dev_wav_partaa to ad and vox1_test_wav.zip
#   cat vox1_dev_wav_parta? > vox1_dev_wav.zip
#   unzip -q vox1_dev_wav.zip -d /corpora/voxceleb1/dev; unzip -q vox1_test_wav.zip -d /corpora/voxceleb1/test
set -euo pipefail

# Begin configuration section.
corpus_dir=              # the corpus's folder; if empty, $VOXCELEB1_DIR of the environment or of conf/corpora.sh
lists_dir=               # folder of fetch_voxceleb_lists.sh; if empty, $VOXCELEB_LISTS_DIR likewise; or none
missing_list=            # file for the ids of all published utterances that lack, one a line; needs lists_dir
allow_incomplete=false   # <bool> accept other numbers of utterances and speakers than were published
skip_bad=false           # <bool> leave out files that cannot be used, and count them
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"
lists_dir=${lists_dir:-$VOXCELEB_LISTS_DIR}

python -m sv_py.prepare voxceleb1 --corpus-dir "${corpus_dir:-$VOXCELEB1_DIR}" ${lists_dir:+--lists-dir "$lists_dir"} \
  ${missing_list:+--missing-list "$missing_list"} --allow-incomplete "$allow_incomplete" --skip-bad "$skip_bad" \
  --data-root "$1"
if [ -n "$lists_dir" ]; then
  exec python -m sv_py.voxceleb_lists install --allow-incomplete "$allow_incomplete" "$lists_dir" "$1"
fi
