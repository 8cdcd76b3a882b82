"""Corpora as they are distributed: one scanner each, from a folder to utterances and their sets. None opens audio."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from sv_py.cli import InputError
from sv_py.corpora import an4, librispeech, speechocean762


@dataclass(frozen=True)
class Corpus:
    """``scanner.scan(folder)`` gives utterances, ``scanner.split(utterances)`` set name -> utterances."""

    scanner: ModuleType
    title: str
    variable: str  # of conf/corpora.sh
    source: str

    def find(self, folder: str) -> Path:
        """The corpus's folder; InputError that says how to name one and where to get the corpus."""
        if folder and Path(folder).is_dir():
            return Path(folder).absolute()
        what = f"no such folder: {folder}" if folder else f"where is {self.title}?"
        raise InputError(
            f"{what}; give --corpus-dir, or set {self.variable} in the environment or in conf/corpora.site.sh"
            f" ({self.title}: {self.source})"
        )


CORPORA = {
    "an4": Corpus(an4, "CMU AN4", "AN4_DIR", "an4_sphere.tar.gz of http://www.speech.cs.cmu.edu/databases/an4"),
    "speechocean762": Corpus(
        speechocean762, "speechocean762", "SPEECHOCEAN762_DIR", "OpenSLR 101, https://www.openslr.org/101"
    ),
    "librispeech": Corpus(librispeech, "LibriSpeech", "LIBRISPEECH_DIR", "OpenSLR 12, https://www.openslr.org/12"),
}
