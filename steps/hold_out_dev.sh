#!/usr/bin/env bash
# Takes some speakers out of training to watch the error rate on them: two data dirs and the trials of one.
# Speakers with a single utterance may train but are never held out: they would have no target trial.
# With --valid-share a third data dir gets a share of the other speakers' utterances, but never the last one of a speaker.
#
# Usage: steps/hold_out_dev.sh [options] <src-data-dir> <train-data-dir> <dev-data-dir> [<valid-data-dir>]
#  e.g.: steps/hold_out_dev.sh --speakers 40 data/train data/train_fit data/train_dev
#        steps/hold_out_dev.sh --valid-share 0.02 data/train data/train_fit data/train_dev data/train_valid
set -euo pipefail

# Begin configuration section.
speakers=16   # <int> speakers to hold out
trials=2000   # <int> most target, and most non-target, trials
valid_share=0 # <float> share of each training speaker's utterances for the valid data dir, rounded up
seed=0        # <int> chooses all of them
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
. "$SV_ROOT/utils/jobs.sh"
expect_arguments 3 4 "$@"
if [[ $valid_share =~ ^[0.]+$ ]] && [ $# -eq 4 ]; then usage_error "--valid-share says how much goes to $4"; fi
if [[ ! $valid_share =~ ^[0.]+$ ]] && [ $# -eq 3 ]; then usage_error "--valid-share needs a <valid-data-dir>"; fi

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
python -m sv_py.hold_out --speakers "$speakers" --trials "$trials" --valid-share "$valid_share" --seed "$seed" "$1" "$lists"
"$SV_ROOT/utils/subset_data_dir.sh" --utt-list "$lists/train_utts" "$1" "$2"
"$SV_ROOT/utils/subset_data_dir.sh" --utt-list "$lists/dev_utts" "$1" "$3"
if [ $# -eq 4 ]; then "$SV_ROOT/utils/subset_data_dir.sh" --utt-list "$lists/valid_utts" "$1" "$4"; fi
install_file "$lists/trials" "$3/trials"
