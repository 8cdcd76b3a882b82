#!/usr/bin/env bash
# A trained model on a list of recordings and of trials: what VoxBlink2's run_eval.sh does. Nothing is trained.
# See README.md. Options given here may be given again: the last one counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec ../../../run.sh \
  --corpora wav_list \
  --train-set "" \
  --test-sets data/wav_list \
  --set scoring.bootstrap=0 \
  "$@"
