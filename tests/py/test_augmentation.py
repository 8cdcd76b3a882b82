"""Chains of augmentations: what is drawn, in which batch it is applied, and the presets."""

import dataclasses
import pickle
import re
from collections import Counter

import numpy as np
import pytest
import torch
from sounds import real_pools

from sv_py.augmentation import AUGMENTATIONS
from sv_py.augmentation.arguments import (
    AllOfArguments,
    BabbleArguments,
    ClippingArguments,
    GainArguments,
    NoiseArguments,
    OneOfArguments,
    ReverbArguments,
    RoomsArguments,
    TelephoneArguments,
    TempoArguments,
    roles_of,
)
from sv_py.augmentation.chain import build_chain
from sv_py.cli import InputError
from sv_py.config import load
from sv_py.registry import Part
from sv_py.schema import Augment

COUNT = 32240  # samples of a crop of 200 frames
LEAVES = [name for name in AUGMENTATIONS.entries if name not in ("one_of", "all_of")]
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")),
]
PRESETS = ["clova", "voxblink", "voxblink_one_speed", "wespeaker", "wespeaker_one_speed"]


@pytest.fixture(scope="module")
def pools(shared, tmp_path_factory):
    return real_pools(shared, tmp_path_factory.mktemp("pools"))


@pytest.fixture(scope="module")
def speech(pools) -> torch.Tensor:
    """A batch of crops (12, samples), one of them silent."""
    rng = np.random.default_rng(7)
    crops = torch.from_numpy(np.stack([pools["speech"].segment(rng, COUNT) for _ in range(12)])).float()
    crops[5] = 0
    return crops


def draws(chain, number, seed=0):
    return [chain.draw(np.random.default_rng([seed, i]), COUNT, i % 12) for i in range(number)]


def chain_of(pools, *parts):
    """A chain of parts, each a name or (name, arguments)."""
    named = [part if isinstance(part, tuple) else (part, AUGMENTATIONS.arguments(part)()) for part in parts]
    return build_chain([Part(*part) for part in named], pools, 16000)


def preset(root, tmp_path, name):
    (tmp_path / "x.yaml").write_text(f"""
model: {{name: ecapa_tdnn}}
data: {{source: audio}}
features: {{frontend: {{name: kaldi_fbank}}}}
phases: [{{name: a, epochs: 1, augment: {name}}}]
""")
    return load(tmp_path / "x.yaml").phases[0].augment


def assert_alike(found, expected):
    """To 1e-5 of the loudest sample of each waveform."""
    error = (found - expected).abs().amax(dim=1)
    assert (error <= 1e-5 * expected.abs().amax(dim=1)).all(), error


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", LEAVES)
def test_a_batch_gives_what_each_waveform_gives_alone_on_any_device(name, device, pools, speech):
    chain = chain_of(pools, name)
    for seed in range(3):
        drawn = draws(chain, len(speech), seed)
        together = chain.apply(speech.to(device), drawn).cpu()
        alone = torch.cat([chain.apply(speech[i : i + 1], drawn[i : i + 1]) for i in range(len(speech))])
        assert together.shape == speech.shape and together.isfinite().all()
        assert_alike(together, alone)
        assert not torch.equal(together, speech)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_loads_by_its_name_and_gives_in_a_batch_what_it_gives_alone(name, root, tmp_path, pools, speech):
    chain = build_chain(preset(root, tmp_path, name).waveform, pools, 16000)
    assert chain.roles == {"noise", "music", "speech", "rir"}
    drawn = draws(chain, len(speech))
    backwards = chain.apply(speech.flip(0), drawn[::-1]).flip(0)
    assert_alike(chain.apply(speech, drawn), backwards)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("names", [("reverb", "telephone"), ("babble", "rooms", "tempo", "telephone")])
def test_a_chain_that_ends_in_a_decision_gives_in_a_batch_what_it_gives_alone(names, device, pools, speech):
    chain = chain_of(pools, *names)
    drawn = draws(chain, len(speech))
    drawn[3][-1] = None
    alone = torch.cat([chain.apply(speech[i : i + 1], drawn[i : i + 1]) for i in range(len(speech))])
    assert_alike(chain.apply(speech.to(device), drawn).cpu(), alone)


@pytest.mark.parametrize("name", LEAVES)
def test_silence_stays_silent_and_is_never_nan(name, pools):
    chain = chain_of(pools, name)
    assert not chain.apply(torch.zeros(4, COUNT), draws(chain, 4)).any()


