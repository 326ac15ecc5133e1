r"""Layers with the values of a chip, as a NIR graph: weights on the chip's grid, in real units.

Per layer: SumPool2d, Flatten, Conv2d or Linear, and IF, LIF or CubaLIF with a unit gain, which is
r = tau / dt and w_in = tau_syn / dt. A bias stands in the first weight of its layer, or, behind a
synapse, in v_leak = bias / (1 - beta). The reset by subtraction, several spikes a step and a lowest
membrane are in the metadata (`mpo_snn.graph.neuron_behaviour`).
"""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mpo_snn.graph.connections import move_to_graph, written_out
from mpo_snn.graph.euler import tau_of_leak
from mpo_snn.graph.neuron_behaviour import NeuronBehaviour
from mpo_snn.graph.plain_kernel import centred

from .layers import INPUT, OUTPUT, ChipGraph, Layer, Projection
from .way_names import way_names

Array = NDArray[np.float64]


def grid_graph(graph: ChipGraph, dt: float) -> tuple[nir.NIRGraph, dict[str, NeuronBehaviour]]:
    """The graph, and what NIR cannot state of its spiking nodes.

    Args:
        graph: layers with the values of the chip (`mpo_snn.deploy.real_run.with_values`).
        dt: timestep in seconds that the file is written for.
    """
    nodes: dict[str, nir.NIRNode] = {
        INPUT: nir.Input({"input": np.array(graph.input_shape)}),
        OUTPUT: nir.Output({"output": np.array(graph.output.shape)}),
    }
    edges: list[tuple[str, str]] = [(graph.output.name, OUTPUT)]
    ways = way_names(graph, "from_", {*nodes, *(layer.name for layer in graph)})
    for layer in graph:
        bias: Tensor | None = layer.bias
        behind_synapse = layer.alpha is not None
        for name, projection in zip(ways[layer.name], layer.projections, strict=True):
            own = None if behind_synapse else bias
            way = _way(name, projection, own)
            nodes.update(way)
            names = [projection.source, *way, layer.name]
            edges += pairwise(names)
            bias = None
        nodes[layer.name] = _neurons(layer, dt)
    behaviour = {
        layer.name: NeuronBehaviour(layer.reset, layer.most_spikes, layer.lower) for layer in graph
    }
    found = nir.NIRGraph(nodes, edges, type_check=False)
    move_to_graph(found)
    return found, behaviour


def _way(name: str, projection: Projection, bias: Tensor | None) -> dict[str, nir.NIRNode]:
    """The nodes of a projection in order."""
    nodes: dict[str, nir.NIRNode] = {}
    pooled, weight = projection.pooled_shape, _array(projection.weight)
    if projection.pool != (1, 1):
        window = np.array(projection.pool)
        nodes[f"{name}.pool"] = nir.SumPool2d(window, window, np.array([0, 0]))
    if projection.kind == "convolution":
        per_channel = np.zeros(len(weight))
        if bias is not None:
            per_channel = _array(bias).reshape(len(weight), -1)[:, 0].copy()
        # nir's own inference takes kernels for square; one of odd and even sides has no middle.
        square = centred(weight, projection.padding, (1, 1))
        kernel, padding = (weight, projection.padding) if square is None else square
        nodes[name] = nir.Conv2d(
            input_shape=pooled[1:],
            weight=kernel,
            stride=projection.stride,
            padding=padding,
            dilation=1,
            groups=1,
            bias=per_channel,
            metadata=written_out(1, weight.shape[2:]) if kernel is not weight else {},
        )
        return nodes
    if len(pooled) > 1:
        nodes[f"{name}.flatten"] = nir.Flatten({"input": np.array(pooled)}, 0, -1)
    if bias is not None and bool(bias.any()):
        nodes[name] = nir.Affine(weight, _array(bias).flatten())
    else:
        nodes[name] = nir.Linear(weight)
    return nodes


def _neurons(layer: Layer, dt: float) -> nir.NIRNode:
    threshold = _array(layer.threshold)
    fires = {"v_threshold": threshold, "v_reset": np.zeros_like(threshold)}
    if layer.alpha is None and bool((layer.beta == 1).all()):
        return nir.IF(r=np.full_like(threshold, 1 / dt), **fires)
    tau = _tau(layer.beta, dt)
    if layer.alpha is None:
        return nir.LIF(tau=tau, r=tau / dt, v_leak=np.zeros_like(tau), **fires)
    tau_syn = _tau(layer.alpha, dt)
    return nir.CubaLIF(
        tau_syn=tau_syn,
        tau_mem=tau,
        r=tau / dt,
        v_leak=_array(layer.bias) * tau / dt,
        w_in=tau_syn / dt,
        **fires,
    )


def _tau(leak: Tensor, dt: float) -> Array:
    return tau_of_leak(_array(leak), dt)


def _array(value: Tensor) -> Array:
    return np.ascontiguousarray(value.numpy(), dtype=np.float64)
