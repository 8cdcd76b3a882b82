#!/usr/bin/env bash
# Turns utt2spk into spk2utt.
#
# Usage: utils/utt2spk_to_spk2utt.sh [<utt2spk>] > <spk2utt>
#  e.g.: utils/utt2spk_to_spk2utt.sh data/train/utt2spk > data/train/spk2utt
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.data_dir to-spk2utt "$@"