@pytest.mark.parametrize("name", LEAVES)
def test_ten_milliseconds_are_augmented_too(name, pools, speech):
    chain = chain_of(pools, name)
    short = speech[:4, 5000:5160]
    drawn = [chain.draw(np.random.default_rng(i), 160, i) for i in range(4)]
    found = chain.apply(short, drawn)
    assert found.shape == short.shape and found.isfinite().all()


def test_equal_generators_draw_alike_whatever_was_drawn_before(pools, speech):
    parts = (
        ("one_of", OneOfArguments(0.9, (Part("babble", BabbleArguments()), Part("rooms", RoomsArguments())))),
        "telephone",
    )
    first, second = chain_of(pools, *parts), chain_of(pools, *parts)
    expected = draws(first, 8)
    draws(second, 20, seed=5)
    found = [second.draw(np.random.default_rng([0, i]), COUNT, i % 12) for i in reversed(range(8))][::-1]
    assert pickle.dumps(found) == pickle.dumps(expected)
    assert torch.equal(first.apply(speech[:8], expected), second.apply(speech[:8], found))


def test_the_waveforms_that_go_in_are_not_changed(pools, speech):
    before = speech.clone()
    chain = chain_of(pools, *LEAVES)
    chain.apply(speech, draws(chain, len(speech)))
    assert torch.equal(speech, before)


def test_probabilities_and_weights_are_those_of_the_arguments(pools):
    parts = (Part("noise", NoiseArguments()), Part("reverb", ReverbArguments()), Part("gain", GainArguments(0.5)))
    chain = chain_of(pools, ("one_of", OneOfArguments(0.8, parts, weights=(1, 1, 2))))
    applied = Counter()
    for entries in draws(chain, 4000):
        names = [name for name, entry in zip(("noise", "reverb", "gain"), entries, strict=True) if entry is not None]
        assert len(names) <= 1
        applied.update(names or ["none"])
    shares = [applied[name] / 4000 for name in ("noise", "reverb", "gain", "none")]
    assert shares == pytest.approx([0.2, 0.2, 0.2, 0.4], abs=0.03)


def test_all_of_applies_its_parts_in_their_order(pools, speech):
    parts = (Part("clipping", ClippingArguments(share=(0.3, 0.3))), Part("gain", GainArguments(gain=(6.0, 6.0))))
    chain = chain_of(pools, ("all_of", AllOfArguments(0.5, parts)), ("gain", GainArguments(gain=(-6.0, -6.0))))
    drawn = draws(chain, len(speech))
    assert all((clipping is None) == (gain is None) for clipping, gain, _ in drawn)
    found = chain.apply(speech, drawn)
    for wave, result, (clipping, _, _) in zip(speech, found, drawn, strict=True):
        level = np.quantile(wave.abs().numpy(), 0.7) if clipping is not None else np.inf
        factor = 1 if clipping is not None else 10 ** (-6 / 20)
        assert np.allclose(result, wave.clamp(-level, level) * factor, atol=1.5)


def test_the_wespeaker_preset_augments_six_crops_of_ten_half_of_them_by_reverberation(root, tmp_path, pools):
    chain = build_chain(preset(root, tmp_path, "wespeaker").waveform, pools, 16000)
    counts = np.sum([[entry is not None for entry in entries] for entries in draws(chain, 4000)], axis=0) / 4000
    assert counts[0] == pytest.approx(0.3, abs=0.03)
    assert counts[1:] == pytest.approx(0.3 * np.array([930, 426, 660]) / 2016, abs=0.02)


def test_the_clova_preset_chooses_uniformly_and_babbles_with_three_to_eight_others(root, tmp_path, pools):
    chain = build_chain(preset(root, tmp_path, "clova").waveform, pools, 16000)
    drawn = draws(chain, 2000)
    assert np.mean([[entry is not None for entry in entries] for entries in drawn], axis=0) == pytest.approx(
        [0.2] * 4, abs=0.04
    )
    assert {len(entries[2]) for entries in drawn if entries[2] is not None} == {3, 4, 5, 6, 7, 8}


@pytest.mark.parametrize("name", ["voxblink", "wespeaker"])
def test_a_preset_of_one_speed_differs_from_its_model_in_speeds_only(name, root, tmp_path):
    alike = dataclasses.replace(preset(root, tmp_path, name), speed=(), speed_expand=False)
    assert preset(root, tmp_path, f"{name}_one_speed") == alike


