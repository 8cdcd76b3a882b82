"""Trials for calibration: who meets whom, how often, and what a corpus that is too small gives."""

import collections
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sv_py.make_calibration_trials
from sv_py.cli import InputError
from sv_py.scoring.calibration_trials import draw_trials

LIMITS = {"short": (2.0, 6.0), "long": 6.0}


def make_corpus(speakers: int, most: int, seed: int) -> tuple[dict[str, str], dict[str, float]]:
    """utt2spk and utt2dur of speakers with up to ``most`` utterances of 1 to 12 s."""
    random = np.random.default_rng(seed)
    utt2spk = {f"s{s}-{k}": f"s{s}" for s in range(speakers) for k in range(int(random.integers(1, most + 1)))}
    return utt2spk, {utt: float(random.uniform(1, 12)) for utt in utt2spk}


def kind(seconds: float) -> str:
    return "short" if 2 <= seconds <= 6 else "long" if seconds > 6 else "unused"


def possible_pairs(utt2spk, utt2dur, groups=None) -> collections.Counter:
    """(kinds of both sides, label) -> number of different pairs, by looking at all of them."""
    names = sorted(utt2spk)
    found = collections.Counter()
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            kinds = "-".join(sorted((kind(utt2dur[a]), kind(utt2dur[b])), reverse=True))
            same = utt2spk[a] == utt2spk[b]
            if "unused" not in kinds and (same or not groups or groups[utt2spk[a]] == groups[utt2spk[b]]):
                found[kinds, same] += 1
    return found


@settings(deadline=None, max_examples=60)
@given(
    speakers=st.integers(2, 12), most=st.integers(1, 12), per_kind=st.integers(1, 40), seed=st.integers(0, 99),
    grouped=st.booleans(),
)  # fmt: skip
def test_trials_are_balanced_true_new_and_as_many_as_can_be(speakers, most, per_kind, seed, grouped):
    utt2spk, utt2dur = make_corpus(speakers, most, seed)
    groups = {speaker: "fm"[int(speaker[1:]) % 2] for speaker in utt2spk.values()} if grouped else None
    possible = possible_pairs(utt2spk, utt2dur, groups)
    expected = {
        k: min(per_kind, possible[k, True], possible[k, False]) for k in ("short-short", "short-long", "long-long")
    }
    if not any(expected.values()):
        with pytest.raises(InputError, match="no trials"):
            draw_trials(utt2spk, utt2dur, **LIMITS, per_kind=per_kind, seed=seed, groups=groups)
        return
    drawn = draw_trials(utt2spk, utt2dur, **LIMITS, per_kind=per_kind, seed=seed, groups=groups)
    assert drawn.found == expected
    assert drawn.possible == {k: (possible[k, True], possible[k, False]) for k in expected}
    seen = set()
    counts = collections.Counter()
    for line in drawn.lines:
        a, b, label = line.split()
        assert a != b and frozenset((a, b)) not in seen
        seen.add(frozenset((a, b)))
        assert (utt2spk[a] == utt2spk[b]) == (label == "target")
        assert groups is None or groups[utt2spk[a]] == groups[utt2spk[b]]
        counts["-".join(sorted((kind(utt2dur[a]), kind(utt2dur[b])), reverse=True)), label] += 1
    assert counts == {(k, label): n for k, n in expected.items() for label in ("target", "nontarget") if n}


def test_the_seed_decides_the_trials_and_not_the_order_of_the_tables():
    utt2spk, utt2dur = make_corpus(30, 20, 0)
    backwards = dict(reversed(utt2spk.items()))
    first, again, other = (
        draw_trials(table, utt2dur, **LIMITS, per_kind=100, seed=seed).lines
        for table, seed in ((utt2spk, 0), (backwards, 0), (utt2spk, 1))
    )
    assert first == again and first != other


