#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs voxceleb2_dev and, where it is there, voxceleb2_test of VoxCeleb2.
# Its audio is AAC: run steps/convert_audio.sh first.
#
# Usage: local/prepare_voxceleb2.sh [options] <data-root>
#  e.g.: local/prepare_voxceleb2.sh --corpus-dir /corpora/voxceleb2 data
#
# To get it (420 GB while it is converted; CC BY 4.0 for the annotation, for research):
#   the form at https://mm.kaist.ac.kr/datasets/voxceleb asks for an address of an institution; links come by mail to
#   vox2_dev_aac_partaa to ah
#   cat vox2_dev_aac_parta? > vox2_aac.zip
#   unzip -q vox2_aac.zip -d /corpora/voxceleb2                       # makes dev/aac in it
#   steps/convert_audio.sh --nj 16 /corpora/voxceleb2/dev/aac /corpora/voxceleb2/dev/wav
set -euo pipefail

# Begin configuration section.
corpus_dir=              # the corpus's folder; if empty, $VOXCELEB2_DIR of the environment or of conf/corpora.sh
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

exec python -m sv_py.prepare voxceleb2 --corpus-dir "${corpus_dir:-$VOXCELEB2_DIR}" ${lists_dir:+--lists-dir "$lists_dir"} \
  ${missing_list:+--missing-list "$missing_list"} --allow-incomplete "$allow_incomplete" --skip-bad "$skip_bad" \
  --data-root "$1"
