# shellcheck shell=bash
# Sourced by every script: where the project is, which python runs it, and the locale of Kaldi's tables.
# Needs nothing from its caller, so it also works in a queued job. The first of these pythons is taken:
# SV_PYTHON, the project's own .venv (`make venv`), the active venv, conda or module that has torch.

SV_ROOT="$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"  # -P: a recipe reaches us through its symlinks
export SV_ROOT LC_ALL=C PYTHONPATH="$SV_ROOT" PYTHONNOUSERSITE=1

_sv_find_python() {
  if [ -n "${SV_PYTHON:-}" ]; then
    [ -x "$SV_PYTHON" ] || { echo "path.sh: SV_PYTHON is not an executable: $SV_PYTHON" >&2; return 1; }
  elif [ -e "$SV_ROOT/.venv/.complete" ]; then
    SV_PYTHON="$SV_ROOT/.venv/bin/python"
  else
    SV_PYTHON="$(command -v python3 || true)"
    if [ -z "$SV_PYTHON" ] || ! "$SV_PYTHON" -c \
        'import importlib.util as u, sys; sys.exit(not all(u.find_spec(m) for m in ("torch", "kaldiio", "lhotse")))'; then
      echo "path.sh: no environment with torch, kaldiio and lhotse: run 'make -C $SV_ROOT venv'," \
        "or activate a venv, conda or module that has requirements.txt installed, or set SV_PYTHON" >&2
      return 1
    fi
  fi
  export SV_PYTHON
}
_sv_find_python || exit 1
case ":$PATH:" in
  *":$SV_ROOT/utils:"*) ;;
  *) PATH="$(dirname "$SV_PYTHON"):$SV_ROOT/utils:$PATH"; export PATH ;;
esac
