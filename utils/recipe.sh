# shellcheck shell=bash
# Sourced by run.sh: the small things between its stages.

_fail() {
  echo "${0##*/}: $1" >&2
  exit 1
}

# Number of GPUs to train on: one where there is one.
count_gpus() {
  if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then echo 1; else echo 0; fi
}

# check_range OPTION VALUE LEAST MOST
check_range() {
  if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then _fail "$1 is $3 to $4, not $2"; fi
}

# check_gpus N PROCESSES: as many are here, if jobs run here; of other machines their queue knows.
check_gpus() {
  [ "$1" -ge 0 ] || _fail "--gpu is 0 or more, not $1"
  [ "$1" -eq 0 ] || [ "$2" -eq 1 ] || _fail "--num-processes is for CPUs: --gpu 0; with --gpu $1 there is one for each GPU"
  if [ "$1" -gt 0 ] && [[ $cuda_cmd == cmd_local.sh* ]]; then (. "$SV_ROOT/utils/gpu_leases.sh"; gpu=$1 find_devices) || exit 1; fi
}

# check_tag TAG: it names a folder in exp/.
check_tag() {
  [[ $1 =~ ^[A-Za-z0-9_+-][A-Za-z0-9_.+-]*$ ]] || _fail "--tag names a folder: letters, digits and _ . + - only, not '$1'"
}

