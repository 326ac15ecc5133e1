"""Layers as chips see them: the same spikes as the graph they were read from, or every finding."""

from __future__ import annotations

import re

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mpo_snn import MPOLeaky, MPOSynaptic
from mpo_snn.deploy.check import check_graph_on_chip
from mpo_snn.deploy.dense import dense_matrix
from mpo_snn.deploy.project import project, targets_of
from mpo_snn.deploy.read_layers import read_layers
from mpo_snn.deploy.real_run import run_real
from mpo_snn.export.nir_export import export_nir
from mpo_snn.graph.neuron_behaviour import NeuronBehaviour
from mpo_snn.graph.simulate import Simulator
from mpo_snn.inference import Inference
from mpo_snn.profiles.chip import load_chip_profile

DT, T, B = 1e-4, 12, 3
NEURON = {"threshold": 0.4, "init_hidden": True}


def neuron(kind: str, draw) -> nn.Module:
    gain = draw(st.sampled_from(("decay", "unit")))
    beta = draw(st.sampled_from((0.0, 0.25, 0.5, 0.9)))
    reset = draw(st.sampled_from(("zero", "subtract")))
    if kind == "if":
        return MPOLeaky(1.0, input_gain="unit", reset=reset, **NEURON)
    if kind == "lif":
        return MPOLeaky(beta, input_gain=gain, reset=reset, **NEURON)
    return MPOSynaptic(0.5, beta, input_gain=gain, reset=reset, **NEURON)


@st.composite
def networks(draw) -> nn.Sequential:
    """Convolutions, poolings and dense layers on 2x6x6 events, ending in neurons."""
    kinds = st.sampled_from(("if", "lif", "cuba"))
    kind = draw(kinds)
    has_bias = kind != "cuba"
    groups, stride, dilation = (draw(st.sampled_from((1, 2))) for _ in range(3))
    conv = nn.Conv2d(
        2, 4, 3, stride, 1, dilation, groups, bias=has_bias, padding_mode="zeros"
    ).double()
    layers: list[nn.Module] = [conv, neuron(kind, draw)]
    side = conv(torch.zeros(1, 2, 6, 6, dtype=torch.float64)).shape[-1]
    if draw(st.booleans()):
        layers.append(
            nn.AvgPool2d(2) if draw(st.booleans()) else nn.AvgPool2d(2, divisor_override=1)
        )
        side //= 2
    kind = draw(kinds)
    layers += [nn.Flatten(), nn.Linear(4 * side * side, 5, bias=kind != "cuba")]
    layers.append(neuron(kind, draw))
    return nn.Sequential(*layers).eval().double()


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(0, 2**31))
def test_layers_fire_as_the_graph_does(network: nn.Sequential, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    graph = export_nir(network, (2, 6, 6), DT).graph
    events = torch.randint(0, 3, (T, B, 2, 6, 6), generator=generator).double()

    read = read_layers(graph, DT, T, "counts")
    assert read.findings == ()
    assert read.graph is not None
    ours = run_real(read.graph, events, keep_spikes=True)
    theirs = Simulator(graph, DT, torch.float64).run(events, record="spikes")

    assert theirs.spikes.keys() == ours.spikes.keys()
    for name, spikes in theirs.spikes.items():
        assert torch.equal(ours.spikes[name] > 0, spikes)
        assert ours.reach[name].spikes == int(spikes.sum())


def test_recurrence_and_a_skip_run_as_the_graph_does() -> None:
    rng = np.random.default_rng(0)

    def lif(count: int) -> nir.LIF:
        ones = np.ones(count)
        return nir.LIF(tau=2 * DT * ones, r=ones, v_leak=0 * ones, v_threshold=0.2 * ones)

    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "w1": nir.Affine(rng.normal(size=(5, 4)), rng.normal(size=5)),
        "a": lif(5),
        "loop": nir.Linear(rng.normal(size=(5, 5))),
        "w2": nir.Linear(rng.normal(size=(5, 5))),
        "scale": nir.Scale(np.full(5, 0.3)),
        "b": lif(5),
        "output": nir.Output({"output": np.array([5])}),
    }
    edges = [
        ("input", "w1"), ("w1", "a"), ("a", "loop"), ("loop", "a"), ("a", "w2"), ("w2", "b"),
        ("a", "scale"), ("scale", "b"), ("b", "output"),
    ]  # fmt: skip
    graph = nir.NIRGraph(nodes, edges)
    events = torch.from_numpy(rng.integers(0, 3, (20, 2, 4))).double()
    read = read_layers(graph, DT, 20, "counts").graph
    assert read is not None
    assert [layer.sources for layer in read] == [("input", "a"), ("a", "a")]
    assert read.depth() == {"a": 1, "b": 2}
    output = Simulator(graph, DT, torch.float64).run(events).output
    assert 0 < float(output.sum()) < output.numel()
    assert torch.equal(run_real(read, events).output, output)


