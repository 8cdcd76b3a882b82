"""Whether a set has as many utterances and speakers as were published, and what it lacks."""

from collections import Counter
from collections.abc import Iterable

from sv_py.cli import first_few

_SHOWN = 5


def compare(name: str, found: Iterable[str], size: tuple[int, int], published: Iterable[str] | None = None) -> str:
    """What the set ``name`` of utterances ``found`` lacks or has too much, on several lines; empty if nothing.

    ``size``: utterances and speakers as published; ``published``: their ids, where they are at hand. The speaker is
    what stands before the first '-'.
    """
    found = set(found)
    counts = Counter(map(_speaker, found))
    published = None if published is None else set(published)
    if found == published or (published is None and (len(found), len(counts)) == size):
        return ""
    lines = [f"{name}: {len(found):,} of {size[0]:,} utterances, {len(counts):,} of {size[1]:,} speakers"]
    if published is None:
        lines.append("which they are tell the published names: local/fetch_voxceleb_lists.sh, --lists-dir")
    else:
        whole = Counter(map(_speaker, published))
        lines += _listing("lacks", published - found, whole) + _listing("not published:", found - published, counts)
    return "\n  ".join(lines)


def _listing(what: str, utterances: set[str], whole: Counter[str]) -> list[str]:
    """A line with the totals and one for each of the first few speakers; ``whole``: speaker -> its utterances."""
    by_speaker: dict[str, list[str]] = {}
    for utterance in sorted(utterances):
        by_speaker.setdefault(_speaker(utterance), []).append(utterance)
    if not by_speaker:
        return []
    lines = [f"{what} {len(utterances):,} utterances of {len(by_speaker):,} speakers"]
    for speaker, own in list(by_speaker.items())[:_SHOWN]:
        lines.append(f"  {speaker}: {len(own)} of {whole[speaker]}: {first_few(own)}")
    if len(by_speaker) > _SHOWN:
        lines.append(f"  and {len(by_speaker) - _SHOWN:,} more speakers")
    return lines


def _speaker(utterance: str) -> str:
    return utterance.split("-", 1)[0]
