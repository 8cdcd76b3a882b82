"""Write down what is being run: command, code, machine, versions, inputs. One JSON file per launch."""

import hashlib
import importlib.metadata
import json
import os
import platform
import socket
import subprocess
import time
from pathlib import Path

from sv_py.cli import Parser, command
from sv_py.io.atomic import replace_file

_PACKAGES = ("torch", "torchaudio", "numpy", "kaldiio", "lhotse", "soundfile", "webrtcvad-wheels")
_JOB_VARIABLES = ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "JOB_ID", "CUDA_VISIBLE_DEVICES")
_MOST_DIFF = 1 << 20  # bytes of `git diff` kept; more is generated files, not a change


def record(argv: list[str], inputs: list[Path]) -> dict:
    """What a launch is: everything needed to tell it from another."""
    root = Path(__file__).resolve().parents[1]
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "argv": argv,
        "directory": os.getcwd(),
        "host": socket.gethostname(),
        "user": os.environ.get("USER", ""),
        "job": {name: os.environ[name] for name in _JOB_VARIABLES if name in os.environ},
        "git": {
            "revision": _git(root, "rev-parse", "HEAD"),
            "status": _git(root, "status", "--porcelain", "--untracked-files=no"),
            "diff": (_git(root, "diff", "HEAD") or "")[:_MOST_DIFF],
        },
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        "cores": os.cpu_count(),
        "inputs": {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs},
    }


def _git(root: Path, *argv: str) -> str | None:
    """What git says of the project, or None where it is not a checkout or there is no git."""
    try:
        done = subprocess.run(["git", "-C", root, *argv], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip("\n")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> None:
    """Parse the command line and write the record."""
    parser = Parser(prog="python -m sv_py.provenance", description=__doc__)
    parser.add_argument("--out-dir", type=Path, required=True, help="gets <time>_<step>.json")
    parser.add_argument("--step", default="run", help="what is launched")
    parser.add_argument("--input", type=Path, action="append", default=[], help="small input file, to be hashed")
    parser.add_argument("argv", nargs="+", help="the command, after --")
    args = parser.parse_args()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}_{args.step}.json"
    with replace_file(args.out_dir / name) as file:
        json.dump(record(args.argv, args.input), file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    command(main)
