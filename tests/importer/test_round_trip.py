"""Random graphs through files, through MPO networks, and back to NIR."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np
import torch
from hypothesis import event, given, settings

import mpo_snn
from mpo_snn.export.nir_export import export_nir
from mpo_snn.graph.read import read_graph
from mpo_snn.graph.simulate import Simulation, Simulator
from tests.graph.graphs import DT
from tests.importer.random_graphs import Drawn, expressible_graphs

T = 12
EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def samples(drawn: Drawn) -> torch.Tensor:
    generator = torch.Generator().manual_seed(len(drawn.graph.nodes))
    shape = (T, 3, *drawn.input_shape)
    return torch.randn(shape, dtype=torch.float64, generator=generator) + 0.4


@dataclass
class Both:
    """A graph in the simulator, and as a network, on the same samples."""

    x: torch.Tensor
    expected: Simulation
    network: torch.nn.Module
    output: torch.Tensor
    spikes: dict[str, torch.Tensor]


def run_both(drawn: Drawn) -> Both:
    x = samples(drawn)
    expected = Simulator(drawn.graph, DT, torch.float64).run(x, record="spikes")
    network = mpo_snn.from_nir(drawn.graph, dt=DT, dtype=torch.float64).eval()
    found: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        output = mpo_snn.Unrolled(network, T)(x, lambda name, spk, v: found.update({name: spk}))
    return Both(x, expected, network, output, found)


@EXAMPLES
@given(expressible_graphs())
def test_write_read_simulate(drawn: Drawn) -> None:
    x = samples(drawn)
    before = Simulator(drawn.graph, DT, torch.float64).run(x, record="spikes")
    with tempfile.TemporaryDirectory() as folder:
        nir.write(Path(folder) / "a.nir", drawn.graph)
        loaded = read_graph(Path(folder) / "a.nir")
    after = Simulator(loaded, DT, torch.float64).run(x, record="spikes")
    assert before.spikes.keys() == after.spikes.keys()
    for name, spikes in before.spikes.items():
        assert torch.equal(spikes, after.spikes[name]), name
    # Nodes come back in another order, and with them the order in which edges are added up.
    torch.testing.assert_close(before.output, after.output, rtol=1e-12, atol=1e-12)


@EXAMPLES
@given(expressible_graphs())
def test_the_network_fires_the_spikes_of_the_graph(drawn: Drawn) -> None:
    both = run_both(drawn)
    assert both.spikes.keys() == both.expected.spikes.keys()
    for name, spikes in both.expected.spikes.items():
        event(f"silent: {not spikes.any()}")
        assert torch.equal(spikes, both.spikes[name].bool()), name
    torch.testing.assert_close(both.output, both.expected.output, rtol=1e-12, atol=1e-12)


@EXAMPLES
@given(expressible_graphs())
def test_export_gives_the_parameters_back(drawn: Drawn) -> None:
    network = mpo_snn.from_nir(drawn.graph, dt=DT, dtype=torch.float64)
    exported = export_nir(network, network.input_shape, network.dt, keep_convolutions=True).graph
    expected = {drawn.renamed.get(name, name): node for name, node in drawn.graph.nodes.items()}
    assert exported.nodes.keys() >= expected.keys()
    for name, node in expected.items():
        same_parameters(name, node, exported.nodes[name])
    edges = {tuple(drawn.renamed.get(n, n) for n in edge) for edge in drawn.graph.edges}
    assert edges == set(exported.edges)


@EXAMPLES
@given(expressible_graphs())
def test_the_plain_export_passes_nir_and_fires_the_same_spikes(drawn: Drawn) -> None:
    """Grouped convolutions are dense then, and oblong kernels square."""
    x = samples(drawn)
    network = mpo_snn.from_nir(drawn.graph, dt=DT, dtype=torch.float64)
    exported = export_nir(network, network.input_shape, network.dt)
    with tempfile.TemporaryDirectory() as folder:
        nir.write(Path(folder) / "a.nir", exported.graph)
        loaded = nir.read(Path(folder) / "a.nir", type_check=True)
    before = Simulator(drawn.graph, DT, torch.float64).run(x, record="spikes")
    after = Simulator(loaded, DT, torch.float64).run(x, record="spikes")
    for name, spikes in before.spikes.items():
        assert torch.equal(spikes, after.spikes[name]), name
    torch.testing.assert_close(before.output, after.output, rtol=1e-11, atol=1e-11)


def same_parameters(name: str, expected: nir.NIRNode, found: nir.NIRNode) -> None:
    assert type(expected) is type(found), name
    for field in expected.__dataclass_fields__:
        if field in ("metadata", "input_type", "output_type"):
            continue
        a, b = getattr(expected, field), getattr(found, field)
        np.testing.assert_allclose(
            np.broadcast_to(a, np.shape(b)), b, rtol=1e-12, atol=0, err_msg=f"{field} of {name}"
        )
