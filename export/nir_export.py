"""A network to a NIR graph: read, then a list of small passes, then nodes.

Folding is done in float64 and weights are stored so. Passes run in the order of `PASSES`; each
leaves the spikes as they are and says in the record what it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import nir
import numpy as np
from torch import nn

from mpo_snn.errors import ExportError
from mpo_snn.graph.connections import move_to_graph
from mpo_snn.graph.metadata import PENDING
from mpo_snn.graph.neuron_behaviour import NeuronBehaviour

from . import draft as d
from .draft import Draft
from .fold_batchnorm import fold_batchnorm
from .membrane_to_nir import express_membrane, membrane_findings
from .merge_additions import merge_additions, remove_identities
from .neuron_to_nir import (
    Expression,
    express_for_chip,
    express_neuron,
    integrates,
    late_reset,
)
from .plain_node import plain_node
from .read_network import read_network
from .square_convolution import square_convolutions

PASSES = (remove_identities, fold_batchnorm, merge_additions, square_convolutions)
DEFAULT_DT = 1e-4
"""Timestep in seconds that files are written for; only dt/tau matters to the dynamics."""


@dataclass(frozen=True)
class Export:
    """A network in NIR.

    Attributes:
        graph: the NIR graph, type-checked, without metadata but for layers that were written out
            with zeros (`mpo_snn.graph.connections`); `write_nir` refuses one whose neurons do what
            NIR cannot state (`behaviour`) until `write_metadata` has said it.
        spiking: neuron layer of the network -> node of the graph that spikes; without a layer
            that the network is read out by and that never resets, for nothing of it spikes.
        folds: what the passes did, one line each.
        notes: what the user must know of the form that was chosen, one line each.
        behaviour: what the nodes that spike do beyond NIR, where a chip was asked for.
    """

    graph: nir.NIRGraph
    spiking: dict[str, str]
    folds: tuple[str, ...]
    notes: tuple[str, ...]
    behaviour: Mapping[str, NeuronBehaviour] = field(default_factory=dict, kw_only=True)


def export_nir(
    network: nn.Module,
    input_shape: Sequence[int] | int,
    dt: float = DEFAULT_DT,
    plain_reset: bool = False,
    keep_convolutions: bool = False,
    chip: bool = False,
) -> Export:
    """Export a one-timestep network, in eval mode, to the plainest NIR that fires the same spikes.

    Args:
        network: plain torch.nn and MPO neurons; it is not modified.
        input_shape: shape of one sample, without batch and time; a number is one axis.
        dt: timestep in seconds.
        plain_reset: the user's word that a reset by subtraction may be written as a plain LIF,
            which is a different neuron.
        keep_convolutions: leave grouped and oblong convolutions as they are. nir's own type check
            refuses such a graph: `nir.read(..., type_check=False)`.
        chip: every layer of neurons is one node, whatever its reset, and `behaviour` says what it
            does beyond NIR; for deployment.

    Raises:
        ExportError: naming all that has no form in NIR; if the network does not run on a sample.
        UnrollError: if forward is not one timestep.
    """
    if not 0.0 < dt < float("inf"):
        raise ExportError(f"cannot export: dt is {dt:g} s, allowed is above 0.")
    draft = read_network(network, input_shape)
    told = membrane_findings(draft, plain_reset, chip)
    if told:
        raise ExportError(f"cannot export {type(network).__name__}", told)
    if not chip:
        _refuse_several_spikes(draft)
    for run in PASSES:
        if run is not square_convolutions or not keep_convolutions:
            draft = run(draft)
    _refuse_values(draft)
    neurons = {n: x for n, x in draft.nodes.items() if isinstance(x, d.Neuron)}
    if not neurons:
        raise ExportError("cannot export: the network has no spiking layer.")
    behaviour: dict[str, NeuronBehaviour] = {}
    expressed: dict[str, Expression] = {}
    if chip:
        late = [line for name, n in neurons.items() if (line := late_reset(name, n))]
        if late:
            raise ExportError("cannot write for a chip", late)
    for name, neuron in neurons.items():
        if chip:
            expressed[name], behaviour[name] = express_for_chip(name, neuron, dt)
        elif neuron.gives == "membrane":
            expressed[name] = express_membrane(name, neuron, dt)
        else:
            expressed[name] = express_neuron(name, neuron, dt, plain_reset)
    graph = _assemble(draft, expressed, type_check=not keep_convolutions)
    if not all(one.is_plain for one in behaviour.values()):
        graph.metadata[PENDING] = True
    return Export(
        graph=graph,
        spiking={name: e.spikes for name, e in expressed.items() if e.spikes is not None},
        folds=(*draft.folds, *_leak_folds(neurons)),
        notes=() if chip else tuple(_notes(neurons, plain_reset)),
        behaviour=behaviour,
    )


def _assemble(draft: Draft, expressed: dict[str, Expression], *, type_check: bool) -> nir.NIRGraph:
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    for name, node in draft.nodes.items():
        if name in expressed:
            nodes.update(expressed[name].nodes)
        else:
            nodes[name] = plain_node(node)
    entry = {name: e.entry for name, e in expressed.items()}
    exits = {name: e.exits for name, e in expressed.items()}
    ways = [(exits.get(a, (a,)), a, entry.get(b, b)) for a, b in draft.edges]
    edges = [(a, b) for found, a, b in ways if found == (a,)]
    for expression in expressed.values():
        edges += expression.edges
    # Last, so that a membrane belongs to the node that spikes, not to what it is read out by.
    edges += [(end, b) for found, a, b in ways if found != (a,) for end in found]
    graph = nir.NIRGraph(nodes=nodes, edges=edges, metadata={}, type_check=type_check)
    move_to_graph(graph)
    return graph


def _refuse_values(draft: Draft) -> None:
    findings = []
    for name, node in draft.nodes.items():
        for parameter in ("weight", "bias", "alpha", "beta", "threshold", "factor"):
            value = getattr(node, parameter, None)
            if value is None:
                continue
            wrong = int(np.size(value) - np.isfinite(value).sum())
            if wrong:
                findings.append(
                    f"layer '{name}': {wrong} of {np.size(value)} values of {parameter} are NaN or"
                    " infinite; the training diverged or the file is damaged."
                )
    if findings:
        raise ExportError("cannot export to NIR", findings)


def _refuse_several_spikes(draft: Draft) -> None:
    findings = [
        f"layer '{name}' fires up to {node.most_spikes} times in a step, and NIR's neurons once."
        if node.most_spikes > 1
        else f"layer '{name}' has a lowest membrane of {node.lower:g} V, and NIR's neurons none."
        for name, node in draft.nodes.items()
        if isinstance(node, d.Neuron) and (node.most_spikes > 1 or node.lower is not None)
    ]
    if findings:
        raise ExportError(
            "cannot export neurons of chips to NIR; mpo-deploy RUN --target NAME takes the run",
            findings,
        )


def _leak_folds(neurons: dict[str, d.Neuron]) -> list[str]:
    folds = []
    for name, neuron in neurons.items():
        is_if = neuron.alpha is None and integrates(neuron)
        leak = "r = 1 / dt" if is_if else "tau = dt / (1 - beta)"
        gain = "r = 1" if neuron.input_gain == "decay" else "unit input gain in r"
        if neuron.alpha is not None:
            leak = f"tau_syn = dt / (1 - alpha), {leak}"
            gain = "w_in = r = 1" if neuron.input_gain == "decay" else "unit gains in w_in and r"
        folds.append(f"leak and gain of '{name}' into {leak}, {gain}")
    return folds


def _notes(neurons: dict[str, d.Neuron], plain_reset: bool) -> list[str]:
    notes = [
        f"the output is the membrane of '{name}' in volt, not its spikes."
        for name, neuron in neurons.items()
        if neuron.gives == "membrane"
    ]
    kinds = {
        (n.reset, n.reset_timing, n.alpha is not None)
        for n in neurons.values()
        if n.gives == "spikes" or n.reset != "none"
    }
    for reset, timing, has_synapse in sorted(kinds):
        membrane = "CubaLI" if has_synapse else "LI"
        if reset == "subtract" and plain_reset:
            notes.append(
                f"reset by subtraction is written as a plain {'CubaLIF' if has_synapse else 'LIF'},"
                " as asked: the file resets to zero and is NOT the trained network."
            )
        elif reset == "subtract":
            when = "one step later" if timing == "next" else "within the step"
            notes.append(
                f"reset by subtraction {when} is written in its exact form,"
                f" {'LI -> ' * (1 + has_synapse)}Threshold with a feedback Scale;"
                " most packaged NIR readers do not load it."
            )
        elif reset == "none":
            notes.append(f"neurons without reset are written as {membrane} -> Threshold.")
    return notes
