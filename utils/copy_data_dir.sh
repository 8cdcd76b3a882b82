#!/usr/bin/env bash
# Copies a data dir, with other utterance and speaker ids if asked.
#
# Usage: utils/copy_data_dir.sh [--utt-prefix P] [--utt-suffix S] [--spk-prefix P] [--spk-suffix S] [--validate-opts OPTIONS] <src> <dest>
#  e.g.: utils/copy_data_dir.sh --utt-prefix sp0.9- --spk-prefix sp0.9- data/train data/train_sp0.9
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.data_dir copy "$@"