def test_the_voxblink_preset_expands_speeds_and_changes_gain_and_tempo(root, tmp_path):
    augment = preset(root, tmp_path, "voxblink")
    assert augment.speed == (0.9, 1.1) and augment.speed_expand
    assert [part.name for part in augment.waveform] == ["tempo", "one_of", "gain"]


def test_a_role_that_is_not_bound_is_named_with_the_option_that_binds_it(pools):
    without = {role: pool for role, pool in pools.items() if role != "rir"}
    with pytest.raises(InputError, match="needs sounds for 'rir': --augment-set rir=<data-dir>"):
        chain_of(without, "gain", ("one_of", OneOfArguments(parts=(Part("reverb", ReverbArguments()),))))


def test_the_roles_of_parts_are_found_at_any_depth():
    inner = Part("one_of", OneOfArguments(parts=(Part("babble", BabbleArguments()), Part("reverb", ReverbArguments()))))
    assert roles_of([Part("all_of", AllOfArguments(parts=(inner,))), Part("gain", GainArguments())]) == {"train", "rir"}


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (NoiseArguments, {"probability": 0.0}, "probability must be above 0 and at most 1, is 0"),
        (NoiseArguments, {"probability": 1.5}, "probability must be above 0 and at most 1, is 1.5"),
        (NoiseArguments, {"source": "nose"}, r"unknown source 'nose' \(did you mean 'noise'\?\)"),
        (NoiseArguments, {"snr": (15.0, 0.0)}, r"snr is \[least, most\] between -100 and 100 dB, not \[15.0, 0.0\]"),
        (BabbleArguments, {"count": (0, 3)}, r"count is \[least, most\] between 1 and 64, not \[0, 3\]"),
        (ReverbArguments, {"source": "rirs"}, r"unknown source 'rirs' \(did you mean 'rir'\?\)"),
        (RoomsArguments, {"rooms": 0}, "rooms must be between 1 and 10000, is 0"),
        (RoomsArguments, {"rt60": (0.2, 3.0)}, r"rt60 is \[least, most\] between 0.05 and 1 s"),
        (TelephoneArguments, {"band": (300.0, 300.0)}, r"band is \[lower, upper\] edge"),
        (TempoArguments, {"factor": (0.1, 1.0)}, "factor is"),
        (ClippingArguments, {"share": (0.5, 1.0)}, "share is"),
        (OneOfArguments, {}, "parts: at least one is needed"),
        (AllOfArguments, {}, "parts: at least one is needed"),
        (OneOfArguments, {"parts": (Part("gain", GainArguments()),), "weights": (1.0, 2.0)}, "weights are 1 positive"),
    ],
)
def test_arguments_out_of_range_are_refused(kind, values, message):
    with pytest.raises(InputError, match=message):
        kind(**values)


def test_a_mistake_in_a_nested_part_is_told_with_its_line(tmp_path):
    (tmp_path / "x.yaml").write_text("""model: {name: ecapa_tdnn}
phases:
  - name: a
    epochs: 1
    augment:
      waveform:
        - name: one_of
          args:
            parts:
              - {name: noise, args: {snrs: [0, 15]}}
""")
    with pytest.raises(InputError, match=r"x.yaml:10: unknown key .*snrs.* \(did you mean 'snr'\?\)"):
        load(tmp_path / "x.yaml")


def test_every_argument_is_explained_with_its_default(root):
    text = (root / "docs/augmentation.md").read_text()
    rows = set(re.findall(r"^\| `\w+` `\w+` \| [^|]+ \|", text, re.MULTILINE))
    expected = set()
    for name, (arguments, _) in AUGMENTATIONS.entries.items():
        for field in dataclasses.fields(arguments):
            value = list(field.default) if isinstance(field.default, tuple) else field.default
            expected.add(f"| `{name}` `{field.name}` | `{str(value).lower() if value is True else value}` |")
    assert rows == expected


@pytest.mark.parametrize(
    ("speeds", "message"),
    [
        ((0.3,), "a speed is between 0.5 and 2"),
        ((0.93333,), "at most three decimals, not 0.93333"),
        ((1.0, 1.1), r"different factors, without 1, not \[1.0, 1.1\]"),
        ((0.9, 0.9), "different factors"),
    ],
)
def test_speeds_that_cannot_be_are_refused_by_the_configuration(speeds, message):
    with pytest.raises(InputError, match=message):
        Augment(speed=speeds)


def test_everything_drawn_can_be_sent_to_another_process(pools):
    chain = chain_of(pools, *LEAVES)
    (entries,) = draws(chain, 1)
    assert len(entries) == len(LEAVES)
    assert len(pickle.dumps(entries)) < 1 << 20
