"""What VoxCeleb1 and VoxCeleb2 have in common: where their parts lie, their metadata and their published sizes.

Lhotse's recipe for VoxCeleb fits neither: it fetches trials from the network, takes VoxCeleb2 as m4a only, reads
no corpus without its metadata, and splits VoxCeleb1 in time that grows with the square of the corpus. Our scanners
give the recording ids that it gives, `id10001-1zcIwhmdeo4-00001`, and the manifests are Lhotse's.
"""

import codecs
from pathlib import Path

from sv_py.cli import InputError, near_miss
from sv_py.corpora.videos import find_tree
from sv_py.data.utterance import parse_gender
from sv_py.io.text import decode_lines

PARTS = ("dev", "test")
SOURCE = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb"
# Corpus -> set -> utterances and speakers, as published.
SIZES = {
    "voxceleb1": {"voxceleb1_dev": (148_642, 1_211), "voxceleb1_test": (4_874, 40)},
    "voxceleb2": {"voxceleb2_dev": (1_092_009, 5_994), "voxceleb2_test": (36_237, 118)},
}
OPTIONAL = {"voxceleb2_test"}  # sets that need not be there; if they are, then whole
_TREES = ("wav", "aac", "")


def find_parts(folder: Path, version: int) -> list[tuple[str, Path]]:
    """(part, tree) of `dev/wav` and `test/wav` (or `aac`, or the speakers at once), or ('', tree) of one for both.

    Instead of `dev` the folder may have the name of its archive, such as `vox1_dev_wav` or `vox2_dev_aac`. Beside one
    part, `wav` or `aac` is the other one: so `vox2_test_aac.zip` unpacks beside `dev/aac`.
    """
    names = {part: (part, *(f"vox{version}_{part}{kind}" for kind in ("_wav", "_aac", ""))) for part in PARTS}
    trees = {part: [f"{name}/{tree}" for tree in _TREES for name in own] for part, own in names.items()}
    parts = [(part, tree) for part in PARTS if (tree := find_tree(folder, trees[part]))]
    lacking = [part for part in PARTS if part not in dict(parts)]
    if lacking and (tree := find_tree(folder, _TREES)):
        parts.append((lacking[0] if parts else "", tree))
    if not parts:
        raise InputError(
            "no dev/wav/idNNNNN, test/wav/idNNNNN or wav/idNNNNN here: not the folder of VoxCeleb (version 1.1 or "
            "later, whose speakers are numbered)",
            folder,
        )
    return parts


def read_meta(name: str, folders: list[Path]) -> dict[str, tuple[str, str]]:
    """speaker -> (m or f or empty, dev or test) of `vox1_meta.csv` or `vox2_meta.csv` in the first folder that has it.

    Columns are found by their names, separated by tabs or commas. Empty without such a file.
    """
    path = next((path for folder in folders if (path := folder / name).is_file()), None)
    if path is None:
        return {}
    data = path.read_bytes().removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
    lines = decode_lines(data, path)
    separator = "\t" if "\t" in lines[0] else ","
    header, *rows = ([field.strip() for field in line.split(separator)] for line in lines)
    ids = next((field for field in header if field.startswith("VoxCeleb") and field.endswith("ID")), "VoxCeleb ID")
    for column in (ids, "Gender", "Set"):
        if column not in header:
            raise InputError(f"no column '{column}' among {', '.join(header)}{near_miss(column, header)}", path, 1)
    speaker, gender, part = (header.index(column) for column in (ids, "Gender", "Set"))
    meta = {}
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise InputError(f"{len(row)} columns instead of {len(header)}", path, line)
        if row[part] not in PARTS:
            raise InputError(f"set '{row[part]}' is neither dev nor test", path, line)
        meta[row[speaker]] = parse_gender(row[gender], path, line), row[part]
    return meta
