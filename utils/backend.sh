# shellcheck shell=bash
# Sourced by run.sh: stages 5 to 9, from embeddings to error rates and the report. They use run.sh's $exp, $sections,
# $train_cmd, $nj, $backend, $mean, $norm, $tops and $calibration, and each LIST is a trial list in its data dir.

# find_cohort: where the experiment's scoring needs other speakers than those of the trials, sets $cohort to their data
# dir: that of --cohort-set, or else what trains; and $adapt to that of --adapt-set, if the back end is to be adapted.
find_cohort() {
  local twice
  cohort='' adapt=
  if [ "$mean $norm $calibration" != "none none none" ]; then
    cohort=$(combined_dir ${cohort_dirs[@]+"${cohort_dirs[@]}"})
    if [ -z "$cohort" ] && [ -n "$train" ]; then cohort=$exp/data/train; fi
    [ -n "$cohort" ] || usage_error "the experiment's scoring needs other speakers (scoring.norm, calibration or mean), and --model has no training set: --cohort-set names some, or --set scoring.norm=null and the like does without"
  fi
  if [ "$backend" = plda ] && [ "$(python -m sv_py.config "$exp/config.yaml" --get scoring.backend.args.adapt)" != none ]; then
    adapt=$(combined_dir ${adapt_dirs[@]+"${adapt_dirs[@]}"})
    [ -n "$adapt" ] || usage_error "the back end $backend is to be adapted (scoring.backend.args.adapt): --adapt-set names the data"
  fi
  # what is made of a data dir is called as it is
  twice=$(distinct "${tests[@]}" "$cohort" "$adapt" | sed 's:.*/::' | sort | uniq -d | paste -sd ' ')
  [ -z "$twice" ] || _fail "two different data dirs are called $twice (what trains is $exp/data/train); rename one"
  if [ "$calibration" != none ] && [[ " ${tests[*]##*/} " == *" calibration "* ]]; then
    _fail "the experiment's own calibration trials are called calibration: rename the test set"
  fi
}

# embeddings_of DIR: the folder of a data dir's embeddings.
embeddings_of() {
  echo "$exp/embeddings/$(basename "$1")"
}

# extract_set DIR: stage 5 of a data dir.
extract_set() {
  run_stage 5 "extract_$(basename "$1")" "$exp" "$model" "$1"/{"$frames","$id"} ${vad:+"$1/$vad"} -- \
    steps/extract_embeddings.sh "${extract[@]}" "$model" "$1" "$(embeddings_of "$1")"
}

# fit_backend: stage 6 of a back end that is fitted before it scores; sets $fitted, the option that names it.
fit_backend() {
  local inputs domains=() adapted=()
  fitted=()
  [ "$mean" != none ] || return 0
  fitted=(--fitted "$exp/backend/$backend.npz")
  inputs=("$cohort/utt2spk" "$(embeddings_of "$cohort")/xvector.scp" "$sections/scoring.yaml")
  if [ "$mean" = domain ]; then domains=(--utt2domain "$cohort/utt2domain") inputs+=("$cohort/utt2domain"); fi
  if [ -n "$adapt" ]; then
    adapted=(--adapt-dir "$(embeddings_of "$adapt")")
    inputs+=("$(embeddings_of "$adapt")/xvector.scp")
  fi
  run_stage 6 fit_backend "$exp" "${inputs[@]}" -- steps/fit_backend.sh --cmd "$train_cmd" --config "$exp/config.yaml" \
    ${domains[@]+"${domains[@]}"} ${adapted[@]+"${adapted[@]}"} "$cohort/utt2spk" "$(embeddings_of "$cohort")" "${fitted[1]}"
}

# find_sides DIR: sets $sides, what the steps must know of the two sides of trials in a data dir, and $side_inputs.
find_sides() {
  sides=(--config "$exp/config.yaml" ${fitted[@]+"${fitted[@]}"})
  side_inputs=("$(embeddings_of "$1")/xvector.scp" ${fitted[@]+"${fitted[1]}"})
  if [ "$mean" = domain ]; then sides+=(--utt2domain "$1/utt2domain") side_inputs+=("$1/utt2domain"); fi
  if [ -e "$1/enrol_spk2utt" ]; then sides+=(--enrol-spk2utt "$1/enrol_spk2utt") side_inputs+=("$1/enrol_spk2utt"); fi
}