def graph_of(*layers: nn.Module) -> nir.NIRGraph:
    torch.manual_seed(0)
    return export_nir(nn.Sequential(*layers).eval(), (2, 4, 4), DT).graph


def lif(**given) -> MPOLeaky:
    return MPOLeaky(0.5, **NEURON, **given)


@pytest.mark.parametrize(
    ("layers", "encoding", "words"),
    [
        ((nn.Flatten(), nn.Linear(32, 3), lif()), "direct", "analog values"),
        ((nn.Flatten(), nn.Linear(32, 3), lif(), nn.Linear(3, 3)), "counts", "comes from Affine"),
        ((nn.Flatten(), nn.Linear(32, 3), nn.Linear(3, 3), lif()), "counts", "two weights in a"),
        ((nn.Conv2d(2, 2, 3), nn.AvgPool2d(2), lif(), nn.Flatten()), "counts", "behind a weight"),
        ((nn.AvgPool2d(3, 1), nn.Flatten(), nn.Linear(8, 3), lif()), "counts", "stride (1, 1)"),
        ((nn.Flatten(), nn.Linear(32, 3), lif(reset="none")), "counts", "without reset"),
        (
            (nn.Flatten(), nn.Linear(32, 3), lif(reset="subtract", reset_timing="next")),
            "counts",
            "one step after the spike",
        ),
        (
            (nn.Flatten(), nn.Linear(32, 3), MPOSynaptic(0.5, 0.5, **NEURON)),
            "counts",
            "a bias in front of a synapse",
        ),
        ((nn.Flatten(), nn.Conv1d(1, 1, 3), lif()), "counts", "Conv1d"),
    ],
)
def test_what_no_chip_has_is_a_finding(layers, encoding: str, words: str) -> None:
    if isinstance(layers[1], nn.Conv1d):
        layers = (nn.Flatten(1, 2), nn.Conv1d(8, 2, 3), lif(), nn.Flatten())
    read = read_layers(graph_of(*layers), DT, T, encoding)
    assert read.graph is None
    assert any(words in str(finding) for finding in read.findings), read.findings


def test_all_findings_come_at_once() -> None:
    layers = (nn.Flatten(), nn.Linear(32, 3), lif(reset="none"), nn.Linear(3, 3))
    read = read_layers(graph_of(*layers), DT, T, "direct")
    assert len(read.findings) == 3


def test_rules_of_the_chip_are_told_along_where_all_layers_can_be_read() -> None:
    """Analog input and a bias in front of a synapse, and 5 findings of Xylo at once."""
    graph = graph_of(nn.Flatten(), nn.Linear(32, 3), MPOSynaptic(0.5, 0.6, **NEURON))
    inference = Inference("digits", T, DT, "direct", "spike_count")
    checked = check_graph_on_chip(graph, load_chip_profile("xylo-audio3"), inference)
    assert checked.graph is None and checked.is_whole
    found = " ".join(one.found for one in checked.result.findings)
    for words in ("analog values", "front of a synapse", "leak of the membrane", "reset to zero"):
        assert words in found
    assert checked.result.usage


INFERENCE = Inference("digits", T, DT, "counts", "spike_count")


def told(graph: nir.NIRGraph, chip: str) -> set[tuple[str, str]]:
    """What a chip's check finds: place, and the setting that would help."""
    checked = check_graph_on_chip(graph, load_chip_profile(chip), INFERENCE)
    assert checked.graph is None
    return {
        (x.where, re.sub(r".*?--(\S+) ?(\w*).*", r"\1 \2", x.fix)) for x in checked.result.findings
    }


def test_rules_for_neurons_are_told_of_layers_that_cannot_be_read_as_a_whole() -> None:
    """On Speck: the pool, and of every layer the late reset and the leak."""
    late = {"reset": "subtract", "reset_timing": "next"}
    broken = nn.AvgPool2d(3, 1), nn.Flatten(), nn.Linear(8, 3)
    found = told(graph_of(*broken, lif(**late), nn.Linear(3, 3), lif(**late)), "speck-2e")
    advice = ("neuron.reset_timing step", "neuron.beta 1")
    wanted = {(name, fix) for name in ("3", "5") for fix in advice}
    assert found == wanted | {("2", "train with stride equal to the kernel and padding 0")}


