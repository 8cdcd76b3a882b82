#!/usr/bin/env bash
# Makes Lhotse manifests and the data dirs voxblink_full and voxblink_clean of VoxBlink, cropped as its scripts do.
#
# Usage: local/prepare_voxblink.sh [options] <data-root>
#  e.g.: local/prepare_voxblink.sh --corpus-dir /corpora/voxblink data
#
# To get it (200 GB of audio, more of videos; CC BY-NC-SA 4.0; what YouTube still has of it):
#   git clone https://github.com/VoxBlink/ScriptsForVoxBlink; cd ScriptsForVoxBlink
#   pip install -r requirements.txt                                   # and ffmpeg
#   its README links the folder resource; unpack the archives in it
#   python downloader.py --base_dir videos --num_workers 8 --mode clean
#   python cropper.py --mode clean --num_workers 8 --video_dir videos --timestamp_dir resource/timestamp \
#     --save_dir /corpora/voxblink
#   cp -r resource /corpora/voxblink
#   of stereo files steps/convert_audio.sh --extension wav makes mono ones, in another folder
set -euo pipefail

# Begin configuration section.
corpus_dir=       # the corpus's folder; if empty, $VOXBLINK_DIR of the environment or of conf/corpora.sh
skip_bad=false    # <bool> leave out files that cannot be used, and count them
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare voxblink --corpus-dir "${corpus_dir:-$VOXBLINK_DIR}" --skip-bad "$skip_bad" --data-root "$1"
