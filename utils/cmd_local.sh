#!/usr/bin/env bash
# Runs a command, or an array of jobs, on this machine and waits for the end; takes the place of Kaldi's run.pl.
#
# Usage: utils/cmd_local.sh [options] [JOB=<first>:<last>] <log> <command> [<argument>...]
#  e.g.: utils/cmd_local.sh --gpu 1 exp/train.log python -m sv_py.train conf/x.yaml
#  e.g.: utils/cmd_local.sh --max-jobs-run 4 JOB=1:10 exp/log/x.JOB.log python -m sv_py.x split10/JOB
#
# Options and job range may stand in any order before the log, and any name in place of JOB. The number of a job
# replaces every JOB in the log's name and in the arguments. Exit status 1 if any job failed. See docs/queue.md.
# shellcheck disable=SC2034  # --mem and --time are for clusters: accepted, not used
set -euo pipefail

# Begin configuration section.
gpu=0            # <int> CUDA devices per job, leased so that no other job has them
mem=             # memory per job, as 4G; for clusters, not enforced here
num_threads=     # <int> threads per job, exported as OMP_NUM_THREADS
max_jobs_run=()  # <int> jobs at a time, the smallest if repeated (default: as many as cores or devices allow)
time=            # time limit, as 4:00:00; for clusters, not enforced here
num_nodes=1      # <int> there is only one here
grace=60         # <int> seconds that jobs have to end in order when they are stopped; then they are killed
# End configuration section.

