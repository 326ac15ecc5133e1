"""Random graphs that need every folding: gains, thresholds, resting potentials, Scales, loops."""

from __future__ import annotations

import nir
import numpy as np
import torch
from numpy.random import Generator, default_rng
from torch import Tensor

from interop.graphs import DT, random_graph
from mpo_snn.export.foldings.flow import Flow, with_fields
from mpo_snn.graph.simulate import Simulator

STEPS = 12


def random_flow(seed: int) -> Flow:
    """A graph of `interop.graphs.random_graph`, with values and nodes that readers do not take."""
    rng = default_rng(seed)
    flow = Flow.of(random_graph(seed), DT)
    for name in flow.named("LIF", "CubaLIF", "IF"):
        flow = flow.with_node(name, _varied(flow.nodes[name], rng))
    for name in flow.named("AvgPool2d", "SumPool2d"):
        if rng.integers(2):
            kernel, stride, padding = np.array([3, 3]), np.array([2, 2]), np.array([1, 1])
            kind = type(flow.nodes[name])
            flow = flow.with_node(name, kind(kernel_size=kernel, stride=stride, padding=padding))
    for edge in list(flow.edges):
        if rng.integers(3) == 0:
            shape = flow.shapes[edge[0]]
            column = (shape[0], *[1] * (len(shape) - 1))
            scale = np.broadcast_to(rng.uniform(0.6, 1.4, column), shape).copy()
            flow = flow.inserted(edge, f"{edge[0]}.{edge[1]}.extra", nir.Scale(scale))
    return flow


def spikes_of(flow: Flow, seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    """Spikes of every layer, bool, without axes of length 1 at the end; and the output."""
    rng = torch.Generator().manual_seed(seed)
    simulator = Simulator(flow.graph(), flow.dt, torch.float64)
    x = torch.rand(STEPS, 3, *simulator.input_shape, generator=rng, dtype=torch.float64) * 1.5
    run = simulator.run(x, record="spikes")
    spikes = {name: spk.reshape(STEPS, 3, -1) for name, spk in run.spikes.items()}
    return spikes, run.output.reshape(STEPS, 3, -1)


def assert_same_spikes(one: Flow, other: Flow, seed: int = 0) -> None:
    """Every layer of the first fires the same in the second."""
    (a, output_a), (b, output_b) = spikes_of(one, seed), spikes_of(other, seed)
    assert set(a) <= set(b)
    for name, spk in a.items():
        assert torch.equal(spk, b[name]), name
    torch.testing.assert_close(output_a, output_b, rtol=1e-9, atol=1e-9)


def _varied(node: nir.NIRNode, rng: Generator) -> nir.NIRNode:
    """The neuron with another gain, maybe a threshold per channel, maybe a resting potential."""
    shape = node.v_threshold.shape
    column = (shape[0], *[1] * (len(shape) - 1))
    gain = np.broadcast_to(rng.uniform(0.5, 2.0, column if rng.integers(2) else ()), shape)
    fields = {"r": node.r * gain, "v_threshold": node.v_threshold * gain}
    if rng.integers(2):
        fields["v_threshold"] = fields["v_threshold"] * rng.uniform(0.8, 1.25, column)
    if isinstance(node, nir.LIF) and rng.integers(2):
        fields["v_leak"] = np.broadcast_to(rng.uniform(-0.1, 0.1, column), shape) * fields["r"]
    return with_fields(node, **fields)
