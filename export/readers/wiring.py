"""Faults of wiring that several readers share."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from mpo_snn.export.foldings.dense_as_convolution import obstacle
from mpo_snn.export.foldings.edge_order import run_order
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.foldings.loops import fed_back, loop_tail
from mpo_snn.export.foldings.subtraction import Subtraction, find_subtractions
from mpo_snn.export.foldings.weights import DENSE
from mpo_snn.graph.shapes import infer_shapes

from .finding import Finding, Severity

RESET_HELP = "train with neuron.reset zero"
_MEMBRANES = ("LI", "I", "CubaLI")
_DENSE = "dense layers alone (network.name mlp)"
_PLAIN_BEHIND = (
    "dense layers as convolutions, which a file for this reader has where only dense layers and"
    " neurons come behind"
)
_READ_OUT = "read the layer in front of it"
_WAYS_OUT = {
    "LI": _READ_OUT,
    "I": _READ_OUT,
    "CubaLI": _READ_OUT,
    "CubaLIF": "neurons without a synapse (neuron.model leaky)",
    "Scale": "fold it into the weights",
    "Conv2d": _DENSE,
    "Flatten": _DENSE,
    "AvgPool2d": _DENSE,
    "SumPool2d": _DENSE,
}


def unknown_kinds(
    flow: Flow, taken: Collection[str], severity: Severity, reset_help: str = RESET_HELP
) -> list[Finding]:
    """Nodes of kinds that the reader does not know; neurons of several nodes as one thing.

    Args:
        flow: the graph.
        taken: kinds that the reader knows.
        severity: `different` where it drops such nodes, which fails all the same where what is
            left does not fit together.
        reset_help: the way out where it does not know a reset.
    """
    if severity == "different" and not _fits_without(flow, taken):
        severity = "fails"
        done = "is dropped without a word, and what is left does not fit together"
    else:
        done = "is not taken" if severity == "fails" else "is dropped without a word"
    composites = find_subtractions(flow)
    parts = {name: composite.nodes for name, composite in composites.items()}
    resets = dict.fromkeys(parts, "reset by subtraction")
    ways_out = dict.fromkeys(parts, reset_help)
    for name, composite in composites.items():
        if flow.targets(composite.membrane) != [name]:
            parts[name] = [*parts[name], *_read_out_scales(flow, composite)]
            resets[name], ways_out[name] = "membrane, which is read", _READ_OUT
    for name in set(flow.named("Threshold")) - parts.keys():
        sources = flow.sources(name)
        if len(sources) == 1 and flow.kind(sources[0]) in _MEMBRANES:
            parts[name], resets[name] = [name, sources[0]], "lack of a reset"
            ways_out[name] = reset_help
    findings, inner = [], set()
    for name, nodes in parts.items():
        kinds = [flow.kind(n) for n in nodes]
        if set(kinds) <= set(taken):
            continue
        inner |= set(nodes)
        form = ", ".join(sorted(set(kinds)))
        what = f"its {resets[name]}, written as {form}, {done}"
        findings.append(Finding(name, what, severity, ways_out[name]))
    for name in flow.nodes:
        kind = flow.kind(name)
        if kind not in ("Input", "Output", *taken) and name not in inner:
            what = f"{kind} {done}"
            way_out = reset_help if kind == "Threshold" else _way_out(kind, taken)
            findings.append(Finding(name, what, severity, way_out))
    order = {name: i for i, name in enumerate(flow.nodes)}
    return sorted(findings, key=lambda f: order[f.node])


def flattened_batches(flow: Flow) -> list[Finding]:
    """Flatten nodes that take the batch for an axis of the sample."""
    return [
        Finding(
            name,
            "Flatten flattens the batch axis too, an error in batches of more than one",
            "fails",
            obstacle(flow, name) or _PLAIN_BEHIND,
        )
        for name in flow.named("Flatten")
    ]


def padded_pools(flow: Flow, *kinds: str) -> list[Finding]:
    """Pools of these kinds whose padding is left out."""
    return [
        Finding(name, "the padding of its pool is left out", "different", "pool without padding")
        for name in flow.named(*kinds)
        if np.any(flow.nodes[name].padding)
    ]


def wrong_order(flow: Flow) -> list[Finding]:
    """Nodes that run before one of their sources, on a depth-first walk over the edges."""
    order = {name: i for i, name in enumerate(run_order(flow))}
    late = {
        b
        for a, b in flow.edges
        if (a, b) not in flow.back_edges and order.get(a, 0) > order.get(b, 0)
    }
    findings = [
        Finding(
            name,
            "runs before one of its sources and takes the value of the step before",
            "different",
            "no two branches side by side that both hold a layer",
        )
        for name in flow.nodes
        if name in late
    ]
    last = max(order, key=order.__getitem__)
    if flow.kind(last) != "Output":
        findings.append(
            Finding(
                last,
                "runs last, and its value is taken for the output",
                "different",
                "no two branches side by side that both hold a layer",
            )
        )
    return findings


def late_loops(flow: Flow) -> list[Finding]:
    """Loops whose fed-back value is not that of the last neuron alone."""
    findings = []
    feedback = {c.feedback for c in find_subtractions(flow).values()}
    for edge in sorted(flow.back_edges):
        if edge[0] in feedback:
            continue
        tail = loop_tail(flow, edge)
        if tail is None:
            findings.append(
                Finding(
                    edge[1],
                    f"what '{edge[0]}' feeds back comes one step late as a whole",
                    "different",
                    "nothing else may feed the loop's way back, or be fed by it",
                )
            )
            continue
        bias = fed_back(flow, tail)
        if bias is not None and bias.any():
            findings.append(
                Finding(
                    edge[1],
                    f"the bias that '{edge[0]}' feeds back does not act at step 0",
                    "different",
                    "no bias in the way back",
                )
            )
    return findings


def split_outputs(flow: Flow) -> list[Finding]:
    """An Output that adds up several nodes, for readers that give them back one by one."""
    return [
        Finding(
            name,
            f"what {', '.join(repr(source) for source in flow.sources(name))} give is not added up",
            "different",
            "a Scale of ones in front of the Output",
        )
        for name in flow.flat.outputs
        if len(flow.sources(name)) > 1
    ]


def two_node_loops(flow: Flow) -> list[Finding]:
    """Loops of one neuron layer and one dense layer."""
    return [
        Finding(
            b,
            f"its loop with '{a}' alone is rewritten and does not run",
            "fails",
            "a neutral dense layer in the loop",
        )
        for a, b in flow.edges
        if (b, a) in flow.edges
        and flow.kind(a) in DENSE
        and flow.kind(b) in ("LIF", "CubaLIF")
        and len(flow.sources(a)) == len(flow.targets(a)) == 1
    ]


def loops(flow: Flow) -> list[Finding]:
    """Every loop, for readers that run none."""
    return [
        Finding(b, f"the loop from '{a}' is not run", "different", "no recurrent layers")
        for a, b in sorted(flow.back_edges)
        if not any(a == c.feedback for c in find_subtractions(flow).values())
    ]


def mixed_values(flow: Flow, kind: str, *names: str) -> list[tuple[str, str]]:
    """(node, field) of nodes of a kind with more than one value in a field."""
    return [
        (name, field)
        for name in flow.named(kind)
        for field in names
        if np.unique(getattr(flow.nodes[name], field)).size > 1
    ]


def _read_out_scales(flow: Flow, composite: Subtraction) -> list[str]:
    """What takes the threshold off the membrane that is read, in the step of the spike."""
    return [
        name
        for name in flow.targets(composite.spikes)
        if flow.kind(name) == "Scale" and flow.targets(name) == flow.flat.outputs
    ]


def _way_out(kind: str, taken: Collection[str]) -> str:
    if kind == "AvgPool2d" and "SumPool2d" in taken:
        return "a SumPool2d, with the factor in the weights behind"
    if kind == "Linear" and "Affine" in taken:
        return "an Affine with a bias of 0"
    return _WAYS_OUT.get(kind, "")


def _fits_without(flow: Flow, taken: Collection[str]) -> bool:
    """Whether shapes still fit when nodes of other kinds are left out."""
    for name in [n for n in flow.nodes if flow.kind(n) not in ("Input", "Output", *taken)]:
        if len(flow.sources(name)) != 1:
            return False
        flow = flow.without(name)
    return not infer_shapes(flow.flat).findings
