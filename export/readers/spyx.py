r"""spyx 1.0.0: `spyx.nir.from_nir(graph, x, dt=...)`, whose default dt is 1; x is (T, B, ...).

A LIF reads its spike from the membrane BEFORE the input of the step, and subtracts the threshold
then: :math:`s_t = [v_{t-1} > \theta]`, :math:`v_t = \beta v_{t-1} + x_t - \theta s_t`, with
:math:`\beta = 1 - dt/\tau` and r ignored. That is a reset by subtraction in the next step, with
spikes one step late; every spiking layer adds a step. It follows a single chain of nodes from
`input`: other edges are dropped, and a loop may hang. Images are channels last.
"""

from __future__ import annotations

import numpy as np

from mpo_snn.export.foldings.channels_last import read_channels_last, write_channels_last
from mpo_snn.export.foldings.flow import Flow, with_fields
from mpo_snn.export.foldings.gain import set_gain
from mpo_snn.export.foldings.pools import (
    write_average_as_sum,
    write_padded_pools_as_convolutions,
)
from mpo_snn.export.foldings.scales import fold_scales
from mpo_snn.export.foldings.subtraction import (
    read_lif_as_subtraction,
    write_subtraction_as_lif,
)
from mpo_snn.export.foldings.weights import WEIGHTED

from . import wiring
from .finding import Finding
from .reader import Reader

KINDS = ("Affine", "Linear", "Conv2d", "SumPool2d", "Flatten", "IF", "LIF")
NEURONS = ("IF", "LIF", "CubaLIF", "Threshold")


def _structure(flow: Flow) -> list[Finding]:
    findings = [*wiring.unknown_kinds(flow, KINDS, "different"), *wiring.loops(flow)]
    findings += [
        Finding(
            name,
            "of several ways on, it follows the first alone",
            "different",
            "one chain of layers",
        )
        for name in flow.nodes
        if len([t for t in flow.targets(name) if (name, t) not in flow.back_edges]) > 1
    ]
    if "input" not in flow.flat.inputs:
        findings.append(
            Finding(flow.flat.inputs[0], "the input must be called 'input'", "different")
        )
    for name in flow.named("Conv2d"):
        node = flow.nodes[name]
        if np.any(np.asarray(node.dilation) != 1):
            findings.append(Finding(name, "its dilation is left out", "different"))
    order, neurons = _chain(flow), _neurons(flow)
    if neurons:
        behind = order[order.index(neurons[0]) : order.index(neurons[-1])]
        for name in behind:
            if flow.kind(name) in WEIGHTED and np.any(getattr(flow.nodes[name], "bias", 0.0)):
                findings.append(
                    Finding(
                        name,
                        "its bias acts before the first spikes arrive, which is late",
                        "different",
                        "no bias behind the first neurons",
                    )
                )
        findings.append(
            Finding(
                "",
                f"the output comes {len(neurons)} steps late, one for each spiking layer",
                "note",
                "run as many steps more and leave the first out",
            )
        )
    return findings


def _chain(flow: Flow) -> list[str]:
    order, name = [], "input"
    while name in flow.nodes and name not in order:
        order.append(name)
        name = (flow.targets(name) or [""])[0]
    return order


def _neurons(flow: Flow) -> list[str]:
    return [name for name in _chain(flow) if flow.kind(name) in NEURONS]


def _late(flow: Flow) -> int:
    return len(_neurons(flow))


def _as_read(flow: Flow) -> Flow:
    for name in flow.named("LIF"):
        node = flow.nodes[name]
        flow = flow.with_node(
            name,
            with_fields(node, r=node.tau / flow.dt, v_leak=np.zeros_like(node.v_leak)),
        )
    for name in flow.named("IF"):
        node = flow.nodes[name]
        flow = flow.with_node(name, with_fields(node, r=np.full_like(node.r, 1.0 / flow.dt)))
    return read_channels_last(read_lif_as_subtraction(flow, "next"))


def _subtraction(flow: Flow) -> Flow:
    return write_subtraction_as_lif(flow, "next")


def _gain(flow: Flow) -> Flow:
    return set_gain(flow, "step")


SPYX = Reader(
    name="spyx",
    title="spyx 1.0.0",
    nir_version="1.0.8",
    dt=None,
    folds=(
        _subtraction,
        write_padded_pools_as_convolutions,
        write_average_as_sum,
        fold_scales,
        _gain,
    ),
    dialect=(write_channels_last,),
    structure=_structure,
    as_read=_as_read,
    load="from spyx.nir import from_nir\n"
    'network, output = from_nir(nir.read("{path}"), x, dt={dt:g})  # x (T, B, ...), channels last',
    late=_late,
    help="train with neuron.reset subtract and neuron.reset_timing next",
)
