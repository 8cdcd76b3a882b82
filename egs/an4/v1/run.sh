#!/usr/bin/env bash
# CMU AN4, a small corpus of spelled words and numbers: trains on every other speaker, tests on the rest.
# See README.md for the results. Options given here may be given again: the last one counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec ../../../run.sh \
  --corpora an4 \
  --config conf/ecapa.yaml \
  --train-set data/an4_train \
  --test-sets data/an4_test \
  "$@"
