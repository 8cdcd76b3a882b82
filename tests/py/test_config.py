"""The YAML of an experiment: everything that is wrong is told with its place and near miss, and nothing is written."""

import subprocess
import sys

import pytest
import yaml

from sv_py.cli import InputError
from sv_py.config import check_shares, check_training, dump, from_dict, load, lookup, read_values, to_dict

GOOD = """\
model:
  name: ecapa_tdnn
  args: {channels: 64}
phases:
  - name: plateau
    epochs: 3
    rate: {peak: 1e-3}
  - name: large_margin
    epochs: 1
    margin_ramp: [0, 0.5]
features:
  vad: true
"""


@pytest.fixture
def write(tmp_path):
    def call(text, name="x.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return call


@pytest.fixture
def complaint(write, tmp_path):
    """What `load` says of GOOD after a replacement, or of a text of its own."""

    def call(old, new=None, overrides=()):
        if new is None:
            text = old
        else:
            assert old in GOOD
            text = GOOD.replace(old, new, 1)
        with pytest.raises(InputError) as error:
            load(write(text), overrides)
        return str(error.value).removeprefix(f"{tmp_path}/")

    return call


def test_defaults_fill_what_the_yaml_leaves_out(write):
    config = load(write(GOOD))
    assert config.model.args.channels == 64 and config.model.args.scale == 8
    assert config.loss.name == "aam_softmax" and config.scoring.backend.name == "cosine"
    assert config.features.vad is True and config.features.cmn == "utterance"
    assert config.phases[1].margin_ramp == (0.0, 0.5) and config.phases[0].margin is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("features:", "feature:", "x.yaml:11: unknown key 'feature' (did you mean 'features'?)"),
        ("vad: true", "vat: true", "x.yaml:12: unknown key 'features.vat' (did you mean 'vad'?)"),
        ("channels", "chanels", "x.yaml:3: unknown key 'model.args.chanels' (did you mean 'channels'?)"),
        ("args:", "arg:", "x.yaml:3: unknown key 'model.arg' (did you mean 'args'?)"),
        ("ecapa_tdnn", "ecapa_tdn", "x.yaml:2: model.name: unknown backbone 'ecapa_tdn' (did you mean 'ecapa_tdnn'?)"),
        ("peak", "peek", "x.yaml:7: unknown key 'phases.0.rate.peek' (did you mean 'peak'?)"),
        ("    epochs: 1\n", "    epoch: 1\n", "x.yaml:9: unknown key 'phases.1.epoch' (did you mean 'epochs'?)"),
        ("    epochs: 1\n", "", "x.yaml:8: phases.1 lacks epochs"),
        ("epochs: 3", "epochs: 3.0", "x.yaml:6: phases.0.epochs is a whole number, not '3.0'"),
        ("epochs: 3", "epochs: 010", "x.yaml:6: phases.0.epochs is a whole number, not '010'"),
        ("epochs: 3", "epochs: 1_000", "x.yaml:6: phases.0.epochs is a whole number, not '1_000'"),
        ("epochs: 3", "epochs: '3'", "x.yaml:6: phases.0.epochs is a whole number, not '3'"),
        ("epochs: 3", "epochs:", "x.yaml:6: phases.0.epochs is a whole number, not ''"),
        ("epochs: 3", "epochs: true", "x.yaml:6: phases.0.epochs is a whole number, not 'true'"),
        ("epochs: 3", "epochs: 0", "x.yaml:5: phases.0: epochs must be at least 1, is 0"),
        ("epochs: 3", "epochs: 3\n    epochs: 4", "x.yaml:7: key 'phases.0.epochs' a second time"),
        ("vad: true", "vad: yes", "x.yaml:12: features.vad is true or false, not 'yes'"),
        ("vad: true", "vad: 1", "x.yaml:12: features.vad is true or false, not '1'"),
        ("peak: 1e-3", "peak: high", "x.yaml:7: phases.0.rate.peak is a number, not 'high'"),
        ("peak: 1e-3", "peak: .nan", "x.yaml:7: phases.0.rate.peak is a number, not '.nan'"),
        ("peak: 1e-3", "peak: 1e999", "x.yaml:7: phases.0.rate.peak is a number, not '1e999'"),
        ("peak: 1e-3", "peak: '1e-3'", "x.yaml:7: phases.0.rate.peak is a number, not '1e-3'"),
        ("peak: 1e-3", "peak: [1]", "x.yaml:7: phases.0.rate.peak is a number, not a list or mapping"),
        ("peak: 1e-3", "decay: linear", "x.yaml:7: phases.0.rate: decay is exponential, cosine, step or constant"),
        ("[0, 0.5]", "[0]", "x.yaml:10: phases.1.margin_ramp is a list of 2 values"),
        ("[0, 0.5]", "0.5", "x.yaml:10: phases.1.margin_ramp is a list"),
        ("[0, 0.5]", "[3, 1]", "x.yaml:8: phases.1: margin_ramp is [first, last]"),
        ("[0, 0.5]", "[0, 1]\n    mask: {probability: 0}", "x.yaml:11: phases.1.mask: probability must be above 0"),
        ("[0, 0.5]", "[0, 1]\n    mask: {time_stripes: 0}", "x.yaml:11: phases.1.mask: time_stripes must be at least"),
        ("large_margin", "plateau", "x.yaml:1: phases: a name twice"),
        ("large_margin", "../up", "x.yaml:8: phases.1: a phase's name is a folder"),
        ("large_margin", "7", "x.yaml:8: phases.1.name is a string, not '7'"),
        ("  name: ecapa_tdnn\n", "", "x.yaml:2: model lacks name"),
        ("  name: ecapa_tdnn\n", "  name: ecapa_tdnn\n  name: resnet\n", "x.yaml:3: key 'model.name' a second time"),
        ("{channels: 64}", "64", "x.yaml:3: model.args is a mapping with the keys channels"),
        ("{channels: 64}", "{channels: 65}", "x.yaml:3: model.args: scale must be at least 2 and divide channels"),
        ("\n  vad: true", "", "x.yaml:11: features is a mapping with the keys frontend, cmn"),
        ("features:", "? [vad]\n: 1\nfeatures:", "x.yaml:11: unknown key 'a list or mapping'"),
        ("features:", "1: 2\nfeatures:", "x.yaml:11: unknown key '1'"),
        ("features:", "seed: -1\nfeatures:", "x.yaml:1: seed must be at least 0, is -1"),
        ("features:", "seed: 1\nseed: 2\nfeatures:", "x.yaml:12: key 'seed' a second time"),
        ("args: {", "args: &a {", None),
        ("features:\n  vad: true", "features: *f", "x.yaml:11: bad YAML: aliases (*name) are not used here"),
        ("features:", "<<: {seed: 1}\nfeatures:", "x.yaml:11: unknown key '<<'"),
        ("model:", "model: !!python/object/apply:os.system", "x.yaml:1: model is a mapping with name and args"),
        ("phases:", "phases: !!python/tuple", "x.yaml:4: phases is a list"),
        ("true", "!!python/name:os.system", "x.yaml:12: features.vad is true or false"),
        ("vad: true", "vad: [", "x.yaml:13: bad YAML: "),
        ("vad: true", "\tvad: true", "x.yaml:12: bad YAML: found character '\\t'"),
        ("vad: true", "vad: true\n---\nseed: 1", "x.yaml:13: bad YAML: but found another document"),
        ("vad: true", "vad: \0true", "x.yaml:12: bad YAML: special characters are not allowed"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_near_miss(write, complaint, old, new, expected):
    if expected is None:  # an anchor that nothing refers to does no harm
        load(write(GOOD.replace(old, new)))
    else:
        assert complaint(old, new).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "x.yaml: is empty"),
        ("# only a comment\n", "x.yaml: is empty"),
        ("- a\n- b\n", "x.yaml:1: the file is a mapping with the keys model, loss"),
        ("hello\n", "x.yaml:1: the file is a mapping"),
        ("seed: 1\n", "x.yaml:1: the file lacks model"),
        (GOOD.replace("phases:", "phasen:"), "x.yaml:4: unknown key 'phasen' (did you mean 'phases'?)"),
        ("[" * 5000, "x.yaml: bad YAML: nested too deeply"),
        (b"seed: 1\nmodel: \xff\n", "x.yaml:2: not UTF-8"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused(complaint, text, expected):
    assert complaint(text).startswith(expected)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml: no such file"):
        load(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "0.001", "+1.0e-3", ".001"])
def test_every_way_to_write_a_number_is_a_number(write, text):
    assert load(write(GOOD.replace("1e-3", text))).phases[0].rate.peak == 0.001


def test_a_whole_number_does_for_a_number_and_null_for_an_absent_one(write):
    config = load(write(GOOD.replace("    epochs: 1\n", "    epochs: 1\n    margin: ~\n    crops_per_utt: 2\n")))
    assert config.phases[1].margin is None
    assert config.phases[1].crops_per_utt == 2.0 and isinstance(config.phases[1].crops_per_utt, float)


def test_dump_then_load_gives_the_same_configuration(write):
    config = load(write(GOOD), ["phases.0.rate.final=1e-05", "loss.args.margin=0.35"])
    assert load(write(dump(config), "again.yaml")) == config
    assert from_dict(yaml.safe_load(dump(config)), "checkpoint") == config


def test_every_experiment_of_the_repository_is_valid_and_survives_a_round_trip(root, write):
    found = [*root.glob("conf/*.yaml"), *root.glob("egs/*/*/conf/*.yaml")]
    assert found
    for path in found:
        config = load(path)
        assert load(write(dump(config))) == config


def test_a_damaged_configuration_in_a_checkpoint_names_the_checkpoint(write):
    values = to_dict(load(write(GOOD)))
    with pytest.raises(InputError, match=r"final\.pt: its configuration"):
        from_dict(values | {"seed": object()}, "final.pt")
    with pytest.raises(InputError, match=r"final\.pt:\d+: unknown key 'sed' \(did you mean 'seed'"):
        from_dict(values | {"sed": 1}, "final.pt")


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("seed=7", "seed", 7),
        ("phases.1.epochs=9", "phases.1.epochs", 9),
        ("phases.0.mask.time=20", "phases.0.mask.time", 20),
        ("phases.1.margin_ramp=[1, 2]", "phases.1.margin_ramp", [1.0, 2.0]),
        ("phases.1.margin_ramp.1=3", "phases.1.margin_ramp", [0.0, 3.0]),
        ("phases.1.margin_ramp=", "phases.1.margin_ramp", None),
        ("phases.1={name: b, epochs: 2}", "phases.1.epochs", 2),
        ("hold_out.dev_speakers=4", "hold_out.dev_speakers", 4),
        ("loss.name=aam_softmax", "loss.name", "aam_softmax"),
        ("loss.args.margin=0.3", "loss.args.margin", 0.3),
        ("model={name: resnet, args: {width: 8}}", "model.args.width", 8),
    ],
)  # fmt: skip
def test_set_overrides_one_value(write, override, key, value):
    if value is None:
        with pytest.raises(InputError, match="margin_ramp is a list"):
            load(write(GOOD), [override])
    else:
        assert lookup(load(write(GOOD), [override]), key) == value


