"""A job's shard: whole with its tables, or not there; made once; taken up after a kill."""

import numpy as np
import pytest
import soundfile

from sv_py.cli import InputError
from sv_py.data.audio import sources
from sv_py.data.shard_job import make_shard
from sv_py.io.ark import ArkReader
from sv_py.io.shard_index import read_index, sha256_of
from sv_py.io.text import read_table

RATE = 8000


def tone(seconds=0.5):
    return np.rint(8000 * np.sin(np.arange(round(RATE * seconds)) / 5)).astype(np.int16)


@pytest.fixture
def wav(tmp_path):
    """``wav(name, samples)``: path of a file with these samples."""

    def call(name="x.wav", samples=None):
        soundfile.write(tmp_path / name, tone() if samples is None else samples, RATE)
        return tmp_path / name

    return call


@pytest.fixture
def data(tmp_path):
    """``data(**wav_scp)``: a data dir with these sources; speakers are the ids' first letters."""

    def call(**sources):
        (tmp_path / "wav.scp").write_text("".join(f"{utt} {source}\n" for utt, source in sorted(sources.items())))
        (tmp_path / "utt2spk").write_text("".join(f"{utt} {utt[0]}\n" for utt in sorted(sources)))
        return tmp_path

    return call


def shard(folder, compute=lambda utt, samples: samples[:3, None], **options):
    out = folder / "out"
    out.mkdir(exist_ok=True)
    make_shard(folder, out / "x.ark", out / "x.scp", RATE, "identity", compute, **options)
    return out


def test_a_shard_has_counts_and_durations_and_is_made_once(data, wav):
    folder = data(a=wav("a.wav"), b=wav("b.wav", tone(0.25)))
    out = shard(folder)
    assert read_table(out / "x.utt2num_frames") == {"a": "3", "b": "3"}
    assert read_table(out / "x.utt2dur") == {"a": "0.500", "b": "0.250"}
    assert np.array_equal(ArkReader().read(read_table(out / "x.scp")["b"]), tone()[:3, None])

    def never(utt, samples):
        raise AssertionError

    shard(folder, never)
    data(a=wav("a.wav"))
    shard(folder)
    assert list(read_table(out / "x.scp")) == ["a"]


def test_all_bad_utterances_are_named_and_nothing_is_written(data, wav, tmp_path, caplog):
    names = [f"missing{i}" for i in range(9)]
    folder = data(short=wav("s.wav", tone()[:1]), good=wav(), **{name: tmp_path / name for name in names})

    def compute(utt, samples):
        return samples[: len(samples) // 100]

    with pytest.raises(InputError, match="10 of 11 utterances cannot be used"):
        shard(folder, compute)
    assert list((tmp_path / "out").iterdir()) == []
    assert all(f"'{name}'" in caplog.text for name in ("short", *names))
    assert "'short': 1 samples are too short for a frame" in caplog.text

    out = shard(folder, compute, skip_bad=True)
    assert list(read_table(out / "x.scp")) == ["good"]
    with pytest.raises(InputError, match="10 of 11"):  # what was left out once is not forgotten
        shard(folder, compute)


def test_a_shard_without_any_good_utterance_is_an_error_even_if_bad_ones_are_skipped(data, tmp_path):
    with pytest.raises(InputError, match="not one utterance can be used"):
        shard(data(u=tmp_path / "none.wav"), skip_bad=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_shard_whose_job_was_killed_is_made_again(data, wav):
    out = shard(data(u=wav()))
    before = (out / "x.ark").read_bytes()
    (out / "x.done").unlink()  # the last thing that is written
    truncate(out / "x.ark", 10)
    shard(data(u=wav()))
    assert (out / "x.ark").read_bytes() == before


def test_the_index_line_holds_what_the_ark_holds(data, wav):
    out = shard(data(a1=wav("a.wav"), a2=wav("b.wav", tone(0.25)), b1=wav("c.wav")))
    ((path, row),) = read_index(out / "x.shard").items()
    assert path == out / "x.ark" and row.size == path.stat().st_size and row.sha256 == sha256_of(path)
    assert (row.utterances, row.seconds, row.speakers) == (3, 1.25, 2)


def test_an_ark_that_lost_its_end_or_is_gone_is_made_again(data, wav):
    out = shard(data(u=wav()))
    before = (out / "x.ark").read_bytes()
    for damage in (lambda: truncate(out / "x.ark", 10), (out / "x.ark").unlink, (out / "x.shard").unlink):
        damage()
        shard(data(u=wav()))
        assert (out / "x.ark").read_bytes() == before


def test_what_may_be_converted_counts_only_where_something_was(data, wav, caplog):
    def made(**options):
        caplog.clear()
        with caplog.at_level("INFO"):
            shard(folder, **options)
        return "is there already" not in caplog.text

    folder = data(u=wav("a.wav"))
    assert made() and not made(resample=True, pipes=True) and not made()
    folder = data(u=wav("a.wav", np.stack([tone(), tone()], 1)))
    assert made(mixdown=True) and not made(mixdown=True)
    with pytest.raises(InputError, match="1 of 1 utterances cannot be used"):
        made()
    folder = data(u=f"cat {wav()} |")
    assert made(pipes=True) and not made(pipes=True)
    with pytest.raises(InputError, match="1 of 1 utterances cannot be used"):
        made()


def test_a_shard_that_was_moved_is_not_made_again_and_its_places_follow(data, wav, tmp_path):
    folder = data(u=wav("a.wav"), v=wav("b.wav", -tone()))
    before = (shard(folder) / "x.ark").stat().st_mtime_ns
    (tmp_path / "out").rename(tmp_path / "moved")
    (tmp_path / "out").symlink_to("moved")
    out = shard(folder)
    assert (out / "x.ark").stat().st_mtime_ns == before
    place = read_table(out / "x.scp")["v"]
    assert place.startswith(f"{tmp_path}/moved/x.ark:")
    assert np.array_equal(ArkReader().read(place), -tone()[:3, None])


def test_audio_that_is_replaced_in_place_is_noticed(data, wav):
    out = shard(data(u=wav()), lambda utt, samples: samples)
    wav(samples=tone(0.25))
    shard(data(u=wav(samples=-tone(0.25))), lambda utt, samples: samples)
    assert np.array_equal(ArkReader().read(read_table(out / "x.scp")["u"]), -tone(0.25))


def test_what_a_killed_job_left_is_removed_and_nothing_else(data, wav, tmp_path):
    (tmp_path / "out").mkdir()
    for name in (".x.ark.host.12.tmp", ".x.scp.host.12.tmp", ".xy.ark.host.12.tmp", ".x.1.notes"):
        (tmp_path / "out" / name).write_text("?")
    names = {path.name for path in shard(data(u=wav())).iterdir() if path.name.startswith(".")}
    assert names == {".xy.ark.host.12.tmp", ".x.1.notes"}


def test_only_the_utterances_that_are_asked_for_are_made(data, wav):
    folder = data(**{f"u{i}": wav() for i in range(5)})
    out = shard(folder, todo=sources(folder)[1:4])
    assert list(read_table(out / "x.scp")) == ["u1", "u2", "u3"]


def truncate(path, size):
    with path.open("r+b") as file:
        file.truncate(size)
