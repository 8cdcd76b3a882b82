"""CN-Celeb (Fan et al., 2020; Li et al., 2022): the folders CN-Celeb_flac and CN-Celeb2_flac of OpenSLR 82, version 2.

Lhotse has no recipe. Speaker ids are like VoxCeleb's, so they begin with `cnc-` here. A file is
`data/<speaker>/<genre>-<session>-<number>.flac`; the lists call it `.wav`, as it is called after a conversion.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from sv_py.cli import InputError, first_few
from sv_py.corpora.trials import convert
from sv_py.data.utterance import Utterance, check_id, check_path
from sv_py.io.text import read_lines, read_table

_EXTENSIONS = (".flac", ".wav")
_SETS = ("cnceleb_train", "cnceleb_eval", "cnceleb2_train")


def scan(folder: Path) -> list[Utterance]:
    """Utterances of the listed training speakers, and those that enrol and test.

    ``folder`` holds CN-Celeb_flac, CN-Celeb2_flac or both, or is one of them. Raises InputError for another layout,
    for what is listed and not there, and for evaluation speakers among the training ones.
    """
    first, second = _find(folder, "CN-Celeb", "dev/dev.lst"), _find(folder, "CN-Celeb2", "spk.lst")
    if not first and not second:
        raise InputError("neither CN-Celeb_flac/dev/dev.lst nor CN-Celeb2_flac/spk.lst here", folder)
    training = [*_speakers(first, "dev/dev.lst", "cnceleb_train")] if first else []
    training += _speakers(second, "spk.lst", "cnceleb2_train") if second else []
    evaluation = [*_evaluation(first)] if first else []
    tested = {u.speaker for u in evaluation}
    for u in training:
        if u.speaker in tested:
            raise InputError(f"speaker {u.speaker} trains and is evaluated", *u.origin)
    return training + evaluation


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """`cnceleb_train` (dev.lst), `cnceleb_eval` and `cnceleb2_train`."""
    return {name: [u for u in utterances if u.part == name] for name in _SETS}


def trials(folder: Path, sets: dict[str, list[Utterance]]) -> dict[str, Callable[[], Iterable[str]]]:
    """`cnceleb_eval/trials` and `cnceleb_eval/enrol_spk2utt`.

    The enrolment side of a trial is the utterance `cnc-id00800-enroll`, one file of all that was joined for it.
    `enrol_spk2utt` has the utterances under the same name (enroll.map), to average their embeddings instead.
    """
    first = _find(folder, "CN-Celeb", "dev/dev.lst")
    if not first:
        return {}
    names = {}
    for u in sets["cnceleb_eval"]:
        stem = u.id.removeprefix("cnc-")
        names |= dict.fromkeys((stem, *(f"test/{stem}{extension}" for extension in _EXTENSIONS)), u.id)
    lists = first / "eval/lists"
    models = [f"{model} {' '.join(u.id for u in utts)}" for model, utts in sorted(_enrolment(first).items())]
    return {
        "cnceleb_eval/trials": partial(convert, lists / "trials.lst", names),
        "cnceleb_eval/enrol_spk2utt": lambda: models,
    }


def _find(folder: Path, name: str, listed: str) -> Path | None:
    """The folder of the first or of the second part: the one that has its list of training speakers."""
    places = (folder, *(folder / f"{name}{suffix}" for suffix in ("_flac", "_wav", "")))
    return next((place for place in places if (place / listed).is_file()), None)


def _speakers(corpus: Path, listed: str, part: str) -> Iterator[Utterance]:
    speakers = [check_id("speaker", line.strip(), corpus / listed, n) for n, line in _lines(corpus / listed)]
    missing = [speaker for speaker in speakers if not (corpus / "data" / speaker).is_dir()]
    if missing:
        raise InputError(f"{len(missing)} listed speakers are not in data/: {first_few(missing)}", corpus / listed)
    for speaker in speakers:
        for file in _audio(corpus / "data" / speaker):
            yield _utterance(speaker, file.stem, file, part)


def _evaluation(corpus: Path) -> Iterator[Utterance]:
    """The joined enrolment utterances, the test utterances, and those that were joined."""
    found = set()
    for side in ("enroll", "test"):
        for file in _audio(corpus / "eval" / side):
            speaker, _, stem = file.stem.partition("-")
            utterance = _utterance(speaker, stem, file, "cnceleb_eval")
            found.add(utterance.id)
            yield utterance
    for utterances in _enrolment(corpus).values():
        yield from (u for u in utterances if u.id not in found)


def _enrolment(corpus: Path) -> dict[str, list[Utterance]]:
    """Model -> its utterances, from lines `id00800-enroll id00800/singing-01-001.wav ...`."""
    path = corpus / "eval/lists/enroll.map"
    models: dict[str, list[Utterance]] = {}
    for line, (model, value) in enumerate(read_table(path, ordered=False).items(), 1):
        utterances = []
        for name in value.split():
            speaker, _, file = name.rpartition("/")
            stem = corpus / "data" / speaker / PurePosixPath(file).stem
            audio = next((found for e in _EXTENSIONS if (found := stem.with_suffix(e)).is_file()), None)
            if audio is None:
                raise InputError(f"{name} is not in data/", path, line)
            utterances.append(_utterance(speaker, stem.name, audio, "cnceleb_eval"))
        name = f"cnc-{model.removesuffix('-enroll')}-enroll"
        models[check_id("model", name, path, line)] = utterances
    return models


def _utterance(speaker: str, stem: str, file: Path, part: str) -> Utterance:
    return Utterance(
        id=check_id("utterance id", f"cnc-{speaker}-{stem}", file),
        speaker=check_id("speaker id", f"cnc-{speaker}", file),
        path=check_path(str(file), file),
        origin=(file, None),
        session=stem.rpartition("-")[0],
        part=part,
    )


def _audio(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.glob("[!.]*") if file.suffix in _EXTENSIONS)
    if not files:
        raise InputError("no FLAC or WAV here", folder)
    return files


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    return enumerate(read_lines(path, crlf=True), 1)
