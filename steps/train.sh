#!/usr/bin/env bash
# Trains an experiment through all its phases; goes on from the newest checkpoint if there is one.
#
# Usage: steps/train.sh [options] <config> <train-data-dir> <dev-data-dir> <exp-dir>
#  e.g.: steps/train.sh --gpu 1 exp/ecapa/config.yaml data/train_fit data/train_dev exp/ecapa
set -euo pipefail

# Begin configuration section.
cmd=cmd_local.sh   # how to run the job, docs/queue.md
gpu=0              # <int> GPUs, each with a process of its own; 0: CPU
num_processes=1    # <int> processes on the CPU; they share out the micro-batches of a step
num_threads=0      # <int> CPU threads of a process; 0: PyTorch's choice, which the processes share. Results are equal to the bit for equal numbers only
num_workers=0      # <int> processes that read, and augment, ahead of each of them; 0: it does so itself
extra_dir=         # data dir that phases with `extra` among their sets train on
valid_dir=         # data dir with utterances of training speakers that do not train: they show the loss on what is not learnt
augment_set=()     # ROLE=DIR: data dir with audio shards for a role of the augmentation, e.g. noise; may be repeated
init=              # model to start from, of any training or imported; if empty, from random weights
max_hours=0        # <float> stop with a checkpoint after so many hours, to go on later; 0: none
restart=false      # <bool> discard what was trained before
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 4 4 "$@"

for f in "$1" "$2/utt2spk" "$3/trials" ${extra_dir:+"$extra_dir/utt2spk"} ${valid_dir:+"$valid_dir/utt2spk"} ${init:+"$init"}; do
  [ -f "$f" ] || { echo "$0: no such file: $f" >&2; exit 1; }
done
[ "$num_processes" -ge 1 ] || usage_error "--num-processes is 1 or more, not $num_processes"
device=cpu launch=()
if [ "$gpu" -gt 0 ]; then
  [ "$num_processes" = 1 ] || usage_error "--gpu $gpu has a process for each GPU; --num-processes is for CPUs"
  device=cuda num_processes=$gpu
fi
if [ "$num_processes" -gt 1 ]; then launch=(sv_py.launch --processes "$num_processes"); fi
roles=(${extra_dir:+--extra-dir "$extra_dir"} ${valid_dir:+--valid-dir "$valid_dir"})
for role in ${augment_set[@]+"${augment_set[@]}"}; do roles+=(--augment-set "$role"); done
mkdir -p "$4/log"
: > "$4/log/train.log"
(trap '' USR1; exec tail -n +1 -s 0.5 -F --pid $$ "$4/log/train.log") >&2 2>/dev/null & # hours are worth watching
follower=$! # which takes us for alive until our parent has waited for us, as one does not who reads our output to its end
trap 'sleep 0.6; kill "$follower" 2>/dev/null || true' EXIT
trap : USR1 # which asks the training to stop: we wait until it has saved a checkpoint
# shellcheck disable=SC2086 # $cmd is a command with its options
$cmd --gpu "$gpu" "$4/log/train.log" \
  python -m ${launch[@]+"${launch[@]}"} sv_py.train --device "$device" --num-threads "$num_threads" --num-workers "$num_workers" \
  --max-hours "$max_hours" --restart "$restart" ${init:+--init "$init"} ${roles[@]+"${roles[@]}"} "$1" "$2" "$3" "$4"
