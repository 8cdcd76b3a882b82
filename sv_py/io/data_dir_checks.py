"""What must hold between and inside the tables of a data dir. `sv_py.io.data_dir.validate` runs all of it."""

import math
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from sv_py.cli import InputError, first_few
from sv_py.io.data_tables import Complaint, Table, key_kind
from sv_py.io.ids import id_fault
from sv_py.io.places import ark_of, needs_ffmpeg, split_place
from sv_py.io.text import invert
from sv_py.io.trials import MODELS, check_known, read_models, read_trials

OVERSHOOT = 0.01  # s; times with two decimals may lie this much behind the last sample

Tables = Mapping[str, Table]


def utterances_by_speaker(tables: Tables) -> dict[str, list[str]]:
    """spk -> its sorted utterances."""
    return invert(tables["utt2spk"].entries)


def recordings(tables: Tables) -> Iterable[str]:
    """The recordings that the utterances lie in; without segments each utterance is one."""
    if "segments" not in tables:
        return tables["utt2spk"].entries.keys()
    return dict.fromkeys(value.split(" ", 1)[0] for value in tables["segments"].entries.values())


def check_values(tables: Tables) -> Iterator[Complaint]:
    """Ids, durations, frame counts, segments and genders: what no choice of utterances can mend.

    A speaker's id is the beginning of an utterance's, so that the ids of speakers need no test of their own.
    """
    utt2spk = tables["utt2spk"]
    yield from _bad_ids(utt2spk)
    if "segments" in tables and "wav.scp" in tables:
        yield from _bad_ids(tables["wav.scp"])
    for utt, speaker in utt2spk.entries.items():
        if not utt.startswith(speaker):
            what = f"utterance '{utt}' does not begin with its speaker '{speaker}'"
            yield Complaint(utt2spk.path, utt2spk.place(utt), what)
    for name in sorted(tables.keys() & _VALUES.keys()):
        yield from _bad_values(tables[name], _VALUES[name])
    if "segments" in tables and "reco2dur" in tables:
        durations = {reco: number(value) for reco, value in tables["reco2dur"].entries.items()}
        yield from _check_ends(tables["segments"], durations)
    for name, lengths in (("feats.scp", "utt2num_frames"), ("audio.scp", "utt2num_samples")):
        if name in tables and lengths not in tables:
            yield Complaint(tables[name].path, None, f"has no {lengths} beside it")


def check_agreement(tables: Tables) -> Iterator[Complaint]:
    """Every table has an entry for each utterance, speaker or recording, and none besides."""
    utt2spk, by_speaker = tables["utt2spk"], utterances_by_speaker(tables)
    first = {utt: utt for utt in utt2spk.entries}  # in whose line an id that a table lacks is found
    known = {"utt": (utt2spk, first), "spk": (utt2spk, {speaker: own[0] for speaker, own in by_speaker.items()})}
    known["reco"] = (tables["segments"], _first_segments(tables["segments"])) if "segments" in tables else known["utt"]
    for name, table in tables.items():
        if table is not utt2spk:
            yield from _compare(table, *known[key_kind(name)])
    if "spk2utt" in tables:
        yield from _check_spk2utt(tables["spk2utt"], by_speaker)


def check_audio(tables: Tables, read: bool, pipes: bool) -> Iterator[Complaint]:
    """The files of wav.scp exist; with ``read`` they can be read; where reco2dur is missing, segments lie inside."""
    if "wav.scp" not in tables:
        return
    wavs, durations = tables["wav.scp"], {}
    measure = "segments" in tables and "reco2dur" not in tables
    for reco, source in wavs.entries.items():
        wrong, duration = _look(source, read or measure, pipes)
        if wrong:
            yield Complaint(wavs.path, wavs.place(reco), wrong)
        if duration is not None:
            durations[reco] = duration
    if measure:
        yield from _check_ends(tables["segments"], durations)


def number(text: str) -> float:
    """The finite number that ``text`` is, else NaN: 'inf', '1_0' and words are none."""
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _check_id(name: str) -> str:
    return (fault := id_fault(name)) and f"id {fault}"


def _check_duration(text: str) -> str:
    return "" if number(text) > 0 else f"'{text}' is not a duration in seconds above 0"


def _check_length(text: str) -> str:
    return "" if text.isascii() and text.isdigit() and int(text) > 0 else f"'{text}' is not a whole number above 0"


def _check_gender(text: str) -> str:
    if text in ("m", "f"):
        return ""
    hint = f" (did you mean '{text[0].lower()}'?)" if text[:1] in tuple("mMfF") else ""
    return f"gender '{text}' is neither m nor f{hint}"


def _check_segment(text: str) -> str:
    _, start, end = text.split(" ")
    begins, ends = number(start), number(end)
    if math.isnan(begins) or math.isnan(ends):
        return f"start '{start}' and end '{end}' are not both numbers of seconds"
    if begins < 0:
        return f"starts at {start} s, before the recording"
    return "" if begins < ends else f"start {start} is not before end {end}"


_VALUES: dict[str, Callable[[str], str]] = {
    "utt2dur": _check_duration,
    "reco2dur": _check_duration,
    "utt2num_frames": _check_length,
    "utt2num_samples": _check_length,
    "spk2gender": _check_gender,
    "segments": _check_segment,
}


