#!/usr/bin/env bash
# VoxBlink: trains on VoxCeleb2's dev part (train) and VoxBlink-clean (extra), tests on Vox1-O, Vox1-E and Vox1-H.
# See README.md. Options given here may be given again: the last one counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec ../../../run.sh \
  --corpora "voxceleb2 voxblink voxceleb1 voxceleb_lists musan rirs_noises" \
  --config conf/resnet34_tsp_mix_ft.yaml \
  --train-set data/voxceleb2_dev \
  --extra-train-set data/voxblink_clean \
  --test-sets data/voxceleb1 \
  --cohort-set data/voxceleb2_dev \
  --set "scoring.norm={name: as_norm}" --set "scoring.calibration={name: qmf}" \
  --augment-set noise=data/musan_noise --augment-set music=data/musan_music \
  --augment-set speech=data/musan_speech --augment-set rir=data/rirs_small_medium \
  "$@"
