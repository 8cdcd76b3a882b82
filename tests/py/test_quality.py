"""Quality tables: what they may hold, and the measures that compute_quality puts into one."""

import sys

import numpy as np
import pytest

import sv_py.compute_quality
import sv_py.measure_audio
from sv_py.cli import InputError
from sv_py.data.quality import estimate_snr, speech_seconds
from sv_py.data.vad import WebrtcArguments
from sv_py.io.ark import write_ark
from sv_py.io.quality import read_quality, write_quality
from sv_py.io.trials import read_trials


@pytest.fixture
def table(tmp_path):
    """``table(text)`` writes a quality table; its path."""

    def write(text):
        (tmp_path / "quality").write_text(text)
        return tmp_path / "quality"

    return write


@pytest.fixture
def trials(tmp_path):
    """The trials of `a` and `b`."""
    (tmp_path / "trials").write_text("b a target\na b target\n")
    return tmp_path / "trials"


def test_what_was_written_is_read_again(tmp_path):
    columns = {"duration": np.array([1.5, 1234.5]), "snr": np.array([-3.25, 20.0])}
    write_quality(tmp_path / "q", ["b", "a"], columns)
    assert (tmp_path / "q").read_text() == "utt duration snr\nb 1.5 -3.25\na 1234.5 20\n"
    found = read_quality(tmp_path / "q")
    assert found.rows == {"b": 0, "a": 1} and found.columns(["snr", "duration"]).tolist() == [
        [-3.25, 1.5],
        [20, 1234.5],
    ]


def test_measures_are_found_in_any_order_of_lines_and_columns(table, trials):
    found = read_quality(table("utt mine snr\nz 9 9\na 1 2\nb 3 4\n"))
    assert found.of_ids(read_trials(trials), ["snr", "mine"]).tolist() == [[4, 3], [2, 1]]


