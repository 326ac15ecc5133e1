"""Hardware in fixed point: each rule broken once, and limits of a profile of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mpo_snn.deploy.fixed_point_check import check_fixed_point
from mpo_snn.deploy.fixed_point_quantize import quantize_fixed_point
from mpo_snn.deploy.layers import INPUT, ChipGraph
from mpo_snn.deploy.own_network import advice_for_own
from mpo_snn.errors import DeployError
from mpo_snn.profiles.chip import load_chip_profile

from .fixed_point_designs import dense, design, layer, mixed

EXAMPLES = Path(__file__).parents[2] / "examples"


def one(weight=0.5, **rest):
    """2 inputs, 2 neurons."""
    weight = torch.full((2, 2), float(weight), dtype=torch.float64)
    return ChipGraph((layer("one", (2,), dense(INPUT, 2, 2, weight), **rest),), (2,), 4, "rate")


def test_what_fits_has_no_findings_and_says_what_is_not_checked():
    result = check_fixed_point(mixed(0), design())
    assert result.findings == () and result.usage == ()
    assert [warning.found for warning in result.warnings] == [
        "35 neurons, not checked", "280 synapses, not checked",
    ]  # fmt: skip


def test_limits_of_ones_own():
    result = check_fixed_point(mixed(0), design(neurons=40, synapses=280))
    assert result.findings == () and result.warnings == ()
    assert [(use.resource, use.used, use.available) for use in result.usage] == [
        ("neurons", 35, 40), ("synapses", 24 + 5 * 27 + 25 + 15 + 3 * 27, 280),
    ]  # fmt: skip
    findings = check_fixed_point(mixed(0), design(neurons=34, synapses=279)).findings
    assert [finding.found for finding in findings] == ["35 neurons", "280 synapses"]


@pytest.mark.parametrize(
    ("graph", "target", "told"),
    [
        (one(alpha=0.5), {}, "a synapse with leak 0.5"),
        (one(reset="subtract"), {}, "reset subtract"),
        (one(most_spikes=4), {}, "up to 4 spikes"),
        (one(lower=-1.0), {}, "a lowest membrane of -1"),
        (one(bias=0.25), {"bias": False}, "a bias of 0.25 in every timestep"),
        (one(beta=0.9), {"leak": "none"}, "leak beta = 0.9"),
        (one(beta=0.999), {"leak_bits": 2}, "leak beta = 0.999, which rounds to 1"),
        (one(beta=0.01), {}, "leak beta = 0.01, which rounds to 0"),
        (one(beta=0.99), {"leak": "multiply", "leak_bits": 4}, "which rounds to 1"),
        (one(beta=0.5, reset="subtract"), {"reset": "subtract"}, "with a leak in every step"),
        (one(weight=500.0), {}, "a threshold of 1, 0 units"),
        (one(weight=1e-3), {"state_bits": 6}, "all 4 weights round to 0"),
        (
            one(threshold=9.0),
            {"state_bits": 6, "weight_fraction_bits": 2},
            "a threshold of 9, 36 units",
        ),
        (one(threshold=0.1), {"weight_fraction_bits": 2}, "a threshold of 0.1, 0 units"),
        (one(weight=0.1), {"weight_fraction_bits": 2}, "all 4 weights round to 0"),
    ],
)
def test_each_rule(graph, target, told):
    profile = design(**target)
    (finding,) = check_fixed_point(graph, profile).findings
    assert told in finding.found and finding.source
    assert finding.where == "one"
    with pytest.raises(DeployError, match="cannot quantize"):
        quantize_fixed_point(graph, profile)


@pytest.mark.parametrize(
    ("graph", "target"),
    [
        (one(alpha=0.0), {}),
        (one(reset="subtract", beta=1.0), {"reset": "subtract"}),
        (one(reset="subtract", beta=0.5), {"reset": "subtract", "leak_order": "after"}),
        (one(most_spikes=4), {"most_spikes": 4}),
        (one(lower=-1e4), {}),
        (one(beta=1.0), {"leak": "none"}),
        (one(bias=0.25), {}),
        (one(bias=0.25), {"bias": True}),
        (one(), {"bias": False}),
        (one(beta=0.0), {}),
        (one(weight=0.0), {}),
    ],
)
def test_what_looks_alike_and_can_be_done(graph, target):
    assert check_fixed_point(graph, design(**target)).findings == ()
    quantize_fixed_point(graph, design(**target))


@pytest.mark.parametrize(
    ("graph", "target", "told"),
    [
        (one(beta=0.9), {}, "leak beta = 0.9 becomes 0.875"),
        (one(beta=0.9), {"leak": "multiply", "leak_bits": 3}, "leak beta = 0.9 becomes 0.875"),
        (one(most_spikes=3), {"most_spikes": 3}, "several spikes in a step from the threshold on"),
        (one(reset="subtract"), {"reset": "subtract", "compare": ">="}, "a spike above the thre"),
    ],
)
def test_what_differs_is_a_warning(graph, target, told):
    result = check_fixed_point(graph, design(**target, neurons=9, synapses=9))
    assert result.findings == ()
    (warning,) = result.warnings
    assert told in warning.found


def test_of_many_leaks_the_worst_is_told_with_their_number_and_range():
    (layer,) = one(beta=0.5)
    leaks = torch.linspace(0.5, 0.9, layer.size, dtype=torch.float64).reshape(layer.shape)
    graph = replace(one(beta=0.5), layers=(replace(layer, beta=leaks),))
    (warning,) = check_fixed_point(graph, design(neurons=9, synapses=9)).warnings
    shifts = [1 - 2.0**-k for k in range(1, 8)]
    off = {float(x): min(shifts, key=lambda y: abs(x - y)) for x in leaks.flatten()}
    worst = max(off, key=lambda x: abs(x - off[x]))
    told = f"beta = {worst:.4g} becomes {off[worst]:.4g}, the worst of {layer.size} leaks from"
    assert f"{told} 0.5 to 0.9" in warning.found


def test_another_reset_is_told_once_whatever_the_leak():
    """That the design leaks instead of at a spike is moot where it resets otherwise anyway."""
    graph = one(reset="subtract", beta=0.5)
    (finding,) = check_fixed_point(graph, design()).findings
    assert "--neuron.reset zero" in finding.fix
    (finding,) = check_fixed_point(graph, design(reset="subtract")).findings
    assert "--neuron.reset" not in finding.fix and "--neuron.beta 1" in finding.fix


def test_a_design_without_biases_names_every_layer_that_has_some():
    findings = check_fixed_point(mixed(0), design(bias=False)).findings
    assert [finding.where for finding in findings] == ["maps"]
    (finding,) = findings
    assert "--network.bias false and --network.normalise false" in finding.fix
    own = advice_for_own(finding.fix)
    assert "nn.Linear(..., bias=False)" in own and "no batchnorm" in own
    assert check_fixed_point(mixed(0, bias=0.0), design(bias=False)).findings == ()


def test_all_findings_are_told_at_once():
    graph = mixed(0, reset="subtract", most_spikes=2)
    slow = replace(graph.layers[0], alpha=torch.full((3, 3, 3), 0.5, dtype=torch.float64))
    graph = replace(graph, layers=(slow, *graph.layers[1:]))
    findings = check_fixed_point(graph, design(neurons=3)).findings
    assert len(findings) == 1 + 3 * 2 + 1
    assert {finding.where for finding in findings} == {"maps", "inner", "last", "network"}


@pytest.mark.parametrize("bits", [3, 4])
def test_examples_are_the_shipped_design_but_for_the_bits_of_weights(bits):
    """The accuracies in fewer bits are a comparison with it, in nothing else."""
    example = load_chip_profile(str(EXAMPLES / f"fpga-{bits}bit.toml"))
    shipped = load_chip_profile("fpga")
    key = "weight_bits"
    assert example.value(f"format.{key}") == bits
    formats = {**example.tables["format"], key: shipped.tables["format"][key]}
    assert {**example.tables, "format": formats} == shipped.tables
