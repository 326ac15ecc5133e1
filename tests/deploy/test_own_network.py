"""Advice in options of `mpo-train`, said once more in arguments of neurons and layers."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import nir
import numpy as np
import pytest
import torch

from mpo_snn.deploy.families import family_of
from mpo_snn.deploy.finding import CheckResult, Finding
from mpo_snn.deploy.layers import Layer
from mpo_snn.deploy.own_network import NEURON_ARGUMENTS, WORDS, advice_for_own, result_for_own
from mpo_snn.encoding import encode
from mpo_snn.leaky import MPOLeaky
from mpo_snn.profiles.chip import chip_names, load_chip_profile
from mpo_snn.synaptic import MPOSynaptic

ROOT = Path(__file__).parents[2]
OF_COMMANDS = {"--target", "--output", "--simulate"}
"""Options that deploy, and those of a script that a deployment brings along."""


def named() -> set[str]:
    """Every option that a text in `deploy/` names."""
    found = set()
    for path in sorted((ROOT / "deploy").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"--[a-z][\w.]*\w", node.value))
    return found


def test_every_setting_that_a_check_names_has_its_argument() -> None:
    settings = {option.removeprefix("--") for option in named() - OF_COMMANDS}
    assert {"neuron.reset", "network.bias", "encoding", "readout"} <= settings
    assert {name.removeprefix("neuron.") for name in settings - WORDS.keys()} <= set(
        NEURON_ARGUMENTS
    )
    for name in settings:
        told = advice_for_own(f"train with --{name} 1")
        assert told.startswith(f"train with --{name} 1 (in a network of your own: ")


def test_arguments_are_those_of_the_neurons() -> None:
    known = inspect.signature(MPOLeaky).parameters.keys()
    of_synapses = {"alpha", "learn_alpha"}
    assert set(NEURON_ARGUMENTS) - of_synapses <= known
    assert of_synapses <= inspect.signature(MPOSynaptic).parameters.keys()
    assert inspect.signature(encode).parameters.keys() >= {"x", "timesteps"}


@pytest.mark.parametrize(
    ("advice", "own"),
    [
        ("train with --neuron.reset_timing step", 'MPOLeaky(reset_timing="step")'),
        (
            "train with --neuron.beta 1 --neuron.input_gain unit, or --target",
            'MPOLeaky(beta=1, input_gain="unit")',
        ),
        (
            "train with --neuron.alpha 0.5 --neuron.learn_alpha false, or --target",
            "MPOSynaptic(alpha=0.5, learn_alpha=False)",
        ),
        ("train with --neuron.lower null", "MPOLeaky(lower=None)"),
        ("train with a leak nearer to the middle (--neuron.beta)", "MPOLeaky(beta=...)"),
        (
            "train with --network.bias false and --network.normalise false",
            "nn.Linear(..., bias=False) and nn.Conv2d(..., bias=False); no batchnorm",
        ),
    ],
)
def test_what_is_told(advice: str, own: str) -> None:
    told = advice_for_own(advice)
    assert told.endswith(f" (in a network of your own: {own})")
    assert "--target" not in told
    call = re.fullmatch(r"(MPO\w+)\((.*)\)", own)
    if call and "..." not in own:  # what is told can be written so
        needed = {"MPOLeaky": ["beta"], "MPOSynaptic": ["alpha", "beta"]}[call[1]]
        rest = "".join(f", {name}=0.5" for name in needed if f"{name}=" not in own)
        assert eval(own[:-1] + rest + ")", {"MPOLeaky": MPOLeaky, "MPOSynaptic": MPOSynaptic})


def test_neurons_with_a_synapse_keep_it() -> None:
    node = nir.CubaLIF(*(np.ones(2) for _ in range(7)))
    graph = SimpleNamespace(nodes={"lif1": node}, edges=[], metadata={})
    one = Finding("lif1", "x", "y", "train with --neuron.beta 0.875, or --target", "z")
    two = Finding("lif2", "x", "y", "train with --neuron.output_spikes 1", "z")
    told = result_for_own(CheckResult((one, two), ()), graph)  # type: ignore[arg-type]
    assert told.findings[0].fix.endswith("own: MPOSynaptic(beta=0.875))")
    assert told.findings[1].fix.endswith("own: MPOLeaky(most_spikes=1) as the last layer)")
    assert advice_for_own("--neuron.output_spikes 1", True).endswith(
        "own: MPOSynaptic(most_spikes=1) as the last layer)"
    )
    assert "MPOLeaky in place of MPOSynaptic" in advice_for_own("--neuron.model leaky", True)


@pytest.mark.parametrize(("has_synapse", "neuron"), [(True, "MPOSynaptic"), (False, "MPOLeaky")])
def test_advice_names_the_neuron_that_the_chip_needs(has_synapse: bool, neuron: str) -> None:
    """Whatever stands there now: what is told of one layer must not undo what is told beside it."""
    node = nir.CubaLIF(*(np.ones(2) for _ in range(7)))
    graph = SimpleNamespace(nodes={"lif1": node}, edges=[], metadata={})
    fixes = ("--neuron.most_spikes 31, or --target", "--readout spike_count, which ends in neurons")
    findings = tuple(
        Finding(where, "x", "y", f"train with {fix}", "z")
        for where in ("lif1", "lif2")
        for fix in fixes
    )
    told = result_for_own(CheckResult(findings, ()), graph, has_synapse)  # type: ignore[arg-type]
    for one in told.findings:
        assert set(re.findall(r"MPO\w+", one.fix)) == {neuron}


@pytest.mark.parametrize("name", chip_names())
def test_whether_a_chip_has_a_synapse_is_what_its_rules_say(name: str) -> None:
    profile = load_chip_profile(name)
    family = family_of(profile)
    values = torch.full((2,), 0.5, dtype=torch.float64)
    taken = set()
    for alpha in (None, values):
        layer = Layer("lif1", (2,), (), alpha, values, values, values)
        fixes = [one.fix for one in family.neuron(layer, False, profile)]
        if not any("--neuron.model" in fix for fix in fixes):
            taken.add(alpha is not None)
    assert taken == ({True, False} if family.has_synapse is None else {family.has_synapse})


def test_other_advice_and_everything_else_stays() -> None:
    one = Finding("lif1", "x", "y", "train with less", "z")
    two = Finding("lif2", "x", "y", "train with --neuron.reset zero, or --target", "z")
    told = result_for_own(CheckResult((one, two), (), (two,)))
    assert told.findings[0] == one
    assert told.findings[1] == told.warnings[0] != two
    assert (told.findings[1].where, told.findings[1].found) == ("lif2", "x")
