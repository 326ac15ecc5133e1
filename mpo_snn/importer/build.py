"""`from_nir`: a NIR graph, ours or foreign, as a network that can be trained and exported again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import networkx as nx
import nir
import numpy as np
import torch
from torch import nn

from mpo_snn.errors import GraphError
from mpo_snn.graph.check import check_graph, check_timestep
from mpo_snn.graph.inline import FlatGraph, inline
from mpo_snn.graph.kinds import SPIKING
from mpo_snn.graph.metadata import known_timestep, read_metadata, refuse_beyond_nir
from mpo_snn.graph.read import read_graph
from mpo_snn.graph.shapes import infer_shapes
from mpo_snn.surrogate import Shape

from .composites import NeuronNodes, Wiring, find_loops, find_neurons
from .layers import Array, read_layer
from .network import INPUT, ImportedNetwork, refused_names
from .neurons import NeuronOptions, read_neuron

_PLAIN_READERS = (None, "nir", "portable")
"""Readers whose files mean what NIR says."""
_WEIGHTED = ("Affine", "Linear", "Conv1d", "Conv2d")


def from_nir(
    source: nir.NIRGraph | str | Path,
    *,
    dt: float | None = None,
    dtype: torch.dtype = torch.float32,
    learn_leak: bool = False,
    learn_threshold: bool = False,
    surrogate: Shape = "sigmoid",
    width: float = 0.5,
) -> ImportedNetwork:
    """Turn a NIR graph into an MPO network: plain torch.nn and MPO neurons, one timestep a call.

    Every weight, leak, threshold and gain of the graph is kept, per neuron where it is per neuron,
    and layers are called as their nodes are. `MPO` and `Unrolled` take the network as any other,
    and `export_nir(network, network.input_shape, network.dt)` gives the same parameters again.

    Args:
        source: the graph, or the path of its file; it is not changed. Subgraphs are dissolved.
        dt: timestep in seconds; None takes that of the graph's metadata.
        dtype: precision of the network, float32 or float64.
        learn_leak: make the leaks of the neurons parameters.
        learn_threshold: make their thresholds parameters.
        surrogate: shape of the surrogate of all neurons.
        width: its width, relative to the mean threshold of the layer.

    Raises:
        GraphError: if the graph does not make sense (`check_graph`), nothing says its timestep, or
            an MPO network cannot express it: with every node in question and what to do.
    """
    if not isinstance(source, nir.NIRGraph | str | Path):
        raise GraphError(
            f"cannot import a {type(source).__name__}: expected a nir.NIRGraph or a path"
        )
    what = "the graph" if isinstance(source, nir.NIRGraph) else f"'{source}'"
    attempt = f"cannot import {what}"
    if dtype not in (torch.float32, torch.float64):
        raise GraphError(f"{attempt} in {dtype}, expected torch.float32 or torch.float64")
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < math.inf:
        raise GraphError(f"{attempt} with width {width!r}, expected a number above 0")
    for option, value in (("learn_leak", learn_leak), ("learn_threshold", learn_threshold)):
        if not isinstance(value, bool):
            raise GraphError(f"{attempt} with {option} {value!r}, expected True or False")
    if isinstance(source, nir.NIRGraph):
        check_graph(source)
        graph = source
    else:
        graph = read_graph(source)
    _refuse_dialect(graph, attempt)
    dt = known_timestep(graph) if dt is None else dt
    if dt is None:
        raise GraphError(
            f"{attempt}: it does not say its timestep; give it in seconds, dt=1e-4 for most files"
        )
    check_timestep(graph, dt)
    options = NeuronOptions(dt, dtype, learn_leak, learn_threshold, surrogate, width)
    with _float64():
        network = _Import(inline(graph), options, attempt).network()
    _refuse_lost_values(network, dtype, attempt)
    return network.to(dtype)


def _refuse_lost_values(network: nn.Module, dtype: torch.dtype, attempt: str) -> None:
    """Refuse values that the precision of the network cannot hold."""
    most = torch.finfo(dtype).max
    findings = [
        f"{name} has values up to {value.abs().max():g}, more than {dtype} holds: scale them down,"
        " or import with dtype=torch.float64"
        for name, value in network.state_dict().items()
        if value.is_floating_point() and value.numel() and not bool((value.abs() <= most).all())
    ]
    findings += [
        f"{name} is {value.min():g}, which is 0 in {dtype}: scale it up, or import with"
        " dtype=torch.float64"
        for name, value in network.state_dict().items()
        if name.endswith(".threshold") and not bool((value.to(dtype) > 0).all())
    ]
    if findings:
        raise GraphError(attempt, findings)


def _refuse_dialect(graph: nir.NIRGraph, attempt: str) -> None:
    """Refuse a file of ours that is written for a reader which reads it otherwise than NIR does."""
    refuse_beyond_nir(graph, attempt)
    metadata = read_metadata(graph)
    if metadata is not None and metadata.reader not in _PLAIN_READERS:
        raise GraphError(
            f"{attempt}: it is written for {metadata.reader}, which may run it otherwise than NIR"
            " says. Import the file that mpo-export RUN --reader nir writes."
        )


class _Import:
    """One import: all layers are read before anything is refused."""

    def __init__(self, flat: FlatGraph, options: NeuronOptions, attempt: str) -> None:
        self.flat, self.options, self.attempt = flat, options, attempt
        self.shapes = infer_shapes(flat).outputs
        self.wiring = Wiring(flat)
        self.neurons, unread = find_neurons(self.wiring)
        self.findings = list(unread.values())
        self.offsets: dict[str, Array] = {}
        """Constant currents, by the node whose bias takes them."""
        self.gains: dict[str, str] = {}
        """Layers that multiply the input of a layer of neurons, by the name of that."""

    def network(self) -> ImportedNetwork:
        if all(nodes.spikes is None for nodes in self.neurons.values()):
            self.findings.append(
                f"it has no spiking node ({', '.join(sorted(SPIKING))}), so there is nothing for"
                " MPO to train."
            )
        loops = find_loops(self.wiring, self.neurons)
        self.findings += loops
        layers: dict[str, nn.Module] = {}
        for name, nodes in self.neurons.items():
            self._read_neuron(name, nodes, layers)
        inner = {node for nodes in self.neurons.values() for node in nodes.inner}
        ends = {*self.flat.inputs, *self.flat.outputs}
        for name in self.flat.nodes:
            if name not in ends | inner | self.neurons.keys():
                self._read_layer(name, layers)
        outer = [name for name in self.flat.nodes if name not in ends | inner]
        outer += self.gains.values()
        self.findings += refused_names(outer)
        if self.findings:
            raise GraphError(self.attempt, sorted(self.findings))
        return self._wired(layers)

    def _wired(self, layers: dict[str, nn.Module]) -> ImportedNetwork:
        (start,), (end,) = self.flat.inputs, self.flat.outputs
        sources = {name: self._sources(name) for name in self.flat.nodes if name in layers}
        for name, gain in self.gains.items():
            sources[gain], sources[name] = sources[name], [gain]
        order = nx.DiGraph()
        order.add_nodes_from(sources)
        order.add_edges_from((a, b) for b, of in sources.items() for a in of if a in sources)
        run = list(nx.topological_sort(order))
        return ImportedNetwork(
            {name: layers[name] for name in run},
            {name: [INPUT if a == start else a for a in sources[name]] for name in run},
            [INPUT if a == start else a for a in self.wiring.sources[end]],
            self.options.dt,
            self.shapes[start],
            next((name for name, nodes in self.neurons.items() if nodes.spikes is None), None),
        )

    def _sources(self, name: str) -> list[str]:
        nodes = self.neurons.get(name)
        if nodes is None:
            return self.wiring.sources[name]
        return [a for a in self.wiring.sources[nodes.entry] if a != nodes.feedback]

    def _read_neuron(self, name: str, nodes: NeuronNodes, layers: dict[str, nn.Module]) -> None:
        read = read_neuron(nodes, self.flat.nodes, self.shapes[name], self.options)
        self.findings += read.findings
        if read.layer is not None:
            layers[name] = read.layer
        if read.gain is not None:
            self.gains[name] = self._free_name(f"{name}_gain")
            layers[self.gains[name]] = read.gain
        if read.offset.any():
            self._place_offset(name, nodes, read.offset)

    def _free_name(self, wanted: str) -> str:
        return self._free_name(f"{wanted}_") if wanted in self.flat.nodes else wanted

    def _place_offset(self, name: str, nodes: NeuronNodes, offset: Array) -> None:
        """Give a constant current to the bias of a layer that feeds these neurons alone."""
        channels = np.atleast_1d(offset).reshape(len(np.atleast_1d(offset)), -1)
        is_per_channel = bool((channels == channels[:, :1]).all())
        for source in self._sources(name):
            feeds_this_alone = self.wiring.targets[source] == [nodes.entry]
            if self.wiring.kind(source) in _WEIGHTED and feeds_this_alone and is_per_channel:
                self.offsets[source] = channels[:, 0]
                return
        self.findings.append(
            f"node {name!r} has v_leak != 0, a constant current that an MPO network holds in a"
            " bias, and no dense or convolutional layer feeds these neurons alone, with one value"
            " per channel: put one in front, or write it with v_leak = 0."
        )

    def _read_layer(self, name: str, layers: dict[str, nn.Module]) -> None:
        if name in layers or self.wiring.kind(name) in ("Delay", "I", "LI", "CubaLI"):
            return  # told by `find_neurons`
        shape = self.shapes[self.wiring.sources[name][0]]
        try:
            layers[name] = read_layer(self.flat.nodes[name], shape, self.offsets.get(name))
        except GraphError as error:
            kind = self.wiring.kind(name)
            self.findings.append(f"node {name!r} ({kind}) cannot be a layer: {error}.")


@contextmanager
def _float64() -> Iterator[None]:
    """float64 as the precision in which torch and snnTorch build modules."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
