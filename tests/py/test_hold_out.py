"""Dev speakers, dev trials and validation utterances: reproducible, fair, none from who has a single utterance."""

import subprocess
import sys

import pytest

from sv_py.cli import InputError
from sv_py.hold_out import choose_speakers, choose_utts, make_trials
from sv_py.io.text import write_table

SPK2UTT = {f"spk{i:02}": [f"spk{i:02}-{n}" for n in range(1 + i % 4)] for i in range(20)}  # spk00, 04... have one
GENDER = {spk: "fm"[i % 2] for i, spk in enumerate(SPK2UTT)}


def trials(most=50, seed=0, gender=GENDER, speakers=None):
    chosen = speakers or choose_speakers(SPK2UTT, 8, seed)
    return [line.split() for line in make_trials({spk: SPK2UTT[spk] for spk in chosen}, gender, most, seed)]


def speaker(utt):
    return utt.split("-")[0]


@pytest.mark.parametrize("seed", range(20))
def test_speakers_with_a_single_utterance_are_never_held_out(seed):
    chosen = choose_speakers(SPK2UTT, 15, seed)
    assert chosen == sorted(set(chosen)) and len(chosen) == 15
    assert all(len(SPK2UTT[spk]) > 1 for spk in chosen)


def test_the_choice_depends_on_the_seed_only():
    assert choose_speakers(SPK2UTT, 8, 1) == choose_speakers(SPK2UTT, 8, 1) != choose_speakers(SPK2UTT, 8, 2)
    assert trials(seed=1) == trials(seed=1) != trials(seed=2)


@pytest.mark.parametrize("count", [-1, 0, 1, 16, 19, 20, 100])
def test_too_few_speakers_to_hold_out_or_to_be_left_is_an_error(count):
    with pytest.raises(InputError, match=f"cannot hold out {count} dev speakers of 20, 15 of them with two"):
        choose_speakers(SPK2UTT, count, 0)


def test_two_speakers_must_be_left_to_train():
    three = {spk: ["x", "y"] for spk in "abc"}
    with pytest.raises(InputError, match="two be left"):
        choose_speakers(three, 2, 0)
    assert len(choose_speakers(three | {"d": ["z"]}, 2, 0)) == 2


def test_trials_say_the_truth_and_never_pair_an_utterance_with_itself_or_twice():
    found = trials()
    assert {kind for *_, kind in found} == {"target", "nontarget"}
    for enrol, test, kind in found:
        assert enrol != test and (speaker(enrol) == speaker(test)) == (kind == "target")
    pairs = [frozenset(pair) for *pair, _ in found]
    assert len(set(pairs)) == len(pairs)


def test_nontargets_are_of_one_gender_where_genders_are_known():
    assert all(GENDER[speaker(a)] == GENDER[speaker(b)] for a, b, kind in trials() if kind == "nontarget")
    mixed = [GENDER[speaker(a)] != GENDER[speaker(b)] for a, b, kind in trials(gender={}) if kind == "nontarget"]
    assert any(mixed)


def test_two_speakers_of_different_gender_still_have_nontargets():
    assert any(kind == "nontarget" for *_, kind in trials(speakers=["spk01", "spk02"]))


@pytest.mark.parametrize("most", [1, 3, 10, 2000])
def test_there_are_at_most_so_many_of_each_kind_and_all_targets_if_they_fit(most):
    kinds = [kind for *_, kind in trials(most, speakers=["spk02", "spk03", "spk06", "spk07"])]
    assert kinds.count("target") == min(most, 3 + 6 + 3 + 6)
    assert 1 <= kinds.count("nontarget") <= most


def hold_out(folder, *options):
    (folder / "out").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "sv_py.hold_out", *options, folder, folder / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_writes_disjoint_lists_and_the_trials(tmp_path):
    write_table(tmp_path / "utt2spk", {utt: spk for spk, utts in SPK2UTT.items() for utt in utts})
    write_table(tmp_path / "spk2gender", GENDER)
    assert hold_out(tmp_path, "--speakers", "6", "--trials", "9").returncode == 0
    train, dev = ((tmp_path / "out" / name).read_text().split() for name in ("train_utts", "dev_utts"))
    assert sorted(train + dev) == sorted(utt for utts in SPK2UTT.values() for utt in utts)
    assert not {speaker(utt) for utt in train} & {speaker(utt) for utt in dev}
    listed = (tmp_path / "out" / "trials").read_text().split()
    assert set(listed) - {"target", "nontarget"} <= set(dev)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--speakers", "40"), "cannot hold out 40 dev speakers"),
        (("--seed", "-1"), "--seed at least 0"),
        (("--trials", "0"), "--trials must be at least 1"),
        (("--valid-share", "1"), "--valid-share must be at least 0 and below 1, not 1.0"),
    ],
)
def test_the_command_writes_nothing_on_error(tmp_path, options, expected):
    write_table(tmp_path / "utt2spk", {utt: spk for spk, utts in SPK2UTT.items() for utt in utts})
    done = hold_out(tmp_path, *options)
    assert done.returncode == 1 and expected in done.stderr and not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("share", "count", "expected"),
    [(0.01, 10, 1), (0.1, 10, 1), (0.11, 10, 2), (0.07, 100, 7), (0.5, 2, 1), (0.99, 10, 9), (0.5, 1, 0)],
)
def test_of_each_speaker_so_many_are_for_validation_rounded_up_but_never_the_last_one(share, count, expected):
    others = {"a": ["a-1", "a-2"], "b": [f"b-{n}" for n in range(count)]}
    chosen = choose_utts(others, share, 0)
    assert len(chosen & set(others["b"])) == expected and len(chosen & set(others["a"])) == 1


def test_validation_utterances_depend_on_the_seed_only():
    speakers = {spk: [f"{spk}-{n}" for n in range(20)] for spk in "abc"}
    assert choose_utts(speakers, 0.3, 1) == choose_utts(speakers, 0.3, 1) != choose_utts(speakers, 0.3, 2)


def test_validation_without_a_speaker_of_two_utterances_is_an_error():
    with pytest.raises(InputError, match=r"no training speaker has two utterances, to hold out 0\.5 of them"):
        choose_utts({"a": ["a-1"], "b": ["b-1"]}, 0.5, 0)


def lists(folder, *names):
    return [(folder / "out" / name).read_text().split() for name in names]


def test_validation_changes_nothing_of_who_is_held_out_and_takes_from_training_only(tmp_path):
    write_table(tmp_path / "utt2spk", {utt: spk for spk, utts in SPK2UTT.items() for utt in utts})
    assert hold_out(tmp_path, "--speakers", "6").returncode == 0
    before = lists(tmp_path, "dev_utts", "trials", "train_utts")
    assert not (tmp_path / "out/valid_utts").exists()
    assert hold_out(tmp_path, "--speakers", "6", "--valid-share", "0.3").returncode == 0
    dev, chosen, train, valid = lists(tmp_path, "dev_utts", "trials", "train_utts", "valid_utts")
    assert [dev, chosen] == before[:2] and sorted(train + valid) == before[2] and valid == sorted(valid)
    assert {speaker(utt) for utt in valid} <= {speaker(utt) for utt in train}
