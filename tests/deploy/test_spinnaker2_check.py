"""SpiNNaker2: each rule broken once, the scale of weights, elements by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mpo_snn.deploy.layers import INPUT, ChipGraph, Layer, Projection
from mpo_snn.deploy.spinnaker2_check import check_spinnaker2, elements_of, weight_scales
from mpo_snn.profiles.chip import load_chip_profile

PROFILE = load_chip_profile("spinnaker2")


def dense(name, source, inputs, outputs, **rest):
    weight = torch.linspace(-2.0, 1.0, inputs * outputs, dtype=torch.float64)
    projection = Projection(
        source, f"{name}_weight", "dense", weight.reshape(outputs, inputs), (inputs,), (outputs,)
    )
    ones = torch.ones(outputs, dtype=torch.float64)
    return Layer(name, (outputs,), (projection,), None, 0.9 * ones, ones, 0 * ones, **rest)


def convolution(name, source, **rest):
    weight = torch.ones(3, 2, 3, 3, dtype=torch.float64)
    projection = Projection(source, f"{name}_weight", "convolution", weight, (2, 6, 6), (3, 4, 4))
    ones = torch.ones(3, 4, 4, dtype=torch.float64)
    rest = {"alpha": None, **rest}
    return Layer(name, (3, 4, 4), (projection,), beta=ones, threshold=ones, bias=0 * ones, **rest)


def graph(*layers, shape=(20,)):
    return ChipGraph(layers, shape, 10, "rate")


SUBTRACT = dense("a", INPUT, 20, 5, reset="subtract")
SYNAPSE = convolution("a", INPUT, alpha=torch.full((3, 4, 4), 0.5, dtype=torch.float64))
GOOD = graph(dense("hidden", INPUT, 20, 300), dense("output", "hidden", 300, 10))


def test_what_fits_has_no_findings_and_takes_elements():
    result = check_spinnaker2(GOOD, PROFILE)
    assert result.findings == ()
    (usage,) = result.usage
    assert (usage.used, usage.available) == (3, 152)  # 250 + 50 neurons, and 10
    assert result.placement == {"hidden": "elements 0-1", "output": "element 2"}


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (graph(SUBTRACT, dense("b", "a", 5, 5)), "reset subtract"),
        (graph(dense("a", INPUT, 20, 5, most_spikes=3)), "up to 3 spikes"),
        (graph(dense("a", INPUT, 20, 5, lower=-1.0)), "a lowest membrane of -1"),
        (graph(SYNAPSE, shape=(2, 6, 6)), "synapse"),
        (graph(dense("a", INPUT, 131_073, 1), shape=(131_073,)), "131,073 bytes of weights"),
        (graph(dense("a", INPUT, 65_537, 153), shape=(65_537,)), "at least 153 processing"),
    ],
)
def test_each_rule(broken, told):
    (finding,) = check_spinnaker2(broken, PROFILE).findings
    assert told in finding.found and finding.source


def test_a_convolution_cannot_lead_back():
    layer = convolution("a", INPUT)
    back = replace(layer.projections[0], source="a", source_shape=(3, 4, 4), padding=(1, 1),
                   weight=torch.ones(3, 3, 3, 3, dtype=torch.float64))  # fmt: skip
    looped = replace(layer, projections=(*layer.projections, back))
    (finding,) = check_spinnaker2(graph(looped, shape=(2, 6, 6)), PROFILE).findings
    assert "back from 'a'" in finding.found


def test_weights_fill_their_bits_and_thresholds_go_along():
    scales = weight_scales(GOOD, PROFILE)
    assert scales == {"hidden": 127 / 2, "output": 127 / 2}
    weight = GOOD.layers[0].projections[0].weight
    assert float((weight * scales["hidden"]).abs().max()) == 127
    assert weight_scales(graph(replace(dense("a", INPUT, 2, 2), projections=(
        replace(dense("a", INPUT, 2, 2).projections[0], weight=torch.zeros(2, 2)),
    ))), PROFILE) == {"a": 1.0}  # fmt: skip


@pytest.mark.parametrize("inputs", [1, 524, 525, 1000, 65_536, 131_072])
def test_elements_are_those_of_a_slow_search(inputs):
    layer = dense("a", INPUT, inputs, 30 if inputs > 2000 else 600)
    most = next(n for n in range(250, 0, -1) if n * inputs <= 131_072)
    assert elements_of(layer, PROFILE) == -(-layer.size // min(most, layer.size))


def test_kernels_are_stored_once_for_a_channel():
    assert elements_of(convolution("a", INPUT), PROFILE) == 1
