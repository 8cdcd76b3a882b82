#!/usr/bin/env bash
# Makes Lhotse manifests and the data dir voxblink2 of VoxBlink2, cropped as its scripts do.
#
# Usage: local/prepare_voxblink2.sh [options] <data-root>
#  e.g.: local/prepare_voxblink2.sh --corpus-dir /corpora/voxblink2 data
#
# To get it (2 TB of audio; CC BY-NC-SA 4.0; what YouTube still has of it):
#   git clone https://github.com/VoxBlink2/ScriptsForVoxBlink2; cd ScriptsForVoxBlink2
#   pip install -r requirements.txt                                   # and ffmpeg
#   its README links the archive of timestamps; unpack it here, to meta/, and spk2videos to data/
#   python downloader.py --base_dir audio --num_workers 8 --mode audio
#   python cropper_audio.py --num_workers 8 --timestamp_path meta --audio_root audio --save_dir /corpora/voxblink2/audio
#   of stereo files steps/convert_audio.sh --extension wav makes mono ones, in another folder
set -euo pipefail

# Begin configuration section.
corpus_dir=       # the corpus's folder; if empty, $VOXBLINK2_DIR of the environment or of conf/corpora.sh
skip_bad=false    # <bool> leave out files that cannot be used, and count them
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

exec python -m sv_py.prepare voxblink2 --corpus-dir "${corpus_dir:-$VOXBLINK2_DIR}" --skip-bad "$skip_bad" --data-root "$1"
