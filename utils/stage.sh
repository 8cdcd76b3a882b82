# shellcheck shell=bash
# Sourced by run.sh: numbered stages with stamps, one run at a time in an experiment, and the time each stage took.
#
# A stamp is what `sha256sum` prints of a stage's small text inputs, in DIR/.done/NAME, so `sha256sum -c` checks it.
# With --stage N every stage from N on runs; without it, a stage whose stamp holds is skipped and one whose inputs
# have changed since stops the run: what was made from the old inputs is never silently used or overwritten.

# run_stage NUMBER NAME DIR INPUT... -- COMMAND [ARG...]
# Uses $stage (may be empty) and $stop_stage. INPUTs that do not exist before COMMAND are an error. A stage without
# INPUTs has no stamp and always runs.
run_stage() {
  local number=$1 name=$2 dir=$3 inputs=() sums started
  shift 3
  while [ "$1" != -- ]; do inputs+=("$1"); shift; done
  shift
  [ "$number" -le "$stop_stage" ] || return 0
  [ -z "$stage" ] || [ "$number" -ge "$stage" ] || return 0
  if [ ${#inputs[@]} -eq 0 ]; then _run "$@"; return; fi
  if ! sums=$(sha256sum -- "${inputs[@]}"); then
    echo "${0##*/}: stage $number ($name) needs the output of an earlier stage: begin with a lower --stage" >&2
    exit 1
  fi
  if [ -z "$stage" ] && [ -e "$dir/.done/$name" ]; then
    _stamp_holds "$number" "$name" "$dir/.done/$name" "$sums"
    _stage_times+=("$number $name - done before")
    return 0
  fi
  echo "== stage $number: $name" >&2
  _stage_running="$number ($name)"
  rm -f "$dir/.done/$name"
  started=$SECONDS
  _run "$@"
  _stage_running=
  mkdir -p "$dir/.done"
  printf '%s\n' "$sums" > "$dir/.done/.$name.tmp"
  sync "$dir/.done/.$name.tmp"
  mv "$dir/.done/.$name.tmp" "$dir/.done/$name"
  _stage_times+=("$number $name $((SECONDS - started))")
}

# Runs a command in a process group of its own: bash handles a signal at once only while it waits, and then all of the
# stage can be ended, however deep its processes are.
_run() {
  set -m
  "$@" </dev/null &
  _stage_group=$!
  set +m
  wait "$_stage_group"
  _stage_group=
}

# Called on signal $1, whose exit status is $2.
_stop() {
  trap '' INT TERM
  if [ -n "$_stage_group" ]; then
    kill -TERM -- "-$_stage_group" 2>/dev/null || true
    while kill -0 -- "-$_stage_group" 2>/dev/null; do sleep 0.1; done # a dispatcher ends its jobs in order
  fi
  echo "${0##*/}: stopped by SIG$1" >&2
  exit "$2"
}

# Ends the run unless the stamp's inputs are as they were; names those that are not.
_stamp_holds() {
  local changed
  [ "$(cat "$3")" != "$4" ] || return 0
  changed=$({ cat "$3"; printf '%s\n' "$4"; } | sort | uniq -u | sed 's/^[0-9a-f]*  //' | sort -u)
  echo "${0##*/}: stage $1 ($2) is done, but not with these inputs. Changed since:" >&2
  printf '  %s\n' "$changed" >&2
  echo "Run again with --stage $1 to redo it and what follows, or take another --tag." >&2
  exit 1
}

# lock_dir DIR: no other run works in DIR until this one ends. mkdir is atomic where flock is not (Lustre, NFS).
lock_dir() {
  local lock=$1/.lock host pid
  mkdir -p "$1"
  if ! mkdir "$lock" 2>/dev/null; then
    read -r host pid 2>/dev/null < "$lock/owner" || true
    if [ "${host:-}" = "$(hostname)" ] && ! kill -0 "${pid:-0}" 2>/dev/null; then
      echo "${0##*/}: taking over the lock of process $pid, which has ended" >&2
    else
      echo "${0##*/}: $1 is in use by process ${pid:-?} on ${host:-?}; if that has ended, remove $lock" >&2
      exit 1
    fi
  fi
  echo "$(hostname) $$" > "$lock/owner"
  _locked=$lock
}

# Prints what each stage took; appends it to FILE.
report_times() {
  local line number name seconds note
  printf '%-6s %-28s %s\n' stage name seconds
  for line in ${_stage_times[@]+"${_stage_times[@]}"}; do
    read -r number name seconds note <<< "$line"
    printf '%-6s %-28s %s\n' "$number" "$name" "${note:-$seconds}"
    if [ "$seconds" != - ]; then printf '%s\t%s\t%s\n' "$number" "$name" "$seconds" >> "$1"; fi
  done
}

_end_of_run() {
  local status=$?
  if [ -n "${_locked:-}" ]; then rm -rf "$_locked"; fi
  if [ "$status" -ne 0 ] && [ -n "${_stage_running:-}" ]; then
    echo "${0##*/}: stopped in stage $_stage_running; run it again to go on" >&2
  fi
}

_stage_times=()
_stage_running=
_stage_group=
trap _end_of_run EXIT
trap '_stop INT 130' INT
trap '_stop TERM 143' TERM