def test_ids_may_be_written_as_in_voxcelebs_lists(table, tmp_path):
    (tmp_path / "trials").write_text("1 id1/v/1.wav id2/w/2.wav\n")
    found = read_quality(table("utt snr\nid1-v-1 5\nid2-w-2 6\n"))
    assert found.of_ids(read_trials(tmp_path / "trials"), ["snr"]).tolist() == [[5], [6]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id snr\na 1\n", ":1: expected 'utt <measure>...'"),
        ("utt\na\n", ":1: expected 'utt <measure>...'"),
        ("utt snr snr\na 1 2\n", ":1: measure 'snr' a second time"),
        ("utt snr\na 1\nb\n", ":3: 1 columns instead of 2"),
        ("utt snr\na 1\nb 1 2\n", ":3: 3 columns instead of 2"),
        ("utt snr\na 1\na 2\n", ":3: 'a' a second time"),
        ("utt snr\na one\n", ":2: 'one' is not a finite number"),
        ("utt snr\na nan\n", ":2: 'nan' is not a finite number"),
        ("", "is empty"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(table, text, message):
    with pytest.raises(InputError) as refused:
        read_quality(table(text))
    assert message in str(refused.value)


def test_a_measure_or_an_id_that_is_not_there_is_named(table, trials):
    found = read_quality(table("utt duration\na 1\n"))
    with pytest.raises(InputError, match=r"no measure 'durations' .did you mean 'duration'"):
        found.columns(["durations"])
    with pytest.raises(InputError, match="quality: lacks b"):
        found.of_ids(read_trials(trials), ["duration"])


def test_a_value_that_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(InputError, match="snr of 'b' is nan"):
        write_quality(tmp_path / "q", ["a", "b"], {"snr": np.array([1, np.nan])})
    assert not (tmp_path / "q").exists()


@pytest.fixture
def compute(tmp_path, monkeypatch):
    """``compute(*options)`` runs compute_quality on tmp_path's data; the lines of the table."""
    vectors = {"a": [3, 4], "b": [0, -2], "c": [1, 0]}
    write_ark(tmp_path / "x.ark", tmp_path / "x.scp", ((u, np.array(v, np.float32)) for u, v in vectors.items()))
    (tmp_path / "utt2dur").write_text("a 1.5\nb 2\nc 4\n")

    def call(*options):
        argv = ["compute_quality", "--utt2dur", "utt2dur", "--embeddings", "x.scp", *options, "trials", "out"]
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", argv)
        sv_py.compute_quality.main()
        return (tmp_path / "out").read_text().splitlines()

    return call


def test_durations_magnitudes_and_measures_of_ones_own_stand_in_one_table(compute, trials, table):
    table("utt impostor_mean age\nb 0.25 30\na 0.5 40\n")
    measures = "age,duration,magnitude,magnitude_l1,impostor_mean"
    lines = compute("--quality", "quality", "--measures", measures)
    assert lines == [f"utt {measures.replace(',', ' ')}", "b 30 2 2 2 0.25", "a 40 1.5 5 7 0.5"]


def test_durations_of_a_model_add_up_and_its_other_measures_are_means(compute, tmp_path):
    (tmp_path / "trials").write_text("m a target\n")
    (tmp_path / "spk2utt").write_text("m b c\n")
    lines = compute("--enrol-spk2utt", "spk2utt", "--measures", "duration,magnitude")
    assert lines[1:] == ["m 6 1.5", "a 1.5 5"]


def test_what_a_table_says_of_a_model_itself_is_taken(compute, tmp_path, table):
    (tmp_path / "trials").write_text("m a target\n")
    (tmp_path / "spk2utt").write_text("m b c\n")
    table("utt impostor_mean\nm 0.75\na 0.5\n")
    options = ["--enrol-spk2utt", "spk2utt", "--quality", "quality", "--measures", "impostor_mean"]
    assert compute(*options)[1:] == ["m 0.75", "a 0.5"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--measures", "magnitud"], "no table has the measure 'magnitud' .did you mean 'magnitude'"),
        (["--measures", "duration", "--quality", "quality"], "measure 'duration' stands in quality, too"),
        (["--measures", "snr", "--quality", "quality"], "quality: lacks b"),
    ],
)
def test_a_measure_that_cannot_be_had_is_an_error_and_nothing_is_written(
    compute, trials, table, tmp_path, options, message
):
    table("utt duration snr\na 1 1\n")
    with pytest.raises(InputError, match=message):
        compute(*options)
    assert not (tmp_path / "out").exists()


def test_a_duration_that_is_no_number_is_named(compute, trials, tmp_path):
    (tmp_path / "utt2dur").write_text("a 1\nb long\n")
    with pytest.raises(InputError, match="utt2dur:2: 'b' does not last 'long' seconds"):
        compute("--measures", "duration")


@pytest.mark.parametrize("snr", [0, 10, 20, 30])
def test_the_estimated_snr_of_speech_in_steady_noise_is_true_within_two_db(waves, snr):
    random = np.random.default_rng(0)
    speech = np.concatenate([np.append(wave, np.zeros(4000)) for wave in waves.values()])
    noise = random.standard_normal(len(speech))
    noise *= np.sqrt((speech**2).mean() / (noise**2).mean() / 10 ** (snr / 10))
    assert estimate_snr(speech + noise, WebrtcArguments()) == pytest.approx(snr, abs=2)


def test_the_estimated_snr_of_silence_and_of_short_audio_is_finite():
    assert estimate_snr(np.zeros(16000), WebrtcArguments()) == -10
    assert estimate_snr(np.zeros(10), WebrtcArguments()) == -10


def test_speech_is_counted_in_seconds(waves):
    wave = next(iter(waves.values()))
    spoken = speech_seconds(wave, "webrtc", WebrtcArguments(), "x")
    padded = speech_seconds(np.concatenate([np.zeros(16000), wave, np.zeros(16000)]), "webrtc", WebrtcArguments(), "x")
    assert 0.2 < spoken <= len(wave) / 16000 and padded == pytest.approx(spoken, abs=0.15)


def test_the_audio_of_jobs_together_is_that_of_one(tiny_data_dir, tmp_path, monkeypatch, root):
    utts = sorted(line.split()[0] for line in (tiny_data_dir / "utt2spk").read_text().splitlines())
    (tmp_path / "trials").write_text(f"{utts[5]} {utts[0]} target\nm {utts[3]} nontarget\n")
    (tmp_path / "spk2utt").write_text(f"m {utts[7]} {utts[0]}\n")
    fixed = ["--vad-config", root / "conf/vad.conf", "--enrol-spk2utt", tmp_path / "spk2utt"]
    for job in ("1/1", "1/3", "2/3", "3/3"):
        out = tmp_path / job.replace("/", "_")
        argv = ["measure_audio", *fixed, "--job", job, tiny_data_dir, tmp_path / "trials", out]
        monkeypatch.setattr(sys, "argv", [str(word) for word in argv])
        sv_py.measure_audio.main()
    whole, *parts = ((tmp_path / name).read_text().splitlines() for name in ("1_1", "1_3", "2_3", "3_3"))
    assert whole == [parts[0][0], *(line for part in parts for line in part[1:])]
    assert [line.split()[0] for line in whole] == ["utt", *(utts[k] for k in (0, 3, 5, 7))]
    assert all(0 < float(speech) < 1 and -10 <= float(snr) <= 60 for _, speech, snr in map(str.split, whole[1:]))
