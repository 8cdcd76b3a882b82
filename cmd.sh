# shellcheck shell=bash
# How jobs are run: edit once per machine, or set SV_CMD. Kaldi's run.pl, queue.pl and slurm.pl fit here too:
#   SV_CMD="queue.pl -q all.q" ./run.sh
# $train_cmd runs jobs on CPUs, $cuda_cmd those that want --gpu N (steps/train.sh asks for its own number).
export train_cmd="${SV_CMD:-cmd_local.sh}"
export cuda_cmd="${SV_CUDA_CMD:-$train_cmd}"
