#!/usr/bin/env bash
# From recordings to a table of error rates, in numbered stages. Runs in the current folder, a recipe's, and writes
# data/ and exp/<tag>/ there. As it stands it trains on and tests with the built-in mini corpus of synthetic voices;
# egs/*/*/run.sh are other choices of its options. Without --stage it goes on where it stopped.
#
# Usage: ./run.sh [options]
#  e.g.: ./run.sh --config conf/resnet34.yaml --set phases.0.epochs=10 --tag resnet34_10
#        ./run.sh --train-set /corpora/kaldi/train --test-sets "data/mini_test /corpora/kaldi/eval" --tag mine
set -euo pipefail

# Begin configuration section.
stage=                            # <int> first stage to run: 0 corpora, 1 data dirs, 2 features, 3 hold out dev speakers, 4 train, 5 embeddings, 6 score, 7 normalise, 8 calibrate, 9 metrics and report
stop_stage=9                      # <int> last stage to run
config=                           # the experiment (docs/config.md); if empty, that of --model, else conf/ecapa_mini.yaml
set=()                            # overrides one key of it, e.g. --set seed=1; may be repeated
tag=                              # name of the experiment's folder in exp/; if empty, that of the config or model
corpora=mini                      # corpora to prepare if a set lies in data/: each has a local/prepare_<corpus>.sh
corpus_dir=                       # folder of the one corpus, if not that of conf/corpora.sh
allow_incomplete=false            # <bool> accept corpora of another size than was published
train_set=data/mini_train         # Kaldi data dir to train on; several are combined
extra_train_set=                  # further data dirs, which the phases with `extra` among their sets train on
test_sets=data/mini_test          # Kaldi data dirs with trials or trials_<name>
cohort_set=                       # data dirs of other speakers than the trials', for what of the scoring is fitted or normalised; if empty, what trains
adapt_set=                        # data dirs without known speakers, if the back end is to be adapted to another domain
augment_set=()                    # ROLE=DIR: data dir with the noise, music, speech or rir of the experiment's augmentation; may be repeated
init=                             # model from which the training starts, of any training or imported; if empty, from random weights
model=                            # evaluate this model; nothing is trained and the training set is not needed
nj=                               # <int> parallel jobs; if empty, the number of cores
gpu=                              # <int> GPUs to train on, each with a process of its own; 0: none; if empty, one where there is one
num_processes=1                   # <int> without a GPU: processes that train; they share out the micro-batches of a step
num_threads=0                     # <int> CPU threads of a training process; 0: PyTorch's choice
num_workers=0                     # <int> processes that read and augment ahead of a training process; 0: it does so itself
allow_pipes=false                 # <bool> run the commands that stand in a wav.scp
allow_train_speakers=false        # <bool> accept test speakers that are in the training data
max_hours=0                       # <float> training stops with a checkpoint after so many hours, and the run with it; 0: none
restart=false                     # <bool> discard what the experiment has trained
# End configuration section.

launch=("$0" "$@")
. "$(dirname "${BASH_SOURCE[0]}")/path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 0 0 "$@"
. "$SV_ROOT/cmd.sh"
. "$SV_ROOT/utils/jobs.sh"
. "$SV_ROOT/utils/stage.sh"
. "$SV_ROOT/utils/recipe.sh"
. "$SV_ROOT/utils/training_sets.sh"
. "$SV_ROOT/utils/backend.sh"

if [ -z "$model" ]; then config=${config:-conf/ecapa_mini.yaml}; fi
name=$(basename "${config:-$model}")
tag=${tag:-${name%.*}}
exp=exp/$tag
nj=${nj:-$(env -u OMP_NUM_THREADS nproc)}
gpu=${gpu:-$(count_gpus)}
check_tag "$tag"
check_range --stage "${stage:-0}" 0 9
check_range --nj "$nj" 1 100000
check_range --num-processes "$num_processes" 1 1024
check_gpus "$gpu" "$num_processes"
check_range --num-threads "$num_threads" 0 1024
check_range --num-workers "$num_workers" 0 1024
if [ -n "$model" ]; then
  [ -f "$model" ] || usage_error "no such model: $model"
  [ -z "$init" ] || usage_error "--init is where a training starts, and --model is evaluated without one"
  train_set='' extra_train_set=
elif [ -z "$train_set" ]; then
  usage_error "--train-set names a data dir, or --model a trained model"
fi
[[ $max_hours != -* ]] || usage_error "--max-hours is 0 or more, not $max_hours"
[ -z "$init" ] || [ -f "$init" ] || usage_error "no such model: $init"
[ -n "$test_sets" ] || usage_error "--test-sets names at least one data dir"
read -ra corpora <<< "$corpora"
find_sets
any_own "${dirs[@]}" || corpora=()
check_corpora "$corpus_dir" ${corpora[@]+"${corpora[@]}"}

