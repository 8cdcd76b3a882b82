# shellcheck shell=bash
# Sourced by steps that cut a data dir into jobs and join what the jobs wrote.

# conf_file NAME: the recipe's own conf/NAME, or else the project's.
conf_file() {
  if [ -e "conf/$1" ]; then echo "conf/$1"; else echo "$SV_ROOT/conf/$1"; fi
}

# refuse_job PATH...: ends the step if a path holds the letters that a dispatcher replaces by the number of a job.
refuse_job() {
  [[ $* != *JOB* ]] || usage_error "the letters JOB in a path would become the number of a job: $*"
}

# data_step DATA [LOG-DIR [OUT-DIR]]: sets $data, $logdir, $outdir and $name; the defaults are Kaldi's.
# shellcheck disable=SC2034 # for the caller
data_step() {
  refuse_job "$@"
  data=${1%/}
  logdir=${2:-$data/log}
  outdir=${3:-$data/data}
  name=$(basename "$data")
}

# limit_jobs NJ TABLE: NJ, or the number of TABLE's lines where that is less (more jobs than utterances would be empty).
limit_jobs() {
  local lines
  [ "$1" -ge 1 ] || usage_error "--nj must be at least 1, not $1"
  lines=$(wc -l < "$2")
  echo $(($1 < lines ? $1 : lines))
}

# merge_tables NJ SHARD OUT: joins SHARD with JOB = 1..NJ to the table OUT, which appears whole.
merge_tables() {
  local job tmp
  tmp=$(dirname "$3")/.$(basename "$3").$$.tmp
  for ((job = 1; job <= $1; job++)); do cat "${2//JOB/$job}"; done | LC_ALL=C sort > "$tmp"
  sync "$tmp"
  mv "$tmp" "$3"
}

# install_file FILE OUT: a copy that appears whole.
install_file() {
  local tmp
  tmp=$(dirname "$2")/.$(basename "$2").$$.tmp
  cat "$1" > "$tmp" # not cp, which would take over the mode of a pipe
  sync "$tmp"
  mv "$tmp" "$2"
}