def test_set_of_model_name_keeps_arguments_that_fit_and_names_those_that_do_not(write, complaint):
    text = GOOD.replace("{channels: 64}", "{embedding_dim: 32}")
    assert load(write(text), ["model.name=resnet"]).model.args.embedding_dim == 32
    assert complaint(GOOD, None, ["model.name=resnet"]).startswith("x.yaml:3: unknown key 'model.args.channels'")


@pytest.mark.parametrize("name", ["", "name: asp, "])
def test_a_part_that_a_field_names_by_default_keeps_the_arguments_that_go_with_it(write, name):
    pooling = load(write(GOOD), [f"model.args.pooling={{{name}args: {{attention_channels: 64}}}}"]).model.args.pooling
    assert (pooling.name, pooling.args.attention_channels, pooling.args.context) == ("asp", 64, True)
    of_another = load(write(GOOD), ["model={name: resnet, args: {pooling: {name: asp}}}"]).model.args.pooling
    assert not of_another.args.context


def test_a_mistake_in_a_part_of_a_part_is_named_with_its_line_and_near_miss(write, complaint):
    with pytest.raises(InputError, match=r"pooling\.name: unknown pooling 'netvald' \(did you mean 'netvlad'\?\)"):
        load(write(GOOD), ["model.args.pooling.name=netvald"])
    message = complaint("{channels: 64}", "\n    pooling:\n      args: {contxt: true}")
    assert message.startswith("x.yaml:5: unknown key 'model.args.pooling.args.contxt' (did you mean 'context'?)")


