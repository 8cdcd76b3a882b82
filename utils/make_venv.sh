#!/usr/bin/env bash
# Makes the virtual environment that path.sh looks for, or brings it up to date; where it is, does nothing.
# A run that was killed is taken up where it stopped; of several at a time one works and the others wait.
#
# Usage: utils/make_venv.sh [options]
#  e.g.: utils/make_venv.sh --torch-index https://download.pytorch.org/whl/cu126
set -euo pipefail

# Begin configuration section.
dev=false      # <bool> also install what tests and lint need
python=        # Python 3.11 or newer; if empty, the first such of python3.13, python3.12, python3.11 and python3
venv=          # folder of the environment; if empty, .venv of the project
torch_index=   # package index of torch and torchaudio, for other CUDA drivers; kept from then on
wheels=        # folder of wheels to install from, without any package index
# End configuration section.

# Without path.sh: it looks for the environment that is made here.
. "$(dirname "${BASH_SOURCE[0]}")/parse_options.sh"
expect_arguments 0 0 "$@"
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=${venv:-$root/.venv}

fail() {
  echo "${0##*/}: $1" >&2
  exit 1
}

# What makes python $1 unfit to build the environment; nothing if it is fit.
unfit() {
  command -v "$1" >/dev/null || { echo "is not there"; return; }
  "$1" -c 'if 1:
    import sys
    from importlib.util import find_spec
    if sys.version_info < (3, 11):
        print("is Python %d.%d" % sys.version_info[:2])
    elif not (find_spec("venv") and find_spec("ensurepip")):
        print("lacks the modules venv and ensurepip (on Debian and Ubuntu: the package python3-venv)")' 2>/dev/null ||
    echo "does not run"
}

# Sets $python to a fit one.
find_python() {
  local candidate reason found=''
  for candidate in ${python:-python3.13 python3.12 python3.11 python3}; do
    reason=$(unfit "$candidate")
    if [ -z "$reason" ]; then
      python=$candidate
      return
    fi
    found+=$'\n'"  $candidate $reason"
  done
  fail "needs Python 3.11 or newer with venv; name one: make venv PYTHON=/path/to/python$found"
}

pip() { "$venv/bin/python" -I -m pip --disable-pip-version-check --no-input "$@"; }

recorded_index() { cat "$venv/.torch-index" 2>/dev/null || true; }

# Whether the environment holds requirements file $1, by the checksum in its marker.
holds() { [ "$(cat "$venv/$(marker_of "$1")" 2>/dev/null)" = "$(sha256sum < "$root/$1")" ]; }

marker_of() {
  case "$1" in
    requirements.txt) echo .complete ;; # path.sh looks for it
    *) echo .complete-dev ;;
  esac
}

is_up_to_date() {
  local file
  [ -x "$venv/bin/python" ] && is_of_python || return 1
  [ -z "$torch_index" ] || [ "$torch_index" = "$(recorded_index)" ] || return 1
  for file in "${files[@]}"; do holds "$file" || return 1; done
}

# Whether the environment's Python has the version of the one that was asked for.
is_of_python() { [ -z "$python" ] || [ "$("$python" -V)" = "$("$venv/bin/python" -V)" ]; }

# Makes an environment with a working pip, unless there is one.
make_environment() {
  local part
  if [ -x "$venv/bin/python" ] && is_of_python && pip --version >/dev/null 2>&1; then return; fi
  find_python
  : > "$venv/pyvenv.cfg" # what is killed from here on is known for an environment
  for part in .complete .complete-dev bin include lib lib64 share; do rm -rf "${venv:?}/$part"; done
  "$python" -m venv "$venv"
}

# What an interrupted pip left looks installed; without its metadata pip installs it again.
forget_broken_packages() {
  local metadata
  for metadata in "$venv"/lib/python3.*/site-packages/*.dist-info; do
    [ -e "$metadata/INSTALLER" ] || rm -rf "$metadata"
  done
}

# Torch and torchaudio of another index have the same version number, so pip would take the ones that are there.
change_index() {
  if [ -z "$torch_index" ]; then
    torch_index=$(recorded_index)
  elif [ "$torch_index" != "$(recorded_index)" ]; then
    rm -f "$venv/.complete"
    pip uninstall --quiet --yes torch torchaudio
    echo "$torch_index" > "$venv/.torch-index"
  fi
}

# Whether all of requirements file $1 is installed: without index and folders pip would find nothing else.
is_satisfied() {
  PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS='' pip install --quiet --dry-run --no-index -r "$1" >/dev/null 2>&1
}

# Installs requirements file $1 and writes its marker.
install() {
  local file=$root/$1 marker torch
  if holds "$1"; then return; fi
  marker=$venv/$(marker_of "$1")
  if ! is_satisfied "$file"; then
    rm -f "$marker" # not before: whoever uses a whole environment goes on undisturbed
    echo "${0##*/}: installing $1 into $venv" >&2
    mapfile -t torch < <(grep -E '^torch(audio)?==' "$file")
    if [ -n "$torch_index" ] && [ ${#torch[@]} -gt 0 ]; then
      PIP_NO_INDEX=0 pip install --index-url "$torch_index" "${torch[@]}"
    fi
    pip install -r "$file"
  fi
  sha256sum < "$file" > "$marker.tmp"
  mv "$marker.tmp" "$marker"
}

files=(requirements.txt)
if [ "$dev" = true ]; then files+=(requirements-dev.txt); fi
if [ -n "$python" ]; then find_python; fi
if is_up_to_date; then exit 0; fi
if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls "$venv")" ]; then
  fail "$venv is not a virtual environment: remove it, or name another folder"
fi
if [ -n "$wheels" ]; then
  [ -d "$wheels" ] || fail "no folder of wheels: $wheels"
  PIP_FIND_LINKS=$(cd "$wheels" && pwd)
  export PIP_FIND_LINKS PIP_NO_INDEX=1 PIP_CONFIG_FILE=/dev/null
fi

# The kernel ends the lock with the last process that installs, so also with a pip that outlives us.
mkdir -p "$venv"
exec {lock}> "$venv/.lock"
flock --nonblock "$lock" ||
  { echo "${0##*/}: waiting for another run of it" >&2; flock "$lock"; } ||
  echo "${0##*/}: no locks on this file system: do not run it twice at a time" >&2

make_environment
change_index
forget_broken_packages
for file in "${files[@]}"; do install "$file"; done
echo "${0##*/}: $venv is complete" >&2
