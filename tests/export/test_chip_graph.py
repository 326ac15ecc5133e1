"""Graphs for chips: one node a layer, what NIR cannot state beside it, and the same spikes."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mpo_snn.encoding import encode
from mpo_snn.errors import ExportError, GraphError
from mpo_snn.export.compare import compare
from mpo_snn.export.explain import explain_file
from mpo_snn.export.nir_export import DEFAULT_DT, Export, export_nir
from mpo_snn.export.sources import GraphSource, NetworkSource
from mpo_snn.graph.metadata import behaviour_of
from mpo_snn.graph.neuron_behaviour import NeuronBehaviour
from mpo_snn.graph.simulate import Simulator
from mpo_snn.importer.build import from_nir
from mpo_snn.networks import build_network
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import NeuronSettings
from mpo_snn.unroll import Unrolled
from tests.export.chip_metadata import as_of_chip

T = 6
SHAPE = (1, 6, 6)
SEVERAL = NeuronSettings(
    beta=1.0,
    input_gain="unit",
    threshold=1.0,
    reset="subtract",
    most_spikes=8,
    output_spikes=1,
    lower=-1.0,
)


def network(neuron: NeuronSettings, seed: int, **changes: Any) -> nn.Module:
    given_ = {"name": "convnet", "channels": (3, 4), "normalise": False, "bias": False}
    torch.manual_seed(seed)
    built = build_network(
        NetworkSettings(**(given_ | changes)),  # type: ignore[arg-type]
        neuron,
        SHAPE,
        3,
        output_neuron=True,
        largest_input=0.3,
    )
    return built.eval()


def samples(seed: int = 0) -> Tensor:
    return torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(seed)) ** 2


def with_metadata(export: Export) -> nir.NIRGraph:
    return as_of_chip(export, DEFAULT_DT, T, "counts", "spike_count")


def spikes_of(built: nn.Module, x: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    unrolled = Unrolled(copy.deepcopy(built), T).double().eval()
    with torch.no_grad():
        unrolled(x, observe=lambda name, spk, v: found.update({name: spk}))
    return found


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["leaky", "synaptic"]),
    st.sampled_from(["zero", "subtract"]),
    st.sampled_from(["unit", "decay"]),
    st.sampled_from([0.5, 0.9, 1.0]),
    st.integers(1, 8),
    st.sampled_from([None, -0.5, 0.0]),
    st.sampled_from(["average", "sum"]),
)
def test_a_graph_fires_as_often_as_the_network(
    seed: int,
    model: Any,
    reset: Any,
    gain: Any,
    beta: float,
    most: int,
    lower: float | None,
    pooling: str,
) -> None:
    neuron = NeuronSettings(
        model=model,
        reset=reset,
        input_gain=gain if beta < 1.0 else "unit",
        beta=beta,
        threshold=0.7,
        most_spikes=most,
        output_spikes=1,
        lower=lower,
    )
    built = network(neuron, seed, pooling=pooling)
    export = export_nir(built, SHAPE, chip=True)
    x = encode(samples(seed).double(), T, "counts")
    expected = spikes_of(built, x)
    run = Simulator(with_metadata(export), DEFAULT_DT, torch.float64).run(x, record="spikes")
    for layer, node in export.spiking.items():
        assert torch.equal(run.spikes[node].double(), expected[layer])
        assert torch.equal(run.counts[node], expected[layer].sum((0, 1)))
        assert torch.equal(run.sample_counts[node], expected[layer].flatten(2).sum((0, 2)))


def test_every_layer_is_one_plain_node_and_its_behaviour() -> None:
    export = export_nir(network(SEVERAL, 0), SHAPE, chip=True)
    kinds = {type(node).__name__ for node in export.graph.nodes.values()}
    assert kinds == {"Input", "Output", "Conv2d", "IF", "AvgPool2d", "Flatten", "Linear"}
    hidden, output = NeuronBehaviour("subtract", 8, -1.0), NeuronBehaviour("subtract", 1, -1.0)
    assert list(export.behaviour.values()) == [hidden, hidden, output]
    assert export.notes == ()
    assert behaviour_of(with_metadata(export)) == export.behaviour


def test_several_spikes_pass_a_proof_in_both_precisions_and_damage_does_not() -> None:
    built = network(SEVERAL, 1)
    export = export_nir(built, SHAPE, chip=True)
    graph = with_metadata(export)
    source = NetworkSource(Unrolled(built, T).eval())

    def proof(second: nir.NIRGraph) -> Any:
        under_test = GraphSource(second, DEFAULT_DT, export.spiking)
        return compare(source, under_test, samples(2), T, encoding="counts", readout="spike_count")

    record = proof(graph)
    assert record.is_equal
    x = encode(samples(2), T, "counts")
    run = GraphSource(graph, DEFAULT_DT, export.spiking).run(x, torch.float32)
    most = max(int(spikes.max()) for spikes in run.spikes.values())
    assert most > 1, "the test wants neurons that fire several times"
    for name, change in (
        ("network.features.1", {"most_spikes": 1}),
        ("network.features.1", {"reset": "zero"}),
        ("network.features.3", {"lower": None}),
    ):
        behaviour = {**export.behaviour, name: replace(export.behaviour[name], **change)}
        other = with_metadata(replace(export, graph=export.graph, behaviour=behaviour))
        assert not proof(other).is_equal
    with_metadata(export)
    node = graph.nodes["network.features.1"]
    node.v_threshold = node.v_threshold * 1.01
    assert not proof(graph).is_equal


def test_plain_nir_refuses_what_it_cannot_state() -> None:
    with pytest.raises(ExportError) as caught:
        export_nir(network(SEVERAL, 0), SHAPE)
    assert len(caught.value.findings) == 3
    assert "mpo-deploy RUN --target NAME" in str(caught.value)
    assert "'network.features.1' fires up to 8 times in a step" in str(caught.value)
    assert "'output_neuron' has a lowest membrane of -1 V" in str(caught.value)


@pytest.mark.parametrize("changes", [{"reset": "none"}, {"reset_timing": "next"}])
def test_a_chip_resets_within_the_step(changes: dict[str, Any]) -> None:
    neuron = replace(SEVERAL, most_spikes=1, output_spikes=None, lower=None, **changes)
    with pytest.raises(ExportError, match="in the step of the spike"):
        export_nir(network(neuron, 0), SHAPE, chip=True)


@pytest.mark.parametrize(
    ("changes", "advice", "own"),
    [
        (
            {"reset": "none"},
            "train with --neuron.reset zero (or subtract, if the chip can),",
            'reset="zero"',
        ),
        ({"reset_timing": "next"}, "train with --neuron.reset_timing step,", 'timing="step"'),
        (
            {"reset": "none", "reset_timing": "next"},
            "train with --neuron.reset zero (or subtract, if the chip can)"
            " --neuron.reset_timing step,",
            'reset="zero", reset_timing="step"',
        ),
    ],
)
def test_the_advice_on_a_reset_names_what_is_not_so_yet(
    changes: dict[str, Any], advice: str, own: str
) -> None:
    neuron = replace(SEVERAL, most_spikes=1, output_spikes=None, lower=None, **changes)
    with pytest.raises(ExportError) as caught:
        export_nir(network(neuron, 0), SHAPE, chip=True)
    assert all(advice in line and own in line for line in caught.value.findings)


def test_metadata_of_neurons_that_are_not_there_is_refused() -> None:
    export = export_nir(network(SEVERAL, 0), SHAPE, chip=True)
    behaviour = {"nobody": NeuronBehaviour("subtract"), "input": NeuronBehaviour("zero", 2)}
    graph = with_metadata(replace(export, behaviour=behaviour))
    with pytest.raises(GraphError) as caught:
        Simulator(graph, DEFAULT_DT)
    assert "'nobody', which is not in the graph" in str(caught.value)
    assert "'input', which is Input" in str(caught.value)
    graph = with_metadata(export)
    node = graph.nodes["output_neuron"]
    node.v_reset = np.full_like(node.v_threshold, -0.1)
    with pytest.raises(GraphError, match="v_reset other than 0"):
        Simulator(graph, DEFAULT_DT)


def test_what_only_knows_nir_refuses_the_graph(tmp_path: Path) -> None:
    graph = with_metadata(export_nir(network(SEVERAL, 0), SHAPE, chip=True))
    with pytest.raises(GraphError, match="written for chips"):
        from_nir(graph)
    nir.write(tmp_path / "chip.nir", graph)
    with pytest.raises(GraphError, match=r"cannot tell what readers do.*written for chips"):
        explain_file(tmp_path / "chip.nir")
    plain = replace(SEVERAL, reset="zero", most_spikes=1, lower=None)
    from_nir(with_metadata(export_nir(network(plain, 0), SHAPE, chip=True)))