def test_later_overrides_win_and_earlier_ones_are_seen(write):
    config = load(write(GOOD), ["model={name: resnet}", "model.args.width=8", "model.args.width=16"])
    assert config.model.args.width == 16


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed", "--set seed: expected key=value"),
        ("=1", "--set =1: expected key=value"),
        ("sed=1", "--set sed=1: unknown key 'sed' (did you mean 'seed'?)"),
        ("seed=x", "--set seed=x: seed is a whole number, not 'x'"),
        ("seed=#", "--set seed=#: is empty"),
        ("seed=[", "--set seed=[: bad YAML"),
        ("seed=*a", "--set seed=*a: bad YAML: aliases"),
        ("seed.a=1", "--set seed.a=1: seed is a whole number"),
        ("model.name.a=1", "--set model.name.a=1: 'name' has no keys"),
        ("model={name: ecapa_tdnn, arg: 1}", "--set model={name: ecapa_tdnn, arg: 1}: unknown key 'model.arg'"),
        ("model.args.chanels=1", "--set model.args.chanels=1: unknown key 'model.args.chanels' (did you mean"),
        ("phases.5.epochs=1", "--set phases.5.epochs=1: '5' is not one of the 2 entries"),
        ("phases.x.epochs=1", "--set phases.x.epochs=1: 'x' is not one of the 2 entries"),
        ("phases.²=1", "--set phases.²=1: '²' is not one of the 2 entries"),
        ("phases.1.epoch=2", "--set phases.1.epoch=2: unknown key 'phases.1.epoch' (did you mean 'epochs'?)"),
        ("features.vad=yes", "--set features.vad=yes: features.vad is true or false"),
    ],
)
def test_a_mistake_in_set_is_told_as_such(complaint, override, expected):
    assert complaint(GOOD, None, [override]).startswith(expected)


