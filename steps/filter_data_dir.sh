#!/usr/bin/env bash
# Leaves out what should not train: utterances that are too short, speakers with too few of them or of another data dir.
#
# Usage: steps/filter_data_dir.sh [options] <src-data-dir> <dest-data-dir>
#  e.g.: steps/filter_data_dir.sh --min-frames 200 data/train data/train_long
set -euo pipefail

# Begin configuration section.
min_frames=50         # <int> shortest utterance
source=feats          # what is to train: feats, or audio, of which a frame is 10 ms
min_voiced_frames=0   # <int> least speech in an utterance, by vad.scp
min_utts=1            # <int> fewest such utterances of a speaker
exclude_speakers=     # data dir whose speakers are left out
forbid_speakers=      # data dir none of whose speakers may be there
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 2 2 "$@"

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
python -m sv_py.select_utts --source "$source" --min-frames "$min_frames" --min-voiced-frames "$min_voiced_frames" \
  --min-utts "$min_utts" ${exclude_speakers:+--exclude-speakers "$exclude_speakers"} \
  ${forbid_speakers:+--forbid-speakers "$forbid_speakers"} "$1" "$lists/utts"
"$SV_ROOT/utils/subset_data_dir.sh" --utt-list "$lists/utts" "$1" "$2"
