#!/usr/bin/env bash
# Real speech: 250 Mandarin speakers of English, half of them children, plus pieces of LibriSpeech and half of AN4.
# Trains on speechocean762's part=train, LibriSpeech and every other AN4 speaker; tests on the rest of both.
# See README.md for the results. Options given here may be given again: the last one counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec ../../../run.sh \
  --corpora "speechocean762 librispeech an4" \
  --config conf/ecapa.yaml \
  --train-set "data/so762_train data/librispeech data/an4_train" \
  --test-sets "data/so762_test data/an4_test" \
  --cohort-set "data/so762_train data/librispeech data/an4_train" \
  --set "scoring.norm={name: as_norm, args: {cohort: utterances, top: [100]}}" \
  --set "scoring.calibration={name: qmf, args: {short: [1, 3], long: 3}}" \
  "$@"