def test_lookup_names_the_near_miss(write):
    config = load(write(GOOD))
    assert lookup(config, "phases.0.rate.peak") == 0.001
    with pytest.raises(InputError, match="did you mean 'min_frames'"):
        lookup(config, "hold_out.min_frame")
    with pytest.raises(InputError, match="unknown '9'"):
        lookup(config, "phases.9.epochs")


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "sv_py.config", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_command_writes_the_resolved_file_and_the_sections(write, tmp_path):
    out, sections = tmp_path / "config.yaml", tmp_path / "sections"
    done = command(write(GOOD), "--set", "seed=3", "--out", out, "--sections", sections)
    assert (done.returncode, done.stdout) == (0, "")
    assert load(out) == load(write(GOOD), ["seed=3"])
    found = {path.stem: yaml.safe_load(path.read_text()) for path in sections.iterdir()}
    assert set(found) == {"hold_out", "train", "scoring", "norm", "calibration", "metrics"}
    assert found["train"]["seed"] == 3 and "hold_out" not in found["train"]
    assert found["train"]["data.window"] == 0 and "max_bad" not in str(found["train"])


def test_the_command_prints_the_yaml_or_single_values(write):
    assert yaml.safe_load(command(write(GOOD)).stdout)["phases"][0]["rate"]["peak"] == 0.001
    assert command(write(GOOD), "--get", "model.name", "seed", "features.vad").stdout == "ecapa_tdnn 0 true\n"
    norm = ["--set", "scoring.norm={name: as_norm, args: {top: [100, 300]}}"]
    values = ["scoring.norm.name", "scoring.norm.args.top", "scoring.calibration.name"]
    assert command(write(GOOD), *norm, "--get", *values).stdout == "as_norm 100,300 none\n"


def test_the_command_says_one_line_on_error_and_writes_nothing(write, tmp_path):
    done = command(write(GOOD), "--set", "sed=3", "--out", tmp_path / "o.yaml", "--sections", tmp_path / "sections")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "did you mean 'seed'" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


def test_nothing_in_a_yaml_runs(write, tmp_path):
    mark = tmp_path / "mark"
    for text in (f"!!python/object/apply:os.system ['touch {mark}']", f"!!python/object/new:os.system [touch {mark}]"):
        with pytest.raises(InputError):
            load(write(GOOD.replace("true", text)))
        with pytest.raises(InputError):
            load(write(text))
    assert not mark.exists()


AUDIO = """\
model: {name: resnet}
features:
  frontend: {name: kaldi_fbank, args: {window_type: hamming}}
data: {source: audio}
phases:
  - {name: plateau, epochs: 1, augment: quiet}
  - {name: fine, epochs: 1, crop: [200, 400]}
"""
QUIET = "speed: [0.9, 1.1]\nwaveform:\n  - {name: gain}\n"


@pytest.fixture
def audio(write, tmp_path):
    """An experiment on audio with a preset of its own, after a replacement in either; `load` takes it."""
    (tmp_path / "augment").mkdir()

    def call(old="", new="", preset=QUIET):
        (tmp_path / "augment" / "quiet.yaml").write_text(preset)
        assert old in AUDIO
        return write(AUDIO.replace(old, new, 1) if old else AUDIO)

    return call