# check_corpora FOLDER CORPUS...: each has its script; FOLDER (may be empty) can be that of one only.
check_corpora() {
  local folder=$1 corpus known
  shift
  known=$(cd "$SV_ROOT/local" && printf '%s\n' prepare_*.sh | sed 's/^prepare_//; s/\.sh$//' | paste -sd ' ')
  for corpus; do
    [ -x "local/prepare_$corpus.sh" ] || _fail "no local/prepare_$corpus.sh; known corpora: $known"
  done
  [ -z "$folder" ] || [ $# -eq 1 ] || _fail "--corpus-dir is the folder of one corpus, and there are $#: name them in conf/corpora.site.sh"
  if [ "${stage:-0}" -eq 0 ]; then _check_folders "$folder" "$@"; fi
}

# Ends the run unless it is known where each corpus is, with how to get those that are not; those that are made on the
# spot have nothing about it in the head of their script.
_check_folders() {
  local folder=$1 corpus place variable how lacking=() told=() else=
  shift
  if [ $# -eq 1 ]; then else=', or give --corpus-dir'; fi
  for corpus; do
    place=$(_given_folder "$corpus" "$folder") variable=${corpus^^}_DIR
    if [ -n "$place" ]; then
      [ -d "$place" ] || _fail "no folder $place (corpus $corpus: --corpus-dir or $variable)"
      continue
    fi
    how=$(sed -n '/^# To get /,/^[^#]/s/^# \{0,1\}//p' "local/prepare_$corpus.sh")
    if [ -n "$how" ] && [ "$(cat "data/corpora/$corpus" 2>/dev/null || echo -)" = - ]; then
      lacking+=("$variable")
      told+=("$corpus: $variable $(sed -n "s/.*{$variable:=}\" *# //p" "$SV_ROOT/conf/corpora.sh")"$'\n'"$how"$'\n')
    fi
  done
  [ ${#lacking[@]} -gt 0 ] || return 0
  printf '%s\n' "${0##*/}: stage 0: where are these corpora?" '' "${told[@]}" >&2
  echo "Then set ${lacking[*]} in the environment or in conf/corpora.site.sh$else (docs/corpora.md)." >&2
  exit 1
}

# Data dirs of the recipe are data/<name>; all others are somebody else's and are copied, never written.
is_outside() {
  local dir=${1%/}
  dir=${dir#"$PWD"/}
  [ "$(dirname "${dir#./}")" != data ]
}

# any_own DIR...: whether one of them is the recipe's own, made by a local/prepare_<corpus>.sh.
any_own() {
  local dir
  for dir; do if ! is_outside "$dir"; then return 0; fi; done
  return 1
}

# distinct WORD...: each but empty ones, once.
distinct() {
  printf '%s\n' "$@" | awk 'NF && !seen[$0]++'
}

# check_dirs DIR...: others' data dirs exist; two of one name would be written to one place.
check_dirs() {
  local dir twice
  for dir; do
    if is_outside "$dir" && [ ! -e "$dir/utt2spk" ]; then
      _fail "no data dir $dir: it has no utt2spk (dirs are separated by spaces)"
    fi
  done
  twice=$(for dir; do echo "${dir%/}"; done | sort -u | sed 's:.*/::' | sort | uniq -d | paste -sd ' ')
  [ -z "$twice" ] || _fail "two different data dirs are called $twice; rename one"
}

# local_dirs DIR...: the recipe's own data dir of each.
local_dirs() {
  local dir dirs=()
  for dir; do dirs+=("data/$(basename "$dir")"); done
  echo ${dirs[@]+"${dirs[@]}"}
}

# combined_dir DIR...: the data dir that DIRs are combined to, data/a+b; for one DIR its own, for none nothing.
combined_dir() {
  local dir name=
  for dir; do name+=+$(basename "$dir"); done
  if [ -n "$name" ]; then echo "data/${name#+}"; fi
}

# existing FILE...: those that are there; the optional files among a stage's inputs.
existing() {
  local file
  for file; do if [ -e "$file" ]; then echo "$file"; fi; done
}

# check_config YAML EXP NEW KEY=VALUE...: checks the experiment's YAML; writes it whole to NEW/config.yaml, and the keys
# that each stage depends on to NEW/sections. Without a YAML the configuration is that of $model. EXP may have been made
# with another configuration only if a --stage says from where on it is to be redone, and what it has trained only with
# --restart true.
check_config() {
  local yaml=$1 exp=$2 new=$3 override options=()
  shift 3
  for override; do options+=(--set "$override"); done
  if [ -n "$model" ]; then
    python -m sv_py.model_config "$model" "$new/model.yaml"
    yaml=${yaml:-$new/model.yaml}
  fi
  if [ -n "$init" ]; then python -m sv_py.model_config "$init" "$new/init.yaml"; fi # that it is a model
  if [ -n "$train_set" ]; then
    options+=(--augment-set ${augment_set[@]+"${augment_set[@]}"} --training-sets train ${extra_train_set:+extra}
      --processes $((gpu > 0 ? gpu : num_processes)))
  fi
  python -m sv_py.config "$yaml" ${options[@]+"${options[@]}"} --out "$new/config.yaml" --sections "$new/sections"
  if [ -n "$model" ]; then check_model "$yaml" "$new"; fi
  if [ ! -e "$exp/config.yaml" ] || [ "$restart" = true ] || cmp -s "$exp/config.yaml" "$new/config.yaml"; then return; fi
  if [ -n "$stage" ]; then
    if [ ! -e "$exp/phases" ] || cmp -s {"$exp/.done","$new"}/sections/train.yaml; then return; fi
    echo "${0##*/}: $exp was trained with another configuration (<: then, >: now):" >&2
  else
    echo "${0##*/}: $exp was made with another configuration (<: then, >: now):" >&2
  fi
  diff "$exp/config.yaml" "$new/config.yaml" >&2 || true
  echo "Take another --tag; or redo it from some --stage on, with --restart true if that is to train anew." >&2
  exit 1
}

# check_model YAML NEW: $model, whose configuration is NEW/model.yaml, finds in the data dirs of NEW/config.yaml what it
# reads. If YAML is its own configuration, no --set has changed what the model is.
check_model() {
  local get=(--get data.source features.vad) what="another data.source or features.vad: --config '' takes its own configuration"
  if [ "$1" = "$2/model.yaml" ]; then
    get=(--get model features data.source) what="another model, features or data.source, which --set cannot change"
  fi
  if [ "$(python -m sv_py.config "$2/model.yaml" "${get[@]}")" != "$(python -m sv_py.config "$2/config.yaml" "${get[@]}")" ]; then
    _fail "$model was trained with $what"
  fi
}

# install_config NEW EXP: what check_config wrote becomes the experiment's; --restart true makes all its stages due.
install_config() {
  local file
  mkdir -p "$2/.done/sections" "$2/log"
  if [ "$restart" = true ]; then
    find "$2/.done" -maxdepth 1 -type f -delete
    if [ "${stage:-0}" -le 3 ]; then rm -rf "$2"/data/*/.done; fi
  fi
  for file in "$1"/sections/*; do install_file "$file" "$2/.done/sections/$(basename "$file")"; done
  install_file "$1/config.yaml" "$2/config.yaml"
  rm -r "$1"
}

# find_corpus NAME FOLDER: notes in data/corpora/NAME where the corpus is: FOLDER, or NAME_DIR of conf/corpora.sh,
# or what was noted before, or '-' for one that is made on the spot.
find_corpus() {
  local place
  place=$(_given_folder "$1" "$2")
  if [ -z "$place" ] && [ -e "data/corpora/$1" ]; then return; fi
  if [ -n "$place" ]; then place=$(cd "$place" && pwd); fi
  mkdir -p data/corpora
  echo "${place:--}" > "data/corpora/$1"
}

# Where conf/corpora.sh says that corpus $1 is, unless $2, which may be empty, does.
_given_folder() {
  local variable=${1^^}_DIR
  . "$SV_ROOT/conf/corpora.sh"
  echo "${2:-${!variable:-}}"
}

# prepare_stage NAME: stage 1 of a corpus; of a folder with wav.scp and trials, which may change, these are inputs, too.
prepare_stage() {
  local place=data/corpora/$1 inputs=()
  if [ -e "$place" ]; then mapfile -t inputs < <(existing "$(cat "$place")"/{wav.scp,trials}); fi
  run_stage 1 "prepare_$1" data "$place" ${inputs[@]+"${inputs[@]}"} -- prepare_corpus "$1"
}

# prepare_corpus NAME: its data dirs.
prepare_corpus() {
  local folder options=()
  folder=$(cat "data/corpora/$1")
  if [ "$folder" != - ]; then options=(--corpus-dir "$folder"); fi
  if [ "$allow_incomplete" = true ] && grep -q '^allow_incomplete=' "local/prepare_$1.sh"; then
    options+=(--allow-incomplete true)
  fi
  "local/prepare_$1.sh" ${options[@]+"${options[@]}"} data
}

# install_trials DIR: the recipe's own trial list of a test set, trials/<name>, goes into its data dir.
install_trials() {
  local name
  name=$(basename "$1")
  if [ -e "trials/$name" ]; then
    run_stage 1 "trials_$name" "$1" "trials/$name" -- install_file "trials/$name" "$1/trials"
  fi
}

# input_tables SOURCE VAD: names of the table of places, the table of lengths, the text that identifies both, and, if
# it is that which knows what is speech, the table of voice activity.
input_tables() {
  case "$1 $2" in
    audio*) echo audio.scp utt2num_samples audio.id ;;
    "feats true") echo feats.scp utt2num_frames feats.id vad.scp ;;
    *) echo feats.scp utt2num_frames feats.id ;;
  esac
}

# make_inputs SOURCE VAD DIR: stage 2 of one data dir; SOURCE is feats or audio, VAD is true if only speech is wanted.
# Uses $jobs and $allow_pipes. A data dir without wav.scp is taken as it is, if it brought features or shards with it.
make_inputs() {
  local dir=$3 name conf inputs table
  read -r table _ <<< "$(input_tables "$1" "$2")"
  if [ ! -e "$dir/wav.scp" ] && [ -e "$dir/$table" ]; then return; fi
  name=$(basename "$dir")
  conf=$(conf_file vad.conf)
  mapfile -t inputs < <(existing "$dir"/{utt2spk,wav.scp,segments})
  if [ "$1" = audio ]; then
    if [ "$2" = true ]; then inputs+=("$conf"); fi
    run_stage 2 "shards_$name" "$dir" ${inputs[@]+"${inputs[@]}"} -- \
      steps/make_shards.sh "${jobs[@]}" --allow-pipes "$allow_pipes" --apply-vad "$2" --vad-config "$conf" "$dir"
    return
  fi
  run_stage 2 "fbank_$name" "$dir" ${inputs[@]+"${inputs[@]}"} "$(conf_file fbank.conf)" -- \
    steps/make_fbank.sh "${jobs[@]}" --allow-pipes "$allow_pipes" "$dir"
  if [ "$2" = true ]; then
    run_stage 2 "vad_$name" "$dir" ${inputs[@]+"${inputs[@]}"} "$dir/utt2num_frames" "$conf" -- \
      steps/compute_vad.sh "${jobs[@]}" --allow-pipes "$allow_pipes" "$dir"
  fi
}

# bind_roles ROLE=DIR...: makes the audio shards of the augmentation's data dirs, but for those that train or test: they
# have theirs; sets $roles, the recipe's own data dirs, and $role_options, which bind them for steps/train.sh.
bind_roles() {
  local pair dir
  roles=() role_options=()
  for pair; do
    dir=data/$(basename "${pair#*=}")
    [[ " $train $extra ${tests[*]} " == *" $dir "* ]] || make_inputs audio false "$dir"
    roles+=("$dir")
    role_options+=(--augment-set "${pair%%=*}=$dir")
  done
}

# join_tables OUT FILE...: one sorted table of several.
join_tables() {
  local out=$1
  shift
  mkdir -p "$(dirname "$out")"
  sort -u "$@" > "$out.tmp"
  mv "$out.tmp" "$out"
}

# trial_lists DIR...: their trial lists, one a line.
trial_lists() {
  local dir list found twice
  twice=$(for dir; do for list in "$dir"/trials "$dir"/trials_*; do [ ! -e "$list" ] || trials_name "$list"; done; done | sort | uniq -d)
  [ -z "$twice" ] || _fail "two trial lists would both be called ${twice//$'\n'/ }; rename a test set or a list"
  for dir; do
    found=false
    for list in "$dir"/trials "$dir"/trials_*; do
      if [ -e "$list" ]; then found=true; echo "$list"; fi
    done
    $found || _fail "test set $dir has neither trials nor trials_<name>"
  done
}

# trials_name LIST: data/x/trials -> x, data/x/trials_hard -> x_hard.
trials_name() {
  local name
  name=$(basename "$1")
  echo "$(basename "$(dirname "$1")")${name#trials}"
}
