# shellcheck shell=bash
# Sourced after the configuration section of a script: sets its variables from the command line, strictly.
#
# The options are the variables assigned between the lines "# Begin configuration section." and
# "# End configuration section." of the script that sources this file, one to a line:
#   nj=4          # <int> number of parallel jobs
#   cmd=run.pl    # a string, since no <int>, <float> or <bool> begins the comment
#   set=()        # an array: the option may be repeated; the first use replaces the default
# `--name value` sets one (`--max-jobs-run` and `--max_jobs_run` are the same); `--` ends the options. Afterwards "$@"
# holds the arguments. Values are stored as they are: nothing in them is ever evaluated, and none begins with `--`.
# Everything wrong is told with its near miss, exit status 1. `--help` prints the script's head and its options.
#
# Also defines: usage_error MESSAGE               says so with the usage, exit status 1
#               expect_arguments MIN MAX "$@"     MAX may be inf
#
# Names begin with _po_ because an option may have any other name.

_po_script="${BASH_SOURCE[1]}"
_po_lines=()       # the configuration section as shown by --help
_po_dashed=()      # known options as the user writes them, without the leading dashes
_po_ended=false    # whether `--` was seen: arguments after it may look like options
_po_shift=0        # words that were options
declare -A _po_type=() _po_default=() _po_array=() _po_count=()

_po_fail() {
  echo "${_po_script##*/}: $1" >&2
  exit 1
}

# The head comment, without the shebang and the comment signs.
_po_head() {
  local line
  while IFS= read -r line; do
    case "$line" in
      '#!'*) ;;
      '# shellcheck'*) ;;
      '#'*) line="${line#\#}"; echo "${line# }" ;;
      *) break ;;
    esac
  done <"$_po_script"
}

_po_usage() {
  local line inside=false
  while IFS= read -r line; do
    case "$line" in Usage:*) inside=true ;; '') inside=false ;; esac
    if $inside; then echo "$line"; fi
  done < <(_po_head)
}

_po_help() {
  _po_head
  printf '\nOptions:\n'
  printf '%s\n' ${_po_lines[@]+"${_po_lines[@]}"}
}

usage_error() {
  echo "${_po_script##*/}: $1" >&2
  { _po_usage; echo "(--help shows the options)"; } >&2
  exit 1
}

expect_arguments() {
  local min="$1" max="$2" argument wanted
  shift 2
  for argument; do
    if ! $_po_ended && [[ $argument == -[!0-9.]* ]]; then
      usage_error "'$argument' after the arguments: options come first"
    fi
  done
  case "$max" in
    inf) wanted="at least $min" ;;
    "$min") wanted="$min" ;;
    *) wanted="$min to $max" ;;
  esac
  if [ $# -lt "$min" ] || { [ "$max" != inf ] && [ $# -gt "$max" ]; }; then
    usage_error "$# arguments instead of $wanted"
  fi
}