def test_a_preset_stands_for_its_keys_in_the_file_and_on_the_command_line(audio):
    config = load(audio())
    assert config.phases[0].augment.speed == (0.9, 1.1) and config.phases[0].augment.waveform[0].name == "gain"
    assert config.phases[1].augment.waveform == () and config.phases[1].crop_range == (200, 400)
    assert load(audio(), ["phases.1.augment=quiet"]).phases[1].augment == config.phases[0].augment
    assert load(audio(), ["phases.0.augment.speed=[0.8]"]).phases[0].augment.speed == (0.8,)
    assert from_dict(to_dict(config), "memory") == config
    assert "quiet" not in dump(config), "the resolved configuration needs no preset"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("augment: quiet", "augment: quite", "x.yaml:6: unknown preset 'quite' (did you mean 'quiet'?); known: "),
        ("augment: quiet", "augment: ../x", "x.yaml:6: unknown preset '../x'"),
        ("[200, 400]", "[400, 200]", "x.yaml:7: phases.1: crop is a number of frames, or [least, most]"),
        ("[200, 400]", "null", "x.yaml:7: phases.1.crop is a whole number, not 'null'"),
        ("data: {source: audio}", f"data: {{source: audio}}\nseed: {1 << 63}", "x.yaml:1: seed must be below 2^63"),
        ("[200, 400]", "[200]", "x.yaml:7: phases.1.crop is a list of 2 values"),
        ("source: audio", "source: feats", "x.yaml:1: features.frontend: stored features have theirs"),
        ("  frontend: {name: kaldi_fbank, args: {window_type: hamming}}", "  vad: true", "x.yaml:1: features.frontend"),
        ("window_type", "window_tipe", "x.yaml:3: unknown key 'features.frontend.args.window_tipe' (did you mean"),
        ("epochs: 1, crop", "epochs: 1, sampler: {name: speakers_times_utts}, crop", None),
        ("epochs: 1, crop", "epochs: 1, sampler: {name: speakers_times_utts, args: {utts: 3}}, crop", "x.yaml:7: "),
    ],
)  # fmt: skip
def test_a_mistake_in_an_experiment_on_audio_is_named(audio, tmp_path, old, new, expected):
    path = audio(old, new)
    if expected is None:
        assert load(path).phases[1].sampler.args.speakers == 32
        return
    with pytest.raises(InputError) as error:
        load(path)
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(expected)


def test_a_mistake_in_a_preset_names_the_presets_line(audio, tmp_path):
    with pytest.raises(InputError) as error:
        load(audio(preset="speed: [0.9]\nwavefrom: []\n"))
    assert str(error.value).startswith(f"{tmp_path}/augment/quiet.yaml:2: unknown key 'phases.0.augment.wavefrom'")


def test_batches_of_speakers_from_everywhere_cannot_be_fetched_shard_by_shard(audio):
    overrides = ["data.fetch=shards", "data.window=2", "phases.1.sampler={name: speakers_times_utts}"]
    with pytest.raises(InputError, match=r"phases\.1\.sampler: takes utterances from all shards at once"):
        load(audio(), overrides)


def test_an_experiment_without_phases_describes_a_model_but_trains_none(tmp_path):
    (tmp_path / "x.yaml").write_text("model: {name: ecapa_tdnn}\n")
    config = load(tmp_path / "x.yaml")
    assert config.phases == ()
    with pytest.raises(InputError, match=r"x\.yaml: phases: at least one is needed to train"):
        check_training(config, [], "x.yaml")


