#!/usr/bin/env bash
# Takes a part of a data dir: n utterances spread evenly, or what an option names.
#
# Usage: utils/subset_data_dir.sh [--per-spk|--speakers|--shortest|--first|--last|--num-speakers N|--spk-list F|--utt-list F] [--seed S] <src> [<n>] <dest>
#  e.g.: utils/subset_data_dir.sh --per-spk data/train 5 data/train_5utts
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.data_dir subset "$@"
