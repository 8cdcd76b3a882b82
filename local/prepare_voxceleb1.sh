#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs voxceleb1_dev, voxceleb1_test and voxceleb1 (both) of VoxCeleb1.
# The trial lists among the fetched lists become trials_O and trials_O_cleaned of voxceleb1_test, and these, trials_E,
# trials_H, trials_E_cleaned and trials_H_cleaned of voxceleb1.
#
# Usage: local/prepare_voxceleb1.sh [options] <data-root>
#  e.g.: local/prepare_voxceleb1.sh --corpus-dir /corpora/voxceleb1 data
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

[ -n "$lists_dir" ] || exit 0
for list in veri_test veri_test2 list_test_all list_test_all2 list_test_hard list_test_hard2; do
  for set in voxceleb1_test voxceleb1; do
    if [[ $set = voxceleb1_test && $list != veri_test* ]]; then continue; fi
    if [ -e "$lists_dir/$list.txt" ] && [ -e "$1/$set" ]; then
      python -m sv_py.voxceleb_lists convert --allow-incomplete "$allow_incomplete" "$lists_dir/$list.txt" "$1/$set"
    fi
  done
done