def test_every_training_set_is_named_by_a_phase_and_every_phases_set_is_there(write):
    config = load(write(GOOD), ["phases.1.sets=[train, extra]", "phases.1.mix=[2, 1]"])
    check_training(config, [], "x.yaml", ["train", "extra"])
    with pytest.raises(InputError, match=r"x\.yaml: a phase trains on the set extra.*--extra-train-set"):
        check_training(config, [], "x.yaml")
    with pytest.raises(InputError, match=r"x\.yaml: no phase trains on the set extra \(phases\.N\.sets\)"):
        check_training(load(write(GOOD)), [], "x.yaml", ["train", "extra"])


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["phases.0.margin=0.3", "loss={name: margin_softmax}"], "phases.0.margin: the loss margin_softmax has no arg"),
        (["phases.1.margin=0.3", "phases.1.margin_ramp=null", "loss={name: softmax}"], "phases.1.margin: the loss sof"),
        (["loss={name: softmax}"], "phases.1.margin_ramp: the loss softmax has no margin"),
        (["phases.0.inter_topk_margin=0", "loss={name: sphereface2}"], "phases.0.inter_topk_margin: the loss sphere"),
        (["phases.0.inter_topk_margin=2"], "phases.0.inter_topk_margin: inter_topk_margin must be at least 0"),
        (["phases.0.margin=1.6"], "phases.0.margin: margin must be at least 0 and below pi/2 radians, not 1.6"),
        (["phases.0.margin=1.2", "loss={name: am_softmax}"], "phases.0.margin: margin must be at least 0 and below 1"),
        (["phases.0.speakers=mine"], "phases.0: speakers is known or own, not 'mine'"),
        (["head.name=ful"], "head.name: unknown head 'ful' (did you mean 'full'?)"),
        (["head={name: sampled, args: {rate: 2}}"], "head.args: rate must be above 0 and at most 1, not 2"),
        (["head.args.rate=0.1"], "unknown key 'head.args.rate'"),
    ],
)
def test_a_margin_or_head_that_does_not_fit_is_named(write, overrides, expected):
    with pytest.raises(InputError) as error:
        load(write(GOOD), overrides)
    assert expected in str(error.value)


def test_the_loss_on_held_out_utterances_is_of_speakers_who_have_a_row_in_the_phases_head(write):
    by_loss = ["hold_out.valid_share=0.1", "phases.1.result.by=valid_loss", "phases.1.sets=[extra]"]
    load(write(GOOD), by_loss)  # the rows of the phase before are still there
    with pytest.raises(InputError, match=r"phases\.1\.result\.by: valid_loss is of the set train, whose speakers"):
        load(write(GOOD), [*by_loss, "phases.1.speakers=own"])
    load(write(GOOD), [*by_loss, "phases.1.speakers=own", "data.shared_speakers=merge"])


def test_any_loss_with_margins_may_have_a_ramp_and_one_with_a_margin_another(write):
    for name in ("aam_softmax", "am_softmax", "margin_softmax", "sphereface2"):
        assert load(write(GOOD), [f"loss.name={name}"]).phases[1].margin_ramp
    for name in ("aam_softmax", "am_softmax", "sphereface2"):
        assert load(write(GOOD), [f"loss.name={name}", "phases.0.margin=0.5"]).phases[0].margin == 0.5


def test_every_process_needs_a_micro_batch_of_a_step(write):
    config = load(write(GOOD), ["phases.0.batch_size=64", "phases.0.micro_batch=16", "phases.1.micro_batch=16"])
    for processes in (1, 3, 4):
        check_shares(config, processes)
    with pytest.raises(InputError, match=r"phases\.0: .* make 4 micro-batches of a step, too few for 5 processes"):
        check_shares(config, 5)
    config = load(write(GOOD), ["phases.0.micro_batch=16", "phases.1.micro_batch=16", "head.name=sharded"])
    check_shares(config, 2)
    with pytest.raises(InputError, match=r"phases\.0: .*needs a multiple of its 3 processes"):
        check_shares(config, 3)


@pytest.mark.parametrize("preset", [QUIET, "waveform: [{name: noise}]\n"])
def test_sounds_that_nothing_takes_are_a_mistake(audio, preset):
    config = load(audio(preset=preset))
    if preset == QUIET:
        with pytest.raises(InputError, match=r"x\.yaml: takes no sounds.*--augment-set noise=a"):
            check_training(config, ["noise=a"], "x.yaml")
        check_training(config, [], "x.yaml")
    else:
        check_training(config, ["noise=a", "music=b"], "x.yaml")  # a set that serves several presets


def test_waveforms_cannot_be_augmented_where_features_are_stored(audio):
    with pytest.raises(InputError, match=r"phases\.0\.augment: augmentation needs waveforms"):
        load(audio("features:\n  frontend: {name: kaldi_fbank, args: {window_type: hamming}}\ndata: {source: audio}\n"))


def test_a_configuration_of_an_earlier_version_can_still_be_shown(write):
    path = write("seed: 1\nphases:\n  - {name: a, crops_by_length: true, rate: {peak: 1.0e-3}}\n")
    assert read_values(path) == {"seed": 1, "phases": [{"name": "a", "crops_by_length": True, "rate": {"peak": 0.001}}]}
    with pytest.raises(InputError, match="is no mapping"):
        read_values(write("[1, 2]"))
