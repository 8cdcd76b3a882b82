#!/usr/bin/env bash
# Takes some speakers out of training to watch the error rate on them: two data dirs and the trials of one.
# Speakers with a single utterance may train but are never held out: they would have no target trial.
#
# Usage: steps/hold_out_dev.sh [options] <src-data-dir> <train-data-dir> <dev-data-dir>
#  e.g.: steps/hold_out_dev.sh --speakers 40 data/train data/train_fit data/train_dev
set -euo pipefail

# Begin configuration section.
speakers=16   # <int> speakers to hold out
trials=2000   # <int> most target, and most non-target, trials
seed=0        # <int> chooses both
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
. "$SV_ROOT/utils/jobs.sh"
expect_arguments 3 3 "$@"

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
python -m sv_py.hold_out --speakers "$speakers" --trials "$trials" --seed "$seed" "$1" "$lists"
"$SV_ROOT/utils/subset_data_dir.sh" --utt-list "$lists/train_utts" "$1" "$2"
"$SV_ROOT/utils/subset_data_dir.sh" --utt-list "$lists/dev_utts" "$1" "$3"
install_file "$lists/trials" "$3/trials"