def test_rules_for_neurons_are_told_of_layers_without_reset() -> None:
    graph = graph_of(nn.Flatten(), nn.Linear(32, 3), lif(), nn.Linear(3, 3), lif(reset="none"))
    checked = check_graph_on_chip(graph, load_chip_profile("xylo-audio3"), INFERENCE)
    assert not checked.is_whole
    found = told(graph, "xylo-audio3")
    assert {fix for where, fix in found if where == "4"} == {
        "neuron.reset subtract",
        "neuron.model synaptic",
    }
    assert ("2", "neuron.most_spikes 31") in found


@pytest.mark.parametrize(
    ("chip", "fixes"),
    [
        ("loihi-1", {"neuron.reset zero"}),
        ("fpga", {"neuron.reset zero"}),
        ("speck-2e", {"neuron.reset_timing step", "neuron.beta 1"}),
        ("spinnaker2", {"neuron.reset_timing step"}),
    ],
)
def test_a_late_subtraction_is_told_where_the_chip_subtracts(chip: str, fixes: set[str]) -> None:
    """A chip that resets to zero has one finding against it: another reset has no lateness."""
    late = lif(reset="subtract", reset_timing="next")
    found = told(graph_of(nn.Flatten(), nn.Linear(32, 3), late), chip)
    assert {fix for _, fix in found if fix.startswith("neuron.")} == fixes


def test_advice_follows_until_nothing_is_found() -> None:
    """The one finding of Loihi is the whole way: the network that it asks for fits."""
    fits = graph_of(nn.Flatten(), nn.Linear(32, 3), lif(reset="zero"))
    checked = check_graph_on_chip(fits, load_chip_profile("loihi-1"), INFERENCE)
    assert checked.result.findings == ()


def test_a_layer_of_too_many_ways_is_not_read_by_halves() -> None:
    """Two ways at each of 7 forks are 128 into one layer."""
    ones = np.ones(3)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([3])})}
    edges, last = [], ["input"]
    for fork in range(7):
        pair = [f"{fork}a", f"{fork}b"]
        nodes |= {name: nir.Scale(ones) for name in pair}
        edges += [(source, name) for source in last for name in pair]
        last = pair
    nodes["lif"] = nir.LIF(tau=2 * DT * ones, r=ones, v_leak=0 * ones, v_threshold=ones)
    nodes["output"] = nir.Output({"output": np.array([3])})
    edges += [*((name, "lif") for name in last), ("lif", "output")]
    read = read_layers(nir.NIRGraph(nodes, edges), DT, T, "counts")
    assert [one.found for one in read.findings] == ["more than 64 ways into one layer"]
    assert read.layers is None


def test_behaviour_beyond_nir_is_in_units_of_the_layer() -> None:
    graph = graph_of(nn.Flatten(), nn.Linear(32, 3), lif())  # gain 1 - beta = 0.5
    behaviour = {name: NeuronBehaviour("subtract", 4, -0.2) for name in ("2",)}
    read = read_layers(graph, DT, T, "counts", behaviour=behaviour).graph
    assert read is not None
    (layer,) = read
    assert (layer.reset, layer.most_spikes) == ("subtract", 4)
    assert layer.threshold.tolist() == pytest.approx([0.8] * 3)
    assert layer.lower == pytest.approx(-0.4)


def test_a_matrix_does_what_windows_and_convolution_do() -> None:
    torch.manual_seed(1)
    graph = graph_of(nn.AvgPool2d(2), nn.Conv2d(2, 3, 2, padding=1), lif(), nn.Flatten())
    read = read_layers(graph, DT, T, "counts").graph
    assert read is not None
    ((projection,),) = (layer.projections for layer in read)
    spikes = torch.randint(0, 3, (5, 2, 4, 4))
    direct = project(projection, projection.weight, spikes)
    matrix = dense_matrix(projection)
    assert torch.allclose(spikes.double().flatten(1) @ matrix.T, direct.flatten(1))
    reached = sum(int((matrix != 0).sum(0) @ sample.flatten()) for sample in spikes)
    assert targets_of(projection, projection.weight, spikes) == reached
