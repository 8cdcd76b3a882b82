# shellcheck shell=bash
# Sourced by every script: where the project is, which python runs it, and the locale of Kaldi's tables.
# Needs nothing from its caller, so it also works in a queued job. The first of these pythons is taken:
# SV_PYTHON, the project's own .venv (`make venv`), the active venv, conda or module that has torch.

SV_ROOT="$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"  # -P: a recipe reaches us through its symlinks
export SV_ROOT LC_ALL=C

_sv_find_python() {
  if [ -z "${SV_PYTHON:-}" ] && [ -e "$SV_ROOT/.venv/.complete" ]; then
    SV_PYTHON="$SV_ROOT/.venv/bin/python"
    export PYTHONPATH='' PYTHONNOUSERSITE=1 # it is complete; other environments may have packages from there
  elif [ -z "${SV_PYTHON:-}" ] && ! SV_PYTHON="$(python3 2>/dev/null -c '
from importlib.util import find_spec
import sys
print(sys.executable)
sys.exit(sys.version_info < (3, 11) or not all(map(find_spec, ("torch", "kaldiio", "lhotse"))))')"; then
    echo "path.sh: no Python 3.11 with torch, kaldiio and lhotse: run 'make -C $SV_ROOT venv', or activate a venv," \
      "conda or module that has requirements.txt installed, or set SV_PYTHON" >&2
    return 1
  fi
  # The scripts say `python`, which the PATH must find: so it has to lie beside SV_PYTHON and be the same.
  if ! [[ -x $SV_PYTHON && $SV_PYTHON == /* && $SV_PYTHON -ef ${SV_PYTHON%/*}/python ]]; then
    echo "path.sh: SV_PYTHON is not the absolute path of an executable with a 'python' of the same kind beside it:" \
      "$SV_PYTHON" >&2
    return 1
  fi
}

# CUDA wants a driver as new as itself; with an older one torch finds no GPU and does not say why.
_sv_check_driver() {
  local line text version driver cuda least file="${SV_DRIVER_FILE:-/proc/driver/nvidia/version}"
  [ -e "$file" ] || return 0
  version=("${SV_PYTHON%/bin/*}"/lib/python3*/site-packages/torch/version.py)
  [ -e "${version[0]}" ] || return 0
  read -r line < "$file" || true
  text=$(< "${version[0]}")
  if [[ $line =~ [[:space:]]([0-9]+)\.[0-9.]+ ]]; then driver=${BASH_REMATCH[1]}; else return 0; fi
  if [[ $text =~ cuda(:[^=]*)?\ *=\ *[\"\']([0-9]+)\. ]]; then cuda=${BASH_REMATCH[2]}; else return 0; fi
  case "$cuda" in 13) least=580 ;; 12) least=525 ;; *) return 0 ;; esac
  if [ "$driver" -lt "$least" ]; then
    echo "path.sh: warning: the NVIDIA driver $driver of $HOSTNAME is too old for torch's CUDA $cuda, which needs $least;" \
      "torch will find no GPU. Take a torch for older drivers:" \
      "make venv TORCH_INDEX=https://download.pytorch.org/whl/cu126" >&2
    export SV_DRIVER_WARNED=1
  fi
}

if ! _sv_find_python; then
  unset SV_PYTHON
  # shellcheck disable=SC2317 # returning is for those who source this by hand: their shell lives on
  case $- in *i*) return 1 ;; *) exit 1 ;; esac
fi
export SV_PYTHON
case ":${PYTHONPATH:-}:" in *":$SV_ROOT:"*) ;; *) export PYTHONPATH="$SV_ROOT${PYTHONPATH:+:$PYTHONPATH}" ;; esac
if [ -z "${SV_DRIVER_WARNED:-}" ]; then _sv_check_driver; fi
if [ "$(command -v python)" != "${SV_PYTHON%/*}/python" ] || [[ :$PATH: != *:$SV_ROOT/utils:* ]]; then
  PATH="${SV_PYTHON%/*}:$SV_ROOT/utils:$PATH"
  export PATH
fi