# score_trials STAGE NAME DIR TRIALS SCORES: scores of trials by the embeddings of a data dir.
score_trials() {
  find_sides "$3"
  run_stage "$1" "score_$2" "$exp" "$4" "${side_inputs[@]}" "$sections/scoring.yaml" -- \
    steps/score.sh --cmd "$train_cmd" "${sides[@]}" "$4" "$(embeddings_of "$3")" "$5"
}

# make_cohort: stage 7: the cohort of the norm, and the utterances that are kept out of it for calibration.
make_cohort() {
  local inputs domains=()
  inputs=("$cohort/utt2spk" "$(embeddings_of "$cohort")/xvector.scp" "$sections/norm.yaml")
  if [ "$mean" = domain ]; then domains=(--utt2domain "$cohort/utt2domain") inputs+=("$cohort/utt2domain"); fi
  run_stage 7 make_cohort "$exp" "${inputs[@]}" -- steps/make_cohort.sh --cmd "$train_cmd" --config "$exp/config.yaml" \
    ${domains[@]+"${domains[@]}"} "$cohort" "$(embeddings_of "$cohort")" "$exp/cohort"
}

# normalise_trials STAGE NAME DIR SCORES OWN_SPEAKER: SCORES_asnorm, or as the norm is called, beside SCORES; for each of
# several numbers of cohort scores, SCORES_asnorm<number>.
normalise_trials() {
  find_sides "$3"
  run_stage "$1" "normalise_$2" "$exp" "$4" "$exp"/cohort/{cohort.scp,cohort_utt2spk} "$3/utt2spk" "${side_inputs[@]}" \
    "$sections/norm.yaml" -- steps/normalise_scores.sh --cmd "$train_cmd" "${sides[@]}" --utt2spk "$3/utt2spk" \
    --own-speaker "$5" --impostors-out "$exp/quality/$backend/impostors_$2" "$4" "$(embeddings_of "$3")" "$exp/cohort" "$4_${norm//_/}"
}