def test_a_speaker_of_many_utterances_has_no_more_targets_than_the_others():
    utt2spk = {f"s{s}-{k:03d}": f"s{s}" for s in range(10) for k in range(100 if s == 0 else 5)}
    drawn = draw_trials(utt2spk, dict.fromkeys(utt2spk, 3.0), **LIMITS, per_kind=55, seed=0)
    counts = collections.Counter(line.split("-")[0] for line in drawn.lines if line.endswith(" target"))
    assert set(counts.values()) == {5, 6} and sum(counts.values()) == 55


def test_neither_side_is_always_the_short_one():
    utt2spk, utt2dur = make_corpus(30, 20, 0)
    lines = draw_trials(utt2spk, utt2dur, **LIMITS, per_kind=200, seed=0).lines
    pairs = [[utt2dur[utt] for utt in line.split()[:2]] for line in lines]
    longer = sum(a > b for a, b in pairs if kind(a) != kind(b))
    assert 150 < longer < 250


@pytest.fixture
def command(tmp_path, monkeypatch):
    """``command(*argv)`` runs make_calibration_trials on tables of ten speakers with eight utterances in tmp_path."""
    utts = [(f"s{s}-{k}", f"s{s}", 1.5 * k + 1) for s in range(10) for k in range(8)]
    (tmp_path / "utt2spk").write_text("".join(f"{utt} {speaker}\n" for utt, speaker, _ in utts))
    (tmp_path / "utt2dur").write_text("".join(f"{utt} {seconds}\n" for utt, _, seconds in utts) + "z 3\n")

    def call(*argv):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["make_calibration_trials", *map(str, argv)])
        sv_py.make_calibration_trials.main()

    return call


def test_only_the_given_utterances_are_used_and_too_few_trials_are_told(command, tmp_path, caplog):
    command("--trials-per-kind", 100, "utt2spk", "utt2dur", "sub/trials")
    lines = (tmp_path / "sub/trials").read_text().splitlines()
    assert not any("z" in line.split() for line in lines)
    assert len(lines) == 2 * (30 + 100 + 60)  # of each speaker 3 are short and 4 long
    assert "short-short: 30 instead of 100 trials of each label: 30 target and 405 non-target" in caplog.text
    assert "long-long: 60 instead of 100" in caplog.text and "short-long" not in caplog.text


def test_options_go_before_those_of_the_experiment(command, tmp_path):
    part = "{name: linear, args: {short: [1, 4], long: 4, trials_per_kind: 5, seed: 3}}"
    text = f"model: {{name: ecapa_tdnn}}\nphases: [{{name: main, epochs: 1}}]\nscoring: {{calibration: {part}}}\n"
    (tmp_path / "x.yaml").write_text(text)
    command("--config", "x.yaml", "utt2spk", "utt2dur", "a")
    command("--short", "1,4", "--long", 4, "--trials-per-kind", 5, "--seed", 3, "utt2spk", "utt2dur", "b")
    command("--config", "x.yaml", "--seed", 4, "utt2spk", "utt2dur", "c")
    a, b, c = ((tmp_path / name).read_text() for name in "abc")
    assert a == b != c and a.count("\n") == 30


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--short", "6,2"], "short is .least, most."),
        (["--short", "2,7"], "short is .least, most. and ends before long"),
        (["--trials-per-kind", 0], "trials_per_kind must be at least 1"),
        (["--seed", -1], "seed must be at least 0"),
        (
            ["--short", "20,30", "--long", 30],
            "no trials: of 80 utterances of 10 speakers, 0 last 20 to 30 s and 0 more",
        ),
        (["--spk2gender", "utt2dur"], "utt2dur: lacks s0"),
    ],
)
def test_limits_that_cannot_be_are_refused_and_nothing_is_written(command, tmp_path, argv, message):
    with pytest.raises(InputError, match=message):
        command(*argv, "utt2spk", "utt2dur", "trials")
    assert not (tmp_path / "trials").exists()


def test_an_utterance_without_a_duration_is_named(command, tmp_path):
    (tmp_path / "utt2dur").write_text("s0-0 3\n")
    with pytest.raises(InputError, match="utt2dur: lacks s0-1"):
        command("utt2spk", "utt2dur", "trials")
