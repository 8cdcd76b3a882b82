"""Corpora as they are distributed: one scanner each, from a folder to utterances and their sets. None decodes audio."""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from sv_py.cli import InputError
from sv_py.corpora import (
    an4,
    cn_celeb,
    esd,
    librispeech,
    musan,
    rirs_noises,
    speechocean762,
    three_d_speaker,
    voxblink,
    voxblink2,
    voxceleb,
    voxceleb1,
    voxceleb2,
)
from sv_py.data.utterance import Utterance


@dataclass(frozen=True)
class Corpus:
    """``scanner.scan(folder)`` gives utterances, ``scanner.split(utterances)`` set name -> utterances.

    ``sizes``: set -> utterances and speakers as published, where a set of other size stops the preparation. Such
    scanners take the folder of published lists, too: ``scanner.scan(folder, lists)``. ``optional``: those of the sets
    that need not be there.
    ``first_channel``: files may have several channels, of which the first is taken; else they must be mono.
    """

    scanner: ModuleType
    title: str
    variable: str  # of conf/corpora.sh
    source: str
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    optional: Container[str] = ()
    first_channel: bool = False

    def find(self, folder: str) -> Path:
        """The corpus's folder; InputError that says how to name one and where to get the corpus."""
        if folder and Path(folder).is_dir():
            return Path(folder).absolute()
        what = f"no such folder: {folder}" if folder else f"where is {self.title}?"
        raise InputError(
            f"{what}; give --corpus-dir, or set {self.variable} in the environment or in conf/corpora.site.sh"
            f" ({self.title}: {self.source})"
        )

    def trials(self, folder: Path, sets: Mapping[str, list[Utterance]]) -> Mapping[str, Callable[[], Iterable[str]]]:
        """`<set>/<file>` -> a function that reads its lines, of the trial lists that the corpus brings."""
        return self.scanner.trials(folder, sets) if hasattr(self.scanner, "trials") else {}


CORPORA = {
    "an4": Corpus(an4, "CMU AN4", "AN4_DIR", "an4_sphere.tar.gz of http://www.speech.cs.cmu.edu/databases/an4"),
    "speechocean762": Corpus(
        speechocean762, "speechocean762", "SPEECHOCEAN762_DIR", "OpenSLR 101, https://www.openslr.org/101"
    ),
    "librispeech": Corpus(librispeech, "LibriSpeech", "LIBRISPEECH_DIR", "OpenSLR 12, https://www.openslr.org/12"),
    "voxceleb1": Corpus(voxceleb1, "VoxCeleb1", "VOXCELEB1_DIR", voxceleb.SOURCE, voxceleb.SIZES["voxceleb1"]),
    "voxceleb2": Corpus(
        voxceleb2, "VoxCeleb2", "VOXCELEB2_DIR", voxceleb.SOURCE, voxceleb.SIZES["voxceleb2"], voxceleb.OPTIONAL
    ),
    "voxblink": Corpus(voxblink, "VoxBlink", "VOXBLINK_DIR", "https://github.com/VoxBlink/ScriptsForVoxBlink"),
    "voxblink2": Corpus(voxblink2, "VoxBlink2", "VOXBLINK2_DIR", "https://github.com/VoxBlink2/ScriptsForVoxBlink2"),
    "musan": Corpus(musan, "MUSAN", "MUSAN_DIR", "OpenSLR 17, https://www.openslr.org/17"),
    "rirs_noises": Corpus(
        rirs_noises, "RIRS_NOISES", "RIRS_NOISES_DIR", "OpenSLR 28, https://www.openslr.org/28", first_channel=True
    ),
    "cn_celeb": Corpus(cn_celeb, "CN-Celeb", "CN_CELEB_DIR", "OpenSLR 82, https://www.openslr.org/82"),
    "three_d_speaker": Corpus(three_d_speaker, "3D-Speaker", "THREE_D_SPEAKER_DIR", "https://3dspeaker.github.io"),
    "esd": Corpus(esd, "ESD", "ESD_DIR", "https://github.com/HLTSingapore/Emotional-Speech-Data"),
}
