#!/usr/bin/env bash
# Draws how trainings went: loss, accuracy, error rates of held-out speakers, learning rate and margin by epoch.
#
# Usage: utils/plot_training.sh --out <figure> <exp-dir>...
#  e.g.: utils/plot_training.sh --out curves.svg exp/ecapa exp/resnet34
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec python -m sv_py.plot_training "$@"
