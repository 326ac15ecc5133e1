"""What goes round: a graph in float64, an input, and what this project's simulator makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np
import torch
from torch import Tensor

from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.recording import Recording
from mpo_snn.export.sources import GraphSource

from . import graphs, networks

TIMESTEPS = 50
BATCH = 4
KINDS = ("rich", "sparse")
"""Real values from 0 to 1.5, or spikes with a chance of 0.1; one batch of each, in this order."""


@dataclass(frozen=True, eq=False)
class Case:
    """One graph of the round trip.

    Attributes:
        name: what the matrix calls it.
        graph: the plainest NIR form, float64.
        spiking: layer -> node of the graph that spikes.
        dt: seconds.
        x: input, float32, (time, 2 * batch, *features), one batch of each of `KINDS`.
    """

    name: str
    graph: nir.NIRGraph
    spiking: dict[str, str]
    dt: float
    x: Tensor

    def reference(self) -> tuple[GraphSource, Recording]:
        """The simulator on the graph in float64, and all that it showed."""
        source = GraphSource(self.graph, self.dt, self.spiking or None, title=self.name)
        return source, source.run(self.x, torch.float64)


def network_cases() -> list[Case]:
    """Every network of `networks.NETWORKS`, exported."""
    cases = []
    for name in networks.NETWORKS:
        network = networks.build(name)
        export = export_nir(network, network.input_shape, graphs.DT)
        is_grid = name.endswith("ties")
        x = stimulus(network.input_shape, seed=1, is_binary=is_grid)
        cases.append(Case(name, export.graph, export.spiking, graphs.DT, x))
    return cases


def graph_cases() -> list[Case]:
    """Graphs with loops, written directly."""
    found = {
        "recurrent": graphs.recurrent(bias=False),
        "recurrent, bias in the loop": graphs.recurrent(),
        "recurrent CubaLIF, bias in the loop": graphs.recurrent(cuba=True),
    }
    return [Case(name, graph, {}, graphs.DT, stimulus((12,), 2)) for name, graph in found.items()]


def random_cases(seeds: range) -> list[Case]:
    """Random graphs, one per seed."""
    cases = []
    for seed in seeds:
        graph = graphs.random_graph(seed)
        shape = tuple(int(n) for n in graph.nodes["input"].input_type["input"])
        cases.append(Case(f"random {seed}", graph, {}, graphs.DT, stimulus(shape, seed)))
    return cases


def stimulus(shape: tuple[int, ...], seed: int, is_binary: bool = False) -> Tensor:
    """Input of both kinds; `is_binary` makes the rich one spikes, with a chance of 0.6."""
    rng = np.random.default_rng(seed)
    size = (TIMESTEPS, BATCH, *shape)
    rich = (rng.random(size) < 0.6) * 1.0 if is_binary else rng.uniform(0.0, 1.5, size)
    sparse = (rng.random(size) < 0.1) * 1.0
    return torch.from_numpy(np.concatenate([rich, sparse], axis=1).astype(np.float32))
