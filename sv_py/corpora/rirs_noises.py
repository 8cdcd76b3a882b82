"""RIRS_NOISES (Ko et al., 2017): simulated and measured room impulse responses, point-source and isotropic noises.

Lhotse's recipe reads all but the measured responses: it knows them by `rir` in their names, and so leaves out the 107
of 325 that come from the Aachen database (`air_type1_air_...`). Here they are all files beside the isotropic noises.
As in Kaldi, every recording is a speaker of its own.
"""

from pathlib import Path

from sv_py.cli import InputError
from sv_py.data.utterance import Utterance, check_id, check_path

_SIMULATED = ("rirs_small", "rirs_medium", "rirs_large")
_MEASURED = "real_rirs_isotropic_noises"
_FOLDERS = ("pointsource_noises", _MEASURED, *(f"simulated_rirs/{size}room" for size in ("small", "medium", "large")))
_SETS = {name: (name,) for name in (*_SIMULATED, "rirs_real", "rirs_point_noise", "rirs_iso_noise")}
_SETS |= {"rirs_small_medium": _SIMULATED[:2], "rirs_simulated": _SIMULATED}  # what recipes reverberate with


def scan(folder: Path) -> list[Utterance]:
    """Every recording, as `rirs-small-Room001-00001`, `rirs-real-RWCP_type4_rir_p10`...

    Raises InputError for another layout and for what Lhotse cannot open.
    """
    from sv_py.data.manifests import recipe_recordings

    for part in _FOLDERS:
        if not next((folder / part).rglob("*.wav"), None):
            raise InputError(f"no WAV in {part}/: not the folder RIRS_NOISES", folder)
    found = recipe_recordings("rir_noise", folder, parts=("point_noise", "iso_noise", "sim_rir"))
    noises = {path for _, _, path in found}
    measured = (file for file in sorted((folder / _MEASURED).rglob("*.wav")) if str(file) not in noises)
    found += [("real", file.stem, str(file)) for file in measured]
    # Lhotse's ids of simulated responses begin with the size of the room: small-Room001-00001
    return [_utterance(recording.split("-")[0] if part == "sim_rir" else part, path) for part, recording, path in found]


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """The three sizes of simulated rooms, two and all of them together, the measured responses, two kinds of noises."""
    return {name: [u for u in utterances if u.part in parts] for name, parts in _SETS.items()}


def _utterance(part: str, path: str) -> Utterance:
    name = check_id("utterance id", f"rirs-{part.replace('_', '-')}-{Path(path).stem}", path)
    return Utterance(id=name, speaker=name, path=check_path(path, path), origin=(path, None), part=f"rirs_{part}")