new=$(mktemp -d)
check_config "$config" "$exp" "$new" ${set[@]+"${set[@]}"}
lock_dir "$exp"
install_config "$new" "$exp"
python -m sv_py.provenance --out-dir "$exp/launches" --input "$exp/config.yaml" -- "${launch[@]}"
read -r data_source shared_speakers use_vad min_frames min_utts dev_speakers dev_trials valid_share dev_seed backend mean norm tops calibration bootstrap <<< "$(
  python -m sv_py.config "$exp/config.yaml" --get data.{source,shared_speakers} features.vad \
    hold_out.{min_frames,min_utts,dev_speakers,dev_trials,valid_share,seed} \
    scoring.{backend.name,backend.args.mean,norm.name,norm.args.top,calibration.name,bootstrap})"
find_cohort
read -r frames counts id vad <<< "$(input_tables "$data_source" "$use_vad")"
sections=$exp/.done/sections jobs=(--nj "$nj" --cmd "$train_cmd") extract=(--nj "$nj" --cmd "$train_cmd")
if [ "$gpu" -gt 0 ]; then extract=(--nj 1 --gpu 1 --cmd "$cuda_cmd"); fi

# Stage 0: where the corpora are. Stage 1: their Lhotse manifests and data dirs. Data dirs of others are copied.
lock_dir data wait
for corpus in ${corpora[@]+"${corpora[@]}"}; do
  run_stage 0 "find_$corpus" data -- find_corpus "$corpus" "$corpus_dir"
  prepare_stage "$corpus"
done
for dir in "${dirs[@]}"; do
  is_outside "$dir" || continue
  name=$(basename "$dir")
  mapfile -t inputs < <(existing "$dir"/{utt2spk,wav.scp,segments,spk2gender,feats.scp,feats.id,audio.scp,audio.id,vad.scp,utt2domain,enrol_spk2utt,trials} "$dir"/trials_*)
  run_stage 1 "copy_$name" "data/$name" "${inputs[@]}" -- utils/copy_data_dir.sh "$dir" "data/$name"
done
for dir in "${tests[@]}"; do install_trials "$dir"; done
combine_set ${train_dirs[@]+"${train_dirs[@]}"}
combine_set ${extra_dirs[@]+"${extra_dirs[@]}"}
combine_set ${cohort_dirs[@]+"${cohort_dirs[@]}"}
combine_set ${adapt_dirs[@]+"${adapt_dirs[@]}"}
if [ "$stop_stage" -ge 3 ]; then lists=$(trial_lists "${tests[@]}"); else lists=; fi
read -rd '' -a lists <<< "$lists" || true

# Stage 2: what the experiment reads: features, or audio of which it makes features on the fly; voice activity if it is used.
for dir in $(distinct "$train" "$extra" "${tests[@]}" "$cohort" "$adapt"); do
  if ! is_outside "$dir"; then make_inputs "$data_source" "$use_vad" "$dir"; fi # the cohort may be what trains
done
if [ -n "$train" ]; then bind_roles ${augment_set[@]+"${augment_set[@]}"}; fi
unlock_dir data

# Stage 3: what trains, and the speakers whose error rate is watched meanwhile. Bad trial lists are found before training.
if [ -n "$train" ]; then hold_out_sets; fi
run_stage 3 check_trials "$exp" ${train:+"$train/utt2spk"} ${extra:+"$extra/utt2spk"} ${lists[@]+"${lists[@]}"} -- \
  python -m sv_py.check_trials ${train:+--train-dir "$train"} ${extra:+--train-dir "$extra"} --allow-train-speakers "$allow_train_speakers" "${tests[@]}"

# Stage 4: all phases of the training; it goes on from the newest checkpoint.
if [ -n "$train" ]; then
  model=$exp/final.pt
  find_training_data
  run_stage 4 train "$exp" "${training_data[@]}" "$sections/train.yaml" ${init:+"$init"} ${roles[@]+"${roles[@]/%//audio.scp}"} -- \
    steps/train.sh --cmd "$cuda_cmd" --gpu "$gpu" --num-processes "$num_processes" --num-threads "$num_threads" \
    --num-workers "$num_workers" --max-hours "$max_hours" --restart "$restart" ${init:+--init "$init"} \
    ${set_options[@]+"${set_options[@]}"} ${role_options[@]+"${role_options[@]}"} "$exp/config.yaml" "$exp"/data/{train,dev} "$exp"
fi

# Stage 5: embeddings. Stages 6 to 8: scores of each trial list, normalised, calibrated. Stage 9: error rates, the report.
for dir in $(distinct "${tests[@]}" "$cohort" "$adapt"); do extract_set "$dir"; done
run_stage 6 speakers "$exp" "${tests[@]/%//utt2spk}" -- join_tables "$exp/scores/utt2spk" "${tests[@]/%//utt2spk}"
score_lists ${lists[@]+"${lists[@]}"}
describe_trials "${tests[@]}"
run_stage 9 metrics "$exp" ${scores[@]+"${scores[@]}"} "${tables[@]}" "$sections/metrics.yaml" -- \
  steps/compute_metrics.sh --bootstrap "$bootstrap" "${attributes[@]}" ${names[@]+"${names[@]}"} ${scores[@]+"${scores[@]}"} "$exp/results.json"
run_stage 9 report "$exp" "$exp/results.json" -- steps/make_report.sh --out "$exp/report.html" "$exp"

report_times "$exp/log/times.tsv"
if [ -e "$exp/results.json" ]; then utils/compare_exps.sh "$exp"; fi