options=() range=()
while [ $# -gt 0 ]; do # the parser takes options only, so the job range is picked out from among them
  case "$1" in
    -V) shift ;; # Grid Engine: export the environment, as is always done here
    -tc) options+=(--max-jobs-run "${@:2:1}"); shift $(($# > 1 ? 2 : 1)) ;; # Grid Engine's --max-jobs-run
    -h | --help) options+=("$1"); shift ;;
    -*) options+=("${@:1:2}"); shift $(($# > 1 ? 2 : 1)) ;;
    *) [[ $1 =~ ^[A-Za-z_][A-Za-z0-9_]*=[^/]*$ ]] || break; range+=("$1"); shift ;;
  esac
done
command=("$@")
set -- ${options[@]+"${options[@]}"}
# Without path.sh: it looks for a Python environment, which nothing here needs.
. "$(dirname "${BASH_SOURCE[0]}")/parse_options.sh"

name='' first=1 last=1
if [ ${#range[@]} -gt 0 ]; then
  [[ ${range[*]} =~ ^([A-Za-z0-9_]+)=([1-9][0-9]{0,8})(:([1-9][0-9]{0,8}))?$ ]] ||
    usage_error "not a job range as JOB=1:10, starting from 1 or more: '${range[*]}'"
  name="${BASH_REMATCH[1]}" first="${BASH_REMATCH[2]}" last="${BASH_REMATCH[4]:-${BASH_REMATCH[2]}}"
  [ "$first" -le "$last" ] || usage_error "the job range is empty: '${range[*]}'"
fi
[ ${#command[@]} -ge 2 ] || usage_error "a log and a command are needed"
log_pattern="${command[0]}" command=("${command[@]:1}")
[ "$first" = "$last" ] || [[ $log_pattern == *"$name"* ]] ||
  usage_error "one log for many jobs: no $name in '$log_pattern'"
[ "$num_nodes" = 1 ] || usage_error "--num-nodes $num_nodes: there is one node only"
[ "$gpu" -ge 0 ] || usage_error "--gpu is 0 or more, not $gpu"
[ "${num_threads:-1}" -ge 1 ] || usage_error "--num-threads is 1 or more, not $num_threads"
[ "$grace" -ge 0 ] || usage_error "--grace is 0 or more, not $grace"
[ -z "$num_threads" ] || export OMP_NUM_THREADS="$num_threads"

# Whether the processes (or, negative, process groups) $2... end within $1 tenths of a second.
end_within() {
  local i
  for ((i = 0; i < $1; i++)); do
    kill -0 -- "${@:2}" 2>/dev/null || return 0
    sleep 0.1
  done
  return 1
}

# Ends process $1, its descendants and all in their process groups: TERM, once for each, and KILL after the grace time.
end_tree() {
  local stat line pid fields groups
  local -A parent=() group=() ended=([-$1]="")
  for stat in /proc/[0-9]*/stat; do
    { read -r line <"$stat"; } 2>/dev/null || continue
    read -ra fields <<<"${line##*) }" # after "pid (name) ", and the name may hold anything: state, parent, group
    parent[${line%% *}]=${fields[1]} group[${line%% *}]=${fields[2]}
  done
  for stat in "${!parent[@]}"; do
    pid=$stat
    while [ "${pid:-0}" -gt 1 ] && [ "$pid" != "$1" ]; do pid=${parent[$pid]:-}; done
    [ "$pid" != "$1" ] || ended[-${group[$stat]}]=
  done
  groups=("${!ended[@]}")
  kill -TERM -- "${groups[@]}" 2>/dev/null || true
  end_within $((10 * grace)) "${groups[@]}" || kill -KILL -- "${groups[@]}" 2>/dev/null || true
}

log_of() {
  if [ -n "$name" ]; then echo "${log_pattern//$name/$1}"; else echo "$log_pattern"; fi
}

run_job() {
  local log line started code asked=true argv=("${command[@]}")
  [ "$gpu" = 0 ] || lease_devices "$1"
  log="$(log_of "$1")"
  [ -z "$name" ] || argv=("${argv[@]//$name/$1}")
  [[ $log != */* ]] || mkdir -p "${log%/*}"
  printf -v line ' %q' "${argv[@]}"
  printf '#%s\n# Running on %s\n' "$line" "$HOSTNAME" >|"$log"
  started=$SECONDS
  printf '# Started at %(%F %T)T\n' -1 >>"$log"
  set -m # gives the job a process group of its own
  exec -- "${argv[@]}" </dev/null >>"$log" 2>&1 &
  job_pid=$!
  set +m
  ! $stopped || end_tree "$job_pid" 2>/dev/null # for a signal that came before job_pid was known
  while $asked; do # SIGUSR1 interrupts a wait
    asked=false code=0
    wait "$job_pid" 2>>"$log" || code=$?
  done
  job_pid=''
  [ "$gpu" = 0 ] || end_leases
  [ -z "$(tail -c 1 "$log")" ] || echo >>"$log"
  printf '# Accounting: time=%d threads=%d\n' $((SECONDS - started)) "${num_threads:-1}" >>"$log"
  printf '# Ended (code %d) at %(%F %T)T\n' "$code" -1 >>"$log"
  echo "$code" >|"$state/$1"
}

# Runs jobs that no other worker has begun, until none is left. It lies in a process group of its own, so a Ctrl-C or
# a kill of the dispatcher's group leaves it time to end its job and that job's log in an orderly way.
worker() {
  local job job_pid='' stopped=false
  trap 'stopped=true; [ -z "$job_pid" ] || end_tree "$job_pid" 2>/dev/null' TERM
  trap 'asked=true; [ -z "$job_pid" ] || kill -USR1 "$job_pid" 2>/dev/null' USR1
  set -o noclobber
  for ((job = first; job <= last; job++)); do
    ! $stopped || break
    { : >"$state/$job"; } 2>/dev/null || continue # creating the file is what claims the job
    run_job "$job"
  done
}

# Ends the workers if the dispatcher dies before they have ended (kill -9, SIGPIPE): then reading gives end of file.
watchdog() {
  exec {alive}>&-
  ! read -r -u "$watch" || return 0
  kill -TERM "${workers[@]}" 2>/dev/null || true
  end_within $((10 * grace + 50)) "${workers[@]}" || true
  rm -rf "$state"
}

# Called on signal $1; before all workers are known it is only remembered.
stop() {
  stopped="$1"
  $started || return 0
  trap '' HUP INT TERM
  kill -TERM "${workers[@]}" 2>/dev/null || true
  wait "${workers[@]}" || true
  echo end >&"$alive"
  echo "cmd_local.sh: stopped by SIG$1" >&2 || true # last: who reads that may have gone, and SIGPIPE would end all here
  exit $((128 + $(kill -l "$1")))
}

if [ "$gpu" -gt 0 ]; then
  . "$(dirname "${BASH_SOURCE[0]}")/gpu_leases.sh"
  find_devices
  num_workers=$((${#devices[@]} / gpu))
else # nproc knows affinity, but would take OMP_NUM_THREADS for the number of cores
  num_workers=$(($(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc) / ${num_threads:-1}))
  [ "$num_workers" -ge 1 ] || num_workers=1
fi
if [ ${#max_jobs_run[@]} -gt 0 ]; then
  limit="$(printf '%s\n' "${max_jobs_run[@]}" | sort -n | head -n 1)"
  [ "$limit" -ge 1 ] || usage_error "--max-jobs-run is 1 or more, not $limit"
  # More jobs than cores is the caller's choice; more than the devices could only wait.
  [ "$gpu" -gt 0 ] && [ "$limit" -gt "$num_workers" ] || num_workers="$limit"
fi
num_jobs=$((last - first + 1))
[ "$num_workers" -le "$num_jobs" ] || num_workers=$num_jobs

state="$(mktemp -d)"
mkfifo "$state/alive"
exec {alive}<>"$state/alive"
exec {watch}<"$state/alive"
trap 'rm -rf "$state"' EXIT
workers=() started=false stopped='' asked=true
trap 'asked=true; ! $started || kill -USR1 "${workers[@]}" 2>/dev/null || true' USR1 # it asks jobs that know it to stop
for signal in HUP INT TERM; do
  # shellcheck disable=SC2064  # the name of the signal is wanted now
  trap "stop $signal" "$signal"
done
set -m
for ((n = 0; n < num_workers; n++)); do
  worker {alive}>&- {watch}<&- &
  workers+=($!)
done
watchdog &
set +m
started=true
[ -z "$stopped" ] || stop "$stopped"
while $asked; do
  asked=false
  wait "${workers[@]}" || true
done
echo end >&"$alive"

failed=()
for ((job = first; job <= last; job++)); do
  code=''
  { read -r code <"$state/$job"; } 2>/dev/null || true # empty or missing if a worker died
  [ "$code" = 0 ] || failed+=("$(log_of "$job")")
done
[ ${#failed[@]} -gt 0 ] || exit 0
{
  echo "cmd_local.sh: ${#failed[@]} of $num_jobs jobs failed, log: ${failed[*]:0:5}$([ ${#failed[@]} -le 5 ] || echo ' ...')"
  echo "the end of ${failed[0]}:"
  [ ! -e "${failed[0]}" ] || tail -n 20 "${failed[0]}"
} >&2
exit 1