# norm_suffixes: what the names of normalised scores end with, a line each: of $norm and $tops.
norm_suffixes() {
  local top list
  [ "$norm" != none ] || return 0
  IFS=, read -ra list <<< "$tops"
  if [ ${#list[@]} -eq 1 ]; then list=(''); fi
  for top in "${list[@]}"; do echo "_${norm//_/}$top"; done
}

# find_quality NAME DIR TRIALS: stage 8: the quality table of the ids of trials, if the calibration wants measures; sets
# $quality, the option that names it.
find_quality() {
  local table=$exp/quality/$backend/$1 inputs impostors=()
  quality=()
  [ "$calibration" = qmf ] || return 0
  quality=(--quality "$table")
  inputs=("$3" "$2/utt2dur" "$(embeddings_of "$2")/xvector.scp" "$sections/calibration.yaml")
  if [ "$norm" != none ]; then impostors=(--quality "$exp/quality/$backend/impostors_$1"); fi
  if [ -e "$2/enrol_spk2utt" ]; then impostors+=(--enrol-spk2utt "$2/enrol_spk2utt") inputs+=("$2/enrol_spk2utt"); fi
  run_stage 8 "quality_$1" "$exp" "${inputs[@]}" ${impostors[@]+"${impostors[1]}"} -- \
    steps/compute_quality.sh --nj "$nj" --cmd "$train_cmd" --config "$exp/config.yaml" --allow-pipes "$allow_pipes" \
    ${impostors[@]+"${impostors[@]}"} "$2" "$(embeddings_of "$2")" "$3" "$table"
}

# fit_calibration NORM_SUFFIX: stage 8: trials of the cohort set's utterances that the cohort does not have, made and scored as those
# of the test sets are, and the calibration fitted to them, $exp/calibration/<back end>/calibration.json. It takes the
# normalised scores, those of the first number of cohort scores; NORM_SUFFIX is what their names end with.
fit_calibration() {
  local folder=$exp/calibration/$backend
  run_stage 8 calibration_trials "$exp" "$exp/cohort/calibration_utt2spk" "$cohort/utt2dur" "$sections/calibration.yaml" -- \
    steps/make_calibration_trials.sh --config "$exp/config.yaml" "$exp/cohort/calibration_utt2spk" "$cohort/utt2dur" "$folder/trials"
  score_trials 8 calibration "$cohort" "$folder/trials" "$folder/scores"
  if [ "$norm" != none ]; then normalise_trials 8 calibration "$cohort" "$folder/scores" leave_out; fi
  find_quality calibration "$cohort" "$folder/trials"
  run_stage 8 fit_calibration "$exp" "$folder/scores$1" "$cohort/utt2spk" ${quality[@]+"${quality[1]}"} "$sections/calibration.yaml" -- \
    steps/fit_calibration.sh --config "$exp/config.yaml" --leave-out 5 ${quality[@]+"${quality[@]}"} --utt2spk "$cohort/utt2spk" \
    "$folder/scores$1" "$folder/calibration.json"
}

# calibrate_trials NAME DIR TRIALS SCORES OUT: stage 8 of a trial list.
calibrate_trials() {
  local json=$exp/calibration/$backend/calibration.json
  find_quality "$1" "$2" "$3"
  run_stage 8 "calibrate_$1" "$exp" "$4" "$json" ${quality[@]+"${quality[1]}"} -- \
    steps/calibrate_scores.sh ${quality[@]+"${quality[@]}"} "$json" "$4" "$5"
}

# score_lists LIST...: stages 6 to 8 of all trial lists. Sets $scores, all their score files, and $names, the options that
# name them for stage 9.
score_lists() {
  local list name dir raw suffix suffixes
  mapfile -t suffixes < <(norm_suffixes)
  scores=() names=()
  fit_backend
  for list; do
    name=$(trials_name "$list")
    score_trials 6 "$name" "$(dirname "$list")" "$list" "$exp/scores/$backend/$name"
  done
  if [ "$norm $calibration" != "none none" ]; then make_cohort; fi
  if [ "$norm" != none ]; then
    for list; do
      name=$(trials_name "$list")
      normalise_trials 7 "$name" "$(dirname "$list")" "$exp/scores/$backend/$name" error
    done
  fi
  if [ "$calibration" != none ]; then fit_calibration "${suffixes[0]:-}"; fi
  for list; do
    dir=$(dirname "$list") name=$(trials_name "$list")
    raw=$exp/scores/$backend/$name
    for suffix in '' ${suffixes[@]+"${suffixes[@]}"}; do
      scores+=("$raw$suffix") names+=(--name "$backend/$name$suffix")
    done
    [ "$calibration" != none ] || continue
    calibrate_trials "$name" "$dir" "$list" "$raw${suffixes[0]:-}" "${raw}_$calibration"
    scores+=("${raw}_$calibration") names+=(--name "$backend/${name}_$calibration" --calibrated "$backend/${name}_$calibration")
  done
}

# describe_trials DIR...: sets $attributes, the options by which stage 9 breaks down its error rates: durations, and what
# the test sets' spk2gender and utt2<attribute> say; and $tables, the files that these name.
describe_trials() {
  local dir table
  attributes=() tables=()
  for dir; do
    attributes+=(--utt2spk "$dir/utt2spk") tables+=("$dir/utt2spk")
    if [ -e "$dir/utt2dur" ]; then attributes+=(--utt2dur "$dir/utt2dur") tables+=("$dir/utt2dur"); fi
    for table in spk2gender utt2corpus utt2domain; do
      if [ -e "$dir/$table" ]; then attributes+=(--attribute "${table#*2}=$dir/$table") tables+=("$dir/$table"); fi
    done
  done
}
