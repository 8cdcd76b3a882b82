# shellcheck shell=bash
# Sourced by run.sh: the small things between its stages.

# Number of GPUs to train on: one where there is one.
count_gpus() {
  if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then echo 1; else echo 0; fi
}

# Data dirs of the recipe are data/<name>; all others are somebody else's and are copied, never written.
is_outside() { [ "$(dirname "$1")" != data ]; }

# local_dirs DIR...: the recipe's own data dir of each.
local_dirs() {
  local dir dirs=()
  for dir; do dirs+=("data/$(basename "$dir")"); done
  echo "${dirs[@]}"
}

# combined_dir DIR...: the data dir that DIRs are combined to, data/a+b; for one DIR its own, for none nothing.
combined_dir() {
  local dir name=
  for dir; do name+=+$(basename "$dir"); done
  if [ -n "$name" ]; then echo "data/${name#+}"; fi
}

# check_names DIR...: two data dirs of one name would be written to one place.
check_names() {
  local twice
  twice=$(for dir; do echo "${dir%/}"; done | sort -u | sed 's:.*/::' | sort | uniq -d)
  if [ -n "$twice" ]; then
    echo "${0##*/}: two different data dirs are called ${twice//$'\n'/ }; rename one" >&2
    exit 1
  fi
}

# resolve_config YAML EXP KEY=VALUE...: checks the experiment's YAML, writes it whole to EXP/config.yaml, and the keys
# that each stage depends on to EXP/.done/sections. Another configuration than EXP's own needs --stage or --restart.
resolve_config() {
  local yaml=$1 exp=$2 override options=()
  shift 2
  for override; do options+=(--set "$override"); done
  local text
  text=$(python -m sv_py.config "$yaml" ${options[@]+"${options[@]}"})
  if [ -e "$exp/config.yaml" ] && [ -z "$stage" ] && [ "$restart" = false ] && [ "$text" != "$(cat "$exp/config.yaml")" ]; then
    echo "${0##*/}: $exp was made with another configuration (<: then, >: now):" >&2
    diff "$exp/config.yaml" - <<< "$text" >&2 || true
    echo "Take another --tag; or redo it from some --stage on, with --restart true if that is to train anew." >&2
    exit 1
  fi
  mkdir -p "$exp/.done" "$exp/log"
  if [ "$restart" = true ]; then find "$exp/.done" -maxdepth 1 -type f -delete; fi
  python -m sv_py.config "$yaml" ${options[@]+"${options[@]}"} --out "$exp/config.yaml" --sections "$exp/.done/sections"
}

# find_corpus NAME FOLDER: notes in data/corpora/NAME where the corpus is: FOLDER, or NAME_DIR of conf/corpora.sh,
# or what was noted before, or '-' for one that is made on the spot.
find_corpus() {
  local name=$1 folder=$2 variable=${1^^}_DIR
  . "$SV_ROOT/conf/corpora.sh"
  folder=${folder:-${!variable:-}}
  mkdir -p data/corpora
  if [ -z "$folder" ] && [ -e "data/corpora/$name" ]; then return; fi
  folder=${folder:--}
  if [ "$folder" != - ]; then
    [ -d "$folder" ] || { echo "${0##*/}: no folder $folder (corpus $name: --corpus-dir or $variable)" >&2; exit 1; }
    folder=$(cd "$folder" && pwd)
  fi
  echo "$folder" > "data/corpora/$name"
}

# prepare_corpus NAME: its data dirs.
prepare_corpus() {
  local folder options=()
  folder=$(cat "data/corpora/$1")
  if [ "$folder" != - ]; then options=(--corpus-dir "$folder"); fi
  "local/prepare_$1.sh" ${options[@]+"${options[@]}"} data
}

# trial_lists DIR...: their trial lists, one a line.
trial_lists() {
  local dir list found
  for dir; do
    found=false
    for list in "$dir"/trials "$dir"/trials_*; do
      if [ -e "$list" ]; then found=true; echo "$list"; fi
    done
    $found || { echo "${0##*/}: test set $dir has neither trials nor trials_<name>" >&2; return 1; }
  done
}

# trials_name LIST: data/x/trials -> x, data/x/trials_hard -> x_hard.
trials_name() {
  local name
  name=$(basename "$1")
  echo "$(basename "$(dirname "$1")")${name#trials}"
}

# conf_file NAME: the recipe's own conf/NAME, or else the common one.
conf_file() {
  if [ -e "conf/$1" ]; then echo "conf/$1"; else echo "$SV_ROOT/conf/$1"; fi
}
