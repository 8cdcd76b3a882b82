# shellcheck shell=bash
# Sourced by run.sh: numbered stages with stamps, one run at a time in a folder, and the time each stage took.
#
# A stamp is what `sha256sum` prints of a stage's small text inputs, in DIR/.done/NAME, so `sha256sum -c` checks it.
# With --stage N every stage from N on runs; without it, a stage whose stamp holds is skipped and one whose inputs
# have changed since stops the run: what was made from the old inputs is never silently used or overwritten.

# run_stage NUMBER NAME DIR INPUT... -- COMMAND [ARG...]
# Uses $stage (may be empty) and $stop_stage. INPUTs that do not exist before COMMAND are an error. A stage without
# INPUTs has no stamp and always runs. A COMMAND that has stopped politely leaves DIR/unfinished, a line that says where,
# and exits with 0; so does then the run, without a stamp.
run_stage() {
  local number=$1 name=$2 dir=$3 inputs=() sums='' started
  shift 3
  while [ "$1" != -- ]; do inputs+=("$1"); shift; done
  shift
  [ "$number" -le "$stop_stage" ] || return 0
  [ -z "$stage" ] || [ "$number" -ge "$stage" ] || return 0
  if [ ${#inputs[@]} -gt 0 ] && ! sums=$(sha256sum -- "${inputs[@]}"); then
    echo "${0##*/}: stage $number ($name) needs the output of an earlier stage: begin with a lower --stage" >&2
    exit 1
  fi
  if [ -z "$stage" ] && [ -e "$dir/.done/$name" ]; then
    _stamp_holds "$number" "$name" "$dir" "$sums"
    _stage_times+=("$number $name - done before")
    return 0
  fi
  if $_asked; then
    echo "${0##*/}: stopped by SIGUSR1 before stage $number ($name); run it again to go on" >&2
    exit 0
  fi
  echo "== stage $number: $name" >&2
  _stage_running="$number ($name)" _stage_dir=$dir
  rm -f "$dir/.done/$name" "$dir/unfinished"
  started=$SECONDS
  _run "$@"
  if [ -e "$dir/unfinished" ]; then
    _tell_unfinished
    exit 0
  fi
  _stage_running='' _stage_dir=''
  _stage_times+=("$number $name $((SECONDS - started))")
  [ -n "$sums" ] || return 0
  mkdir -p "$dir/.done"
  printf '%s\n' "$sums" > "$dir/.done/.$name.tmp"
  sync "$dir/.done/.$name.tmp"
  mv "$dir/.done/.$name.tmp" "$dir/.done/$name"
}

# Runs a command in a process group of its own: bash handles a signal at once only while it waits, and then all of the
# stage can be ended, however deep its processes are.
_run() {
  local code passed_on=true
  set -m
  "$@" </dev/null &
  _stage_group=$!
  set +m
  _sign_locks # a stage outlives a run that is killed with -9: its group keeps the locks held
  while $passed_on; do # SIGUSR1 has interrupted the wait
    passed_on=false code=0
    wait "$_stage_group" || code=$?
  done
  if $_asked; then _await_group; fi
  _stage_group=
  return "$code"
}

_tell_unfinished() {
  if [ -n "$_stage_dir" ] && [ -e "$_stage_dir/unfinished" ]; then
    echo "${0##*/}: stage $_stage_running is unfinished: $(cat "$_stage_dir/unfinished"); run it again to go on" >&2
  fi
}

# Called on SIGUSR1, with which batch systems announce the end of a job's time: the stage may stop politely, as training
# does; no other one begins.
_ask() {
  _asked=true passed_on=true
  if [ -n "$_stage_group" ]; then kill -USR1 -- "-$_stage_group" 2>/dev/null || true; fi
}

# A dispatcher ends its jobs in order, also when the step that called it has gone.
_await_group() {
  while _alive - "$_stage_group"; do sleep 0.1; done
}

# Called on signal $1, whose exit status is $2.
_stop() {
  trap '' HUP INT TERM
  if [ -n "$_stage_group" ]; then
    kill -TERM -- "-$_stage_group" 2>/dev/null || true
    _await_group
  fi
  echo "${0##*/}: stopped by SIG$1" >&2
  _tell_unfinished
  exit "$2"
}

# Whether process $1 or a process of group $2 lives. Not `kill -0`: it takes a zombie, which no init may reap, for alive.
_alive() {
  ps -eo pid=,pgid=,stat= |
    awk -v pid="$1" -v group="$2" '($1 == pid || $2 == group) && $3 !~ /^Z/ { found = 1 } END { exit !found }'
}

# Ends the run unless the inputs of stage $1 ($2) of folder $3 are as its stamp has them; names those that are not.
_stamp_holds() {
  local stamp=$3/.done/$2 changed
  [ "$(cat "$stamp")" != "$4" ] || return 0
  changed=$({ cat "$stamp"; printf '%s\n' "$4"; } | sort | uniq -u | sed 's/^[0-9a-f]*  //' | sort -u)
  echo "${0##*/}: stage $1 ($2) is done, but not with these inputs. Changed since:" >&2
  printf '  %s\n' "$changed" >&2
  if [[ $3 == exp/* ]]; then
    echo "Run again with --stage $1 to redo it and what follows, or take another --tag." >&2
  else
    echo "Run again with --stage $1 to redo it, for every experiment that uses $3; or rename the data dir." >&2
  fi
  exit 1
}

# lock_dir DIR [wait]: no other run works in DIR until this one ends or unlocks it; `wait` for one that does instead of
# giving up. mkdir is atomic where flock is not (Lustre, NFS).
lock_dir() {
  local lock=$1/.lock host pid group told=false
  mkdir -p "$1"
  until mkdir "$lock" 2>/dev/null; do
    host='' pid='' group=''
    read -r host pid group 2>/dev/null < "$lock/owner" || true
    if [ "$host" = "$(hostname)" ] && ! _alive "$pid" "${group:-$pid}"; then
      echo "${0##*/}: taking over the lock of process $pid, which has ended" >&2
      break
    elif [ "${2:-}" != wait ]; then
      echo "${0##*/}: $1 is in use by process ${pid:-?}${group:+ (its stage by process group $group)} on ${host:-?};" \
        "if that has ended, remove $lock" >&2
      exit 1
    elif [ $told = false ]; then
      echo "${0##*/}: waiting for process ${pid:-?} on ${host:-?}, which works in $1 (if that has ended, remove $lock)" >&2
      told=true
    fi
    sleep 1
  done
  _locks+=("$lock")
  _sign_locks
}

# unlock_dir DIR
unlock_dir() {
  local lock kept=()
  for lock in ${_locks[@]+"${_locks[@]}"}; do [ "$lock" = "$1/.lock" ] || kept+=("$lock"); done
  _locks=(${kept[@]+"${kept[@]}"})
  _release "$1/.lock"
}

# Gives a lock back, unless somebody has removed it and it is another run's by now.
_release() {
  local host pid group
  read -r host pid group 2>/dev/null < "$1/owner" || true
  if [ "${pid:-}" = $$ ] && [ "$host" = "$(hostname)" ]; then rm -rf "$1"; fi
}

_sign_locks() {
  local lock
  for lock in ${_locks[@]+"${_locks[@]}"}; do
    if [ -d "$lock" ]; then echo "$(hostname) $$ $_stage_group" > "$lock/owner"; fi # somebody may have removed it
  done
}

# Prints what each stage took; appends it to FILE.
report_times() {
  local line number name seconds note total=0
  printf '%-6s %-40s %s\n' stage name seconds
  for line in ${_stage_times[@]+"${_stage_times[@]}"}; do
    read -r number name seconds note <<< "$line"
    printf '%-6s %-40s %s\n' "$number" "$name" "${note:-$seconds}"
    if [ "$seconds" != - ]; then
      total=$((total + seconds))
      printf '%s\t%s\t%s\n' "$number" "$name" "$seconds" >> "$1"
    fi
  done
  printf '%-6s %-40s %s\n' '' total "$total"
}

_end_of_run() {
  local status=$? lock
  for lock in ${_locks[@]+"${_locks[@]}"}; do _release "$lock"; done
  if [ "$status" -ne 0 ] && [ -n "$_stage_running" ]; then
    echo "${0##*/}: stopped in stage $_stage_running; run it again to go on" >&2
  fi
}

_stage_times=()
_locks=()
_stage_running=
_stage_dir=
_stage_group=
_asked=false
trap _end_of_run EXIT
trap _ask USR1
trap '_stop HUP 129' HUP
trap '_stop INT 130' INT
trap '_stop TERM 143' TERM
