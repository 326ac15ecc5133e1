r"""A network on Xylo: all layers but the last are one hidden population, whose matrix is recurrent.

Inputs reach the first hidden neurons and outputs read from the last, so layers lie in the order of
their hops from the input. The chip's synapse decays before it acts, :math:`i = \alpha (i + w n)`,
so that its weights are those of a network with unit gain divided by alpha.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .dense import dense_matrix
from .layers import INPUT, ChipGraph, Layer


@dataclass(frozen=True)
class Population:
    """Neurons of several layers side by side, float64, each (N,).

    Attributes:
        alpha: leak of the synapse.
        beta: leak of the membrane.
        threshold: in units of the network.
        bias: likewise.
    """

    alpha: Tensor
    beta: Tensor
    threshold: Tensor
    bias: Tensor


@dataclass(frozen=True)
class XyloLayout:
    """The matrices of a network, real and with alpha divided out.

    Attributes:
        weights_in: (inputs, hidden).
        weights_rec: (hidden, hidden), from the first to the second.
        weights_out: (hidden, outputs).
        hidden: all layers but the last.
        output: the last.
        places: of every layer, its neurons within its population.
    """

    weights_in: Tensor
    weights_rec: Tensor
    weights_out: Tensor
    hidden: Population
    output: Population
    places: dict[str, slice]


def hidden_places(graph: ChipGraph) -> dict[str, slice]:
    """Where hidden layers lie in their population: those that inputs reach first."""
    depth = graph.depth()
    places, start = {}, 0
    for layer in sorted(graph.layers[:-1], key=lambda layer: depth[layer.name]):
        places[layer.name] = slice(start, start + layer.size)
        start += layer.size
    return places


def lay_out(graph: ChipGraph) -> XyloLayout:
    """Place all neurons; for a graph that `check_xylo` has nothing against."""
    last = graph.output
    places = hidden_places(graph)
    inner = [graph.layer(name) for name in places]
    start = sum(layer.size for layer in inner)
    places[last.name] = slice(0, last.size)
    inputs = int(torch.tensor(graph.input_shape).prod())
    zeros = torch.zeros(inputs + start, start + last.size, dtype=torch.float64)
    rows = {INPUT: slice(0, inputs)}
    rows |= {
        layer.name: slice(inputs + places[layer.name].start, inputs + places[layer.name].stop)
        for layer in inner
    }
    for layer in graph:
        offset = start if layer is last else 0
        columns = slice(offset + places[layer.name].start, offset + places[layer.name].stop)
        for projection in layer.projections:
            into = dense_matrix(projection) / _alpha(layer)[:, None]
            zeros[rows[projection.source], columns] += into.T
    return XyloLayout(
        zeros[:inputs, :start],
        zeros[inputs:, :start],
        zeros[inputs:, start:],
        _population(inner),
        _population([last]),
        places,
    )


def _alpha(layer: Layer) -> Tensor:
    assert layer.alpha is not None, f"{layer.name} has no synapse"
    return layer.alpha.flatten()


def _population(layers: list[Layer]) -> Population:
    return Population(
        torch.cat([_alpha(layer) for layer in layers]),
        torch.cat([layer.beta.flatten() for layer in layers]),
        torch.cat([layer.threshold.flatten() for layer in layers]),
        torch.cat([layer.bias.flatten() for layer in layers]),
    )
