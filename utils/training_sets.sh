# shellcheck shell=bash
# Sourced by run.sh: the data dirs of a run, from those that are named to those that train and are held out.

_combined= # the sets that combine_set has made

# find_sets: checks and sorts out the data dirs that --train-set, --extra-train-set, --test-sets, --cohort-set, --adapt-set
# and --augment-set name. Sets $dirs, all of them; $train_dirs, $extra_dirs, $cohort_dirs and $adapt_dirs; and the recipe's
# own: $train and $extra, empty for none, and $tests.
find_sets() {
  local test_dirs augment_dirs dir
  read -ra train_dirs <<< "$train_set"
  read -ra extra_dirs <<< "$extra_train_set"
  read -ra test_dirs <<< "$test_sets"
  read -ra cohort_dirs <<< "$cohort_set"
  read -ra adapt_dirs <<< "$adapt_set"
  augment_dirs=(${augment_set[@]+"${augment_set[@]#*=}"})
  mapfile -t dirs < <(distinct ${train_dirs[@]+"${train_dirs[@]}"} ${extra_dirs[@]+"${extra_dirs[@]}"} "${test_dirs[@]}" \
    ${cohort_dirs[@]+"${cohort_dirs[@]}"} ${adapt_dirs[@]+"${adapt_dirs[@]}"} ${augment_dirs[@]+"${augment_dirs[@]}"})
  check_dirs "${dirs[@]}"
  for dir in ${extra_dirs[@]+"${extra_dirs[@]}"}; do
    [[ " ${train_dirs[*]%/} " != *" ${dir%/} "* ]] || _fail "$dir is in --train-set and in --extra-train-set"
  done
  train=$(combined_dir ${train_dirs[@]+"${train_dirs[@]}"})
  extra=$(combined_dir ${extra_dirs[@]+"${extra_dirs[@]}"})
  # shellcheck disable=SC2034 # run.sh uses it
  read -ra tests <<< "$(local_dirs "${test_dirs[@]}")"
}

# combine_set DIR...: stage 1 of a set that is several data dirs; once for a set that has several roles.
combine_set() {
  local combined parts inputs dir
  [ $# -gt 1 ] || return 0
  combined=$(combined_dir "$@")
  [[ " $_combined " != *" $combined "* ]] || return 0
  _combined+=" $combined"
  read -ra parts <<< "$(local_dirs "$@")"
  mapfile -t inputs < <(for dir in "${parts[@]}"; do existing "$dir"/{utt2spk,wav.scp,segments,spk2gender,utt2domain}; done)
  run_stage 1 "combine_$(basename "$combined")" "$combined" "${inputs[@]}" -- utils/combine_data.sh "$combined" "${parts[@]}"
}

# hold_out_sets: stage 3 of the training sets, in $exp/data: all is of $train what may train, and is divided into train,
# dev and, where a share of the utterances is asked for, valid; extra is what may train of $extra, without dev's speakers.
# Uses the values that run.sh reads from the configuration.
hold_out_sets() {
  local held=("$exp"/data/{all,train,dev}) apart=() inputs
  _filter_set filter "$train" "$exp/data/all"
  mapfile -t inputs < <(existing "$exp"/data/all/{"$frames",utt2spk,spk2gender})
  if _has_valid; then held+=("$exp/data/valid"); fi
  run_stage 3 hold_out "$exp/data/train" ${inputs[@]+"${inputs[@]}"} "$sections/hold_out.yaml" -- steps/hold_out_dev.sh \
    --speakers "$dev_speakers" --trials "$dev_trials" --valid-share "$valid_share" --seed "$dev_seed" "${held[@]}"
  [ -n "$extra" ] || return 0
  if [ "$shared_speakers" = error ]; then apart=(--forbid-speakers "$exp/data/all"); fi
  _filter_set filter_extra "$extra" "$exp/data/extra" --exclude-speakers "$exp/data/dev" ${apart[@]+"${apart[@]}"}
}

# _filter_set STAGE SRC DEST [OPTION DIR]...: DEST is what of SRC may train; the speakers of DIRs have a say in it.
_filter_set() {
  local name=$1 src=$2 dest=$3 options=() inputs
  shift 3
  inputs=("$src"/{"$frames",utt2spk,"$counts"})
  if [ -n "$vad" ]; then
    options=(--min-voiced-frames $((min_frames > 0 ? min_frames : 1)))
    inputs+=("$src/$vad")
  fi
  options+=("$@")
  while [ $# -gt 0 ]; do inputs+=("$2/utt2spk"); shift 2; done
  run_stage 3 "$name" "$dest" "${inputs[@]}" "$sections/hold_out.yaml" -- steps/filter_data_dir.sh --source "$data_source" \
    --min-frames "$min_frames" --min-utts "$min_utts" ${options[@]+"${options[@]}"} "$src" "$dest"
}

# Whether a share of the training speakers' utterances is held out.
_has_valid() {
  [[ ! $valid_share =~ ^[0.]+$ ]]
}

# find_training_data: sets $training_data, what training depends on in $exp/data, and $set_options, which name all but the
# first training set and dev for steps/train.sh.
find_training_data() {
  local dirs=(train) name
  set_options=()
  if [ -n "$extra" ]; then dirs+=(extra) set_options+=(--extra-dir "$exp/data/extra"); fi
  if _has_valid; then dirs+=(valid) set_options+=(--valid-dir "$exp/data/valid"); fi
  training_data=("$exp/data/dev/trials")
  for name in "${dirs[@]}"; do training_data+=("$exp/data/$name"/{"$frames",utt2spk,"$id"} ${vad:+"$exp/data/$name/$vad"}); done
}
