#!/usr/bin/env bash
# VoxBlink2: pretraining on it (extra), fine-tuning on VoxCeleb2's dev part (train), tests on Vox1-O, Vox1-E, Vox1-H.
# See README.md. Options given here may be given again: the last one counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec ../../../run.sh \
  --corpora "voxceleb2 voxblink2 voxceleb1 voxceleb_lists musan rirs_noises" \
  --config conf/simam_resnet293.yaml \
  --train-set data/voxceleb2_dev \
  --extra-train-set data/voxblink2 \
  --test-sets data/voxceleb1 \
  --cohort-set data/voxceleb2_dev \
  --set "scoring.norm={name: as_norm}" --set "scoring.calibration={name: qmf}" \
  --augment-set noise=data/musan_noise --augment-set music=data/musan_music \
  --augment-set speech=data/musan_speech --augment-set rir=data/rirs_small_medium \
  "$@"