def _bad_ids(table: Table) -> Iterator[Complaint]:
    if not _check_id("|".join(table.entries)):  # nearly always; much faster than one by one
        return
    for name in table.entries:
        if what := _check_id(name):
            yield Complaint(table.path, table.place(name), what)


def _bad_values(table: Table, check: Callable[[str], str]) -> Iterator[Complaint]:
    wrong = {value: what for value in set(table.entries.values()) if (what := check(value))}
    if not wrong:
        return
    for key, value in table.entries.items():
        if value in wrong:
            yield Complaint(table.path, table.place(key), wrong[value])


def _compare(table: Table, source: Table, known: Mapping[str, str]) -> Iterator[Complaint]:
    """One complaint for all that ``table`` has too much, one for all that it lacks, at the line of the first.

    ``known``: id -> the key of the line in ``source`` that names it first.
    """
    if list(table.entries) == list(known):
        return
    strange = [key for key in table.entries if key not in known]
    if strange:
        yield Complaint(table.path, table.place(strange[0]), f"not in {source.path.name}: {first_few(strange)}", True)
    lacking = [key for key in known if key not in table.entries]
    if lacking:
        yield Complaint(
            source.path, source.place(known[lacking[0]]), f"not in {table.path.name}: {first_few(lacking)}", True
        )


def _first_segments(segments: Table) -> dict[str, str]:
    """recording -> its first utterance."""
    first: dict[str, str] = {}
    for utt, value in segments.entries.items():
        first.setdefault(value.split(" ", 1)[0], utt)
    return first


def _check_spk2utt(spk2utt: Table, by_speaker: Mapping[str, list[str]]) -> Iterator[Complaint]:
    for speaker, utts in by_speaker.items():
        listed = spk2utt.entries.get(speaker)
        if listed is None or listed == " ".join(utts):
            continue
        differing = sorted(set(listed.split()) ^ set(utts))
        what = f"differs in {first_few(differing)}" if differing else "has another order, or an utterance twice"
        yield Complaint(spk2utt.path, spk2utt.place(speaker), f"'{speaker}' disagrees with utt2spk: {what}", True)


def _look(source: str, inside: bool, pipes: bool) -> tuple[str, float | None]:
    """What is wrong with an audio source of wav.scp, and its duration in seconds where it was looked at."""
    if source.endswith("|"):
        return ("" if pipes else f"a command, run only with --allow-pipes: {source[:80]}"), None
    in_ark = ark_of(source) is not None
    path, offset = split_place(source) if in_ark else (source, 0)
    try:
        status = os.stat(path)
    except OSError as error:
        where = "" if os.path.isabs(path) else f" (seen from {os.getcwd()})"
        return f"{error.strerror}: {path}{where}", None
    if not stat.S_ISREG(status.st_mode):
        return f"not a file: {path}", None
    if status.st_size == 0:
        return f"empty audio file: {path}", None
    if in_ark and offset >= status.st_size:
        return f"byte {offset} lies behind the end of {path}", None
    if in_ark:
        return _read_entry(source) if inside else ("", None)
    return _read_header(path) if inside and not needs_ffmpeg(path) else ("", None)


def _read_header(path: str) -> tuple[str, float | None]:
    import soundfile  # loads a shared library, which most uses do without

    try:
        header = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        return f"cannot be read as audio: {path}: {error.error_string}", None
    if header.frames == 0:
        return f"audio file without samples: {path}", None
    return "", header.frames / header.samplerate


def _read_entry(place: str) -> tuple[str, float | None]:
    from sv_py.io.audio_ark import AudioArkReader

    try:
        count, rate = AudioArkReader().info(place)
    except InputError as error:
        return f"cannot be read as audio: {error.message}", None
    return "", count / rate


def _check_ends(segments: Table, durations: Mapping[str, float]) -> Iterator[Complaint]:
    for utt, value in segments.entries.items():
        reco, _, end = value.split(" ")
        if number(end) > durations.get(reco, math.inf) + OVERSHOOT:
            what = f"ends at {end} s, outside the recording '{reco}' of {durations[reco]:.2f} s"
            yield Complaint(segments.path, segments.place(utt), what)


def check_trials(path: Path, tables: Tables) -> Iterator[Complaint]:
    """A trial list, or the models beside it, is well-formed and names utterances of the data dir.

    An enrolment id may also be a speaker's, or that of a model whose utterances are in the data dir.
    """
    utt2spk = tables["utt2spk"].entries
    try:
        models = read_models(path.parent)
        lacking = {model: [utt for utt in utts if utt not in utt2spk] for model, utts in models.items()}
        if path.name == MODELS:
            for line, (model, utts) in enumerate(lacking.items(), 1):
                if utts:
                    raise InputError(f"utterances of '{model}' are not in utt2spk: {first_few(utts)}", path, line)
            return
        whole = {model for model, utts in lacking.items() if not utts}
        check_known(read_trials(path), utt2spk, path, models={*utt2spk, *utt2spk.values(), *whole})
    except InputError as error:
        yield Complaint(path, error.line, error.message)
