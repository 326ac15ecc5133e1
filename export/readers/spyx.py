r"""spyx 1.0.0: `spyx.nir.from_nir(graph, x, dt=...)`, whose default dt is 1; x is (T, B, ...).

A LIF reads its spike from the membrane BEFORE the input of the step, and subtracts the threshold
then: :math:`s_t = [v_{t-1} > \theta]`, :math:`v_t = \beta v_{t-1} + x_t - \theta s_t`, with
:math:`\beta = 1 - dt/\tau` and r ignored. That is a reset by subtraction in the next step, with
spikes one step late; every spiking layer adds a step. It follows a single chain of nodes from
`input`: other edges are dropped, and a loop may hang. LI with a Threshold behind is a neuron
without reset, which is not late. Images are channels last.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from mpo_snn.export.foldings.channels_last import read_channels_last, write_channels_last
from mpo_snn.export.foldings.flow import Flow, with_fields
from mpo_snn.export.foldings.gain import read_if_as_adding, set_gain
from mpo_snn.export.foldings.input_name import NAME, name_input
from mpo_snn.export.foldings.pools import (
    write_average_as_sum,
    write_padded_pools_as_convolutions,
)
from mpo_snn.export.foldings.scales import fold_scales
from mpo_snn.export.foldings.subtraction import (
    find_subtractions,
    read_lif_as_subtraction,
    write_subtraction_as_lif,
)
from mpo_snn.export.foldings.weights import DENSE, WEIGHTED

from . import wiring
from .finding import Finding
from .reader import Reader

KINDS = ("Affine", "Linear", "Conv2d", "SumPool2d", "Flatten", "IF", "LIF", "LI", "Threshold")
NEURONS = ("IF", "LIF", "CubaLIF")
_NO_LOOPS = "no recurrent layers"
_RESET_HELP = "a file for spyx, trained with neuron.reset subtract and neuron.reset_timing next"
_RUN = """\
late = {late}  # steps: one for each spiking layer
x = np.concatenate([x, np.zeros((late, *x.shape[1:]), np.float32)])
network, outputs = from_nir(graph, np.moveaxis(x, 2, -1), dt={dt!r})  # channels last
outputs = np.moveaxis(np.asarray(outputs), -1, 2)[late:]"""


def _structure(flow: Flow) -> list[Finding]:
    if NAME not in flow.flat.inputs:
        what = f"an Input of another name than '{NAME}' is not found, and nothing is run"
        return [Finding(flow.flat.inputs[0], what, "different", f"call it '{NAME}'")]
    rewritten = _rewritten(flow)
    chain, ends = _chain(flow)
    if not ends:
        what = f"follows the loop of '{chain[-1]}' for ever"
        return [Finding(chain[-1], what, "fails", _NO_LOOPS)]
    findings = [
        Finding(
            name,
            "of several ways on, it follows the first alone",
            "different",
            "one chain of layers",
        )
        for name in chain
        if len(set(flow.targets(name)) - rewritten) > 1 and not _has_own_loop(flow, name)
    ]
    findings += [
        Finding(name, "runs its loop as a recurrent layer of its own", "different", _NO_LOOPS)
        for name in chain
        if set(flow.targets(name)) & rewritten
    ]
    findings += [
        Finding(name, "LI does not load without a Threshold behind", "fails")
        for name, after in pairwise(chain)
        if flow.kind(name) == "LI" and flow.kind(after) != "Threshold"
    ]
    findings += wiring.unknown_kinds(_along(flow, chain), KINDS, "different", _RESET_HELP)
    for name in set(chain) & set(flow.named("Conv2d")):
        if np.any(np.asarray(flow.nodes[name].dilation) != 1):
            findings.append(Finding(name, "its dilation is left out", "different"))
    neurons = _neurons(flow)
    if neurons:
        behind = chain[chain.index(neurons[0]) : chain.index(neurons[-1])]
        findings += [
            Finding(
                name,
                "its bias acts before the first spikes arrive, which is late",
                "different",
                "no bias behind the first neurons (network.name mlp, one size in network.hidden)",
            )
            for name in behind
            if flow.kind(name) in WEIGHTED and np.any(getattr(flow.nodes[name], "bias", 0.0))
        ]
        findings.append(
            Finding(
                "",
                f"the output comes {len(neurons)} steps late, one for each spiking layer",
                "note",
                "run as many steps more and leave the first out",
            )
        )
    return findings


def _chain(flow: Flow) -> tuple[list[str], bool]:
    """Names that it follows from the input, and whether it comes to an end."""
    chain, name = [], NAME
    rewritten = _rewritten(flow)
    while name in flow.nodes and name not in chain:
        chain.append(name)
        name = next((t for t in flow.targets(name) if t not in rewritten), "")
    return chain, name not in flow.nodes


def _rewritten(flow: Flow) -> set[str]:
    """Dense layers of loops with a neuron layer alone, which become one recurrent layer."""
    return {
        a
        for a, b in flow.edges
        if (b, a) in flow.edges
        and flow.kind(a) in DENSE
        and flow.kind(b) in ("LIF", "CubaLIF")
        and len(flow.sources(a)) == len(flow.targets(a)) == 1
    }


def _along(flow: Flow, chain: list[str]) -> Flow:
    """The chain alone; a reset by subtraction keeps its feedback, to be told as one thing."""
    inner = {n for s in find_subtractions(flow).values() for n in s.nodes}
    kept = [n for n in flow.nodes if n in chain or n in inner]
    edges = [
        (a, b)
        for a, b in flow.edges
        if {a, b} <= set(kept) and (b in inner or (a, b) in pairwise(chain))
    ]
    return replace(flow, nodes={n: flow.nodes[n] for n in kept}, edges=edges)


def _has_own_loop(flow: Flow, name: str) -> bool:
    return any(name == s.spikes for s in find_subtractions(flow).values())


def _neurons(flow: Flow) -> list[str]:
    return [name for name in _chain(flow)[0] if flow.kind(name) in NEURONS]


def _as_read(flow: Flow) -> Flow:
    for subtraction in find_subtractions(flow).values():
        edges = [edge for edge in flow.edges if subtraction.feedback not in edge]
        nodes = {n: x for n, x in flow.nodes.items() if n != subtraction.feedback}
        flow = replace(flow, nodes=nodes, edges=edges)
    for name in flow.named("LIF", "LI"):
        node = flow.nodes[name]
        flow = flow.with_node(
            name,
            with_fields(node, r=node.tau / flow.dt, v_leak=np.zeros_like(node.v_leak)),
        )
    flow = read_if_as_adding(flow)
    return read_channels_last(read_lif_as_subtraction(flow, "next"))


SPYX = Reader(
    name="spyx",
    title="spyx 1.0.0",
    nir_version="1.0.8",
    dt=None,
    folds=(
        name_input,
        lambda flow: write_subtraction_as_lif(flow, "next"),
        write_padded_pools_as_convolutions,
        write_average_as_sum,
        fold_scales,
        lambda flow: set_gain(flow, "step"),
    ),
    dialect=(write_channels_last,),
    structure=_structure,
    as_read=_as_read,
    load="import nir\nimport numpy as np\nfrom spyx.nir import from_nir\ngraph = nir.read({path})",
    run=_RUN,
    late=lambda flow: len(_neurons(flow)),
    help="train with neuron.reset subtract and neuron.reset_timing next",
)
