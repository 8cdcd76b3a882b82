#!/usr/bin/env bash
# Turns spk2utt into utt2spk.
#
# Usage: utils/spk2utt_to_utt2spk.sh [<spk2utt>] > <utt2spk>
#  e.g.: utils/spk2utt_to_utt2spk.sh data/train/spk2utt > data/train/utt2spk
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.data_dir to-utt2spk "$@"