# Learns the options from the configuration section.
_po_read_section() {
  local line name type text number=0 inside=false
  local assignment='^([A-Za-z_][A-Za-z0-9_]*)=("[^"]*"|'\''[^'\'']*'\''|\([^)]*\)|[^[:space:]#]*)[[:space:]]*(#[[:space:]]*(.*))?$'
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    if [[ $line == '# Begin configuration section.'* ]]; then
      inside=true
    elif ! $inside || [ -z "$line" ]; then
      continue
    elif [[ $line == '# End configuration section.'* ]]; then
      return
    elif [[ $line =~ ^[[:space:]]*# ]]; then
      _po_lines+=("  ${line#"${line%%[!# ]*}"}")
    elif [[ $line =~ $assignment ]]; then
      name="${BASH_REMATCH[1]}" _po_default[$name]="${BASH_REMATCH[2]}" text="${BASH_REMATCH[4]}" type=string
      if [[ $text =~ ^\<([a-z]+)\>[[:space:]]*(.*)$ ]]; then
        type="${BASH_REMATCH[1]}" text="${BASH_REMATCH[2]}"
      fi
      [[ $type =~ ^(string|int|float|bool)$ ]] || _po_fail "line $number: no such type of option: <$type>"
      _po_type[$name]="$type"
      case "${_po_default[$name]}" in
        \(*) _po_array[$name]=yes; _po_default[$name]="${_po_default[$name]:1:-1}" ;;
        [\"\']*) _po_default[$name]="${_po_default[$name]:1:-1}" ;;
      esac
      _po_dashed+=("${name//_/-}")
      printf -v line '  --%-24s %s' "${name//_/-} <$type>" "$text${_po_default[$name]:+ [${_po_default[$name]}]}"
      _po_lines+=("$line")
    else
      _po_fail "line $number: the configuration section holds only 'name=value  # <type> what it is'"
    fi
  done <"$_po_script"
  _po_fail "no lines '# Begin configuration section.' and '# End configuration section.'"
}

# The number of edits between two words, in REPLY.
_po_distance() {
  local a="$1" b="$2" i j diagonal above cost row=()
  for ((j = 0; j <= ${#b}; j++)); do row[j]=$j; done
  for ((i = 1; i <= ${#a}; i++)); do
    diagonal=${row[0]}
    row[0]=$i
    for ((j = 1; j <= ${#b}; j++)); do
      above=${row[j]}
      [ "${a:i-1:1}" = "${b:j-1:1}" ] && cost=$diagonal || cost=$((diagonal + 1))
      ((above + 1 < cost)) && cost=$((above + 1))
      ((row[j - 1] + 1 < cost)) && cost=$((row[j - 1] + 1))
      row[j]=$cost
      diagonal=$above
    done
  done
  REPLY=${row[${#b}]}
}

_po_unknown() {
  local word="$1" known hint='' least=$((1 + ${#1} / 3))
  for known in ${_po_dashed[@]+"${_po_dashed[@]}"}; do
    _po_distance "${word//_/-}" "$known"
    if [ "$REPLY" -le "$least" ]; then
      least=$((REPLY - 1)) hint=" (did you mean '--$known'?)"
    fi
  done
  _po_fail "unknown option '--$word'$hint; --help shows all"
}

# Fails unless value $3 suits option $2 (as the user wrote it) of variable $1.
_po_check() {
  local hint=''
  [ -n "$3" ] || [ -n "${_po_default[$1]}" ] || return 0 # where the default is empty, empty means "not given"
  case "${_po_type[$1]}" in
    int) # without leading zeros, which $(( )) takes for octal, and within 64 bits
      [[ $3 =~ ^-?(0|[1-9][0-9]{0,17})$ ]] || _po_fail "$2 wants an integer, not '$3'" ;;
    float)
      [[ $3 =~ ^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$ ]] || _po_fail "$2 wants a number, not '$3'" ;;
    bool)
      case "$3" in
        true | false) ;;
        [Tt]* | [Yy]* | [Oo][Nn] | 1) hint=" (did you mean 'true'?)" ;;
        [Ff]* | [Nn]* | [Oo][Ff]* | 0) hint=" (did you mean 'false'?)" ;;
      esac
      [[ $3 =~ ^(true|false)$ ]] || _po_fail "$2 wants true or false, not '$3'$hint" ;;
  esac
}

_po_parse() {
  local _po_name _po_all=$#
  while [ $# -gt 0 ]; do
    case "$1" in
      --) _po_ended=true; shift; break ;;
      -h | --help) _po_help; exit 0 ;;
      --*=*) _po_fail "write '${1%%=*} ${1#*=}' instead of '$1'" ;;
      --*) ;;
      -[!0-9.]*) _po_fail "options begin with two dashes: not '$1'; --help shows all" ;;
      *) break ;;
    esac
    _po_name="${1#--}" _po_name="${_po_name//-/_}"
    if [[ ! $_po_name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || [ -z "${_po_type[$_po_name]:-}" ]; then
      _po_unknown "${1#--}"
    elif [ $# -eq 1 ]; then
      _po_fail "$1 wants a value"
    elif [[ $2 == --* ]]; then
      _po_fail "$1 wants a value, but '$2' follows it"
    fi
    _po_check "$_po_name" "$1" "$2"
    if [ -n "${_po_array[$_po_name]:-}" ]; then
      [ -n "${_po_count[$_po_name]:-}" ] || unset -v "$_po_name"
      printf -v "${_po_name}[${_po_count[$_po_name]:=0}]" %s "$2"
      _po_count[$_po_name]=$((_po_count[$_po_name] + 1))
    else
      printf -v "$_po_name" %s "$2"
    fi
    shift 2
  done
  _po_shift=$((_po_all - $#))
}

_po_read_section
_po_parse "$@"
shift "$_po_shift"
