"""What a profile may say is what the arithmetic of its family can do: never less, silently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy import files, loihi_core, xylo_core
from mpo_snn.deploy.deployment import deploy
from mpo_snn.deploy.families import can_quantize, family_of
from mpo_snn.deploy.quantized import UnfitError
from mpo_snn.deploy.record import report_of
from mpo_snn.errors import ProfileError
from mpo_snn.inference import Inference
from mpo_snn.profiles.chip import ChipProfile, load_chip_profile
from mpo_snn.profiles.chip_keys import KEYS, Choice, Flag, Rule, Whole

from .chips import CHIPS, T, network, samples


@pytest.mark.parametrize(
    ("family", "key", "built_in"),
    [
        ("xylo", "format.state_bits", xylo_core.STATE_BITS),
        ("xylo", "neuron.input_events", xylo_core.MOST_INPUT_EVENTS),
        ("xylo", "neuron.hidden_spikes", xylo_core.MOST_HIDDEN_SPIKES),
        ("xylo", "neuron.output_spikes", xylo_core.MOST_OUTPUT_SPIKES),
        ("loihi", "format.sum_bits", loihi_core.SUM_BITS),
        ("loihi", "format.state_bits", loihi_core.CURRENT_BITS),
        ("loihi", "format.decay_bits", (loihi_core.DECAY_ONE - 1).bit_length()),
    ],
)
def test_what_is_built_in_has_one_value(family: str, key: str, built_in: int) -> None:
    rule = KEYS[family][key]
    assert rule.is_right(built_in)
    assert not rule.is_right(built_in - 1) and not rule.is_right(built_in + 1)


def values(rule: Rule) -> st.SearchStrategy:
    if isinstance(rule, Choice):
        return st.sampled_from(rule.words)
    if isinstance(rule, Flag):
        return st.booleans()
    assert isinstance(rule, Whole)
    ends = st.sampled_from((rule.low, min(rule.low + 1, rule.high), rule.high))
    return ends | st.integers(rule.low, rule.high)


def changed(profile: ChipProfile, key: str, value: int | str) -> ChipProfile:
    table, _, name = key.partition(".")
    there = profile.tables[table]
    some = there.get(name) or next(iter(there.values()))
    return replace(
        profile,
        tables={**profile.tables, table: {**there, name: replace(some, value=value)}},
    )


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Without the page, which `test_files` draws and which takes nine tenths of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "render_deployment", lambda report: "")
        yield


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("chip", CHIPS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_profile_that_is_taken_ends_in_an_answer(chip: str, data: st.DataObject) -> None:
    """Findings, silence, or all files of a deployment with every integer in its format."""
    profile = load_chip_profile(chip)
    rules = {
        key: rule
        for key, rule in KEYS[profile.family].items()
        if key.startswith(("neuron.", "format."))
    }
    for key in data.draw(st.sets(st.sampled_from(sorted(rules)), min_size=1, max_size=4)):
        profile = changed(profile, key, data.draw(values(rules[key]), label=key))
    assert can_quantize(profile)
    graph = network(profile.family)
    few = samples(6)
    try:
        if family_of(profile).check(graph, profile).findings:
            return
        deployment = deploy(graph, profile, few, few.x)
    except UnfitError:
        return
    except ProfileError as error:  # exponents of Loihi that leave none
        assert "does not suit" in str(error)
        return
    for name, tensor in deployment.integers.tensors().items():
        if "weight" in name and tensor.dim() > 1:
            bits = profile.value("format.weight_bits") + (profile.family == "loihi")
            assert int(tensor.abs().max()) <= 2 ** (bits - 1), name
    report = report_of(deployment, "a", "b", 1e-4)
    inference = Inference("digits", T, 1e-4, "counts", "spike_count")
    assert files.deployment_files(deployment, report, inference, None)


def test_speck_s_integers_are_the_ones_that_are_written() -> None:
    """Eight bits at most: a ninth would wrap on its way into the file."""
    assert not KEYS["speck"]["format.weight_bits"].is_right(9)
    deployment = deploy(network("speck"), load_chip_profile("speck-2e"), samples(6), samples(6).x)
    written = deployment.integers.tensors()
    for layer in deployment.integers.layers:
        assert torch.equal(written[f"{layer.name}.weight"].long(), layer.weight)
