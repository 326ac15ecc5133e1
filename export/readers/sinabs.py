r"""sinabs 3.1.3 (nir 1.0.4): `sinabs.nir.from_nir(graph, batch_size=B)`, input (B * T, ...).

A LIF is :math:`v \leftarrow e^{-1/\tau} v + x` with tau in steps, r ignored; an IF adds its input.
Both fire as often as thresholds fit into v and subtract as many; an IF stops at -threshold. With
single spikes and, for a reset to zero, the membrane's reset set after loading it fires at
:math:`v \ge \theta` once. Linear, Scale, Delay, CubaLIF and AvgPool2d are dropped without a word;
a LIF on more than one axis does not load; loops run wrong.
"""

from __future__ import annotations

import numpy as np

from mpo_snn.export.foldings.above_threshold import lower_thresholds, raise_thresholds
from mpo_snn.export.foldings.affine import write_linear_as_affine
from mpo_snn.export.foldings.edge_order import sort_edges
from mpo_snn.export.foldings.exponential import read_tau_in_steps, write_tau_in_steps
from mpo_snn.export.foldings.flow import Flow, Timing
from mpo_snn.export.foldings.gain import read_if_as_adding, set_gain
from mpo_snn.export.foldings.pools import (
    write_average_as_sum,
    write_padded_pools_as_convolutions,
)
from mpo_snn.export.foldings.resting import fold_resting_potential
from mpo_snn.export.foldings.scales import fold_scales
from mpo_snn.export.foldings.subtraction import (
    read_lif_as_subtraction,
    reset_to_zero,
    write_subtraction_as_lif,
)

from . import wiring
from .finding import Finding
from .reader import Reader

KINDS = ("Affine", "Conv2d", "SumPool2d", "Flatten", "IF", "LIF")
_SINGLE = """\
import sinabs.activation, sinabs.layers
for layer in network.modules():
    if isinstance(layer, sinabs.layers.StatefulLayer):
        layer.spike_fn = sinabs.activation.SingleSpike
        layer.min_v_mem = None"""
_RESET = "        layer.reset_fn = sinabs.activation.MembraneReset()"

_RUN = """\
for layer in network.modules():
    if isinstance(layer, sinabs.layers.StatefulLayer):
        layer.reset_states()  # the membranes stay between calls

outputs, state = network(x.transpose(0, 1).flatten(0, 1))  # samples first, in one axis with time
outputs = outputs.unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)"""


def _structure(flow: Flow) -> list[Finding]:
    taken = (*KINDS, "Conv1d")
    unknown = [n for n in flow.nodes if flow.kind(n) not in ("Input", "Output", *taken)]
    findings = [
        *wiring.unknown_kinds(flow, taken, "fails" if len(unknown) > 1 else "different"),
        *wiring.padded_pools(flow, "SumPool2d"),
        *wiring.wrong_order(flow),
        *wiring.loops(flow),
        *(Finding(n, "Conv1d does not load", "fails") for n in flow.named("Conv1d")),
    ]
    for name in flow.named("LIF"):
        node = flow.nodes[name]
        if node.tau.ndim > 1:
            findings.append(
                Finding(
                    name,
                    "a LIF behind a convolution does not load",
                    "fails",
                    "IF neurons (neuron.beta 1) or dense layers",
                )
            )
        elif np.any(node.v_leak):
            findings.append(Finding(name, "v_leak is not 0", "fails", "v_leak as a bias in front"))
    return findings


def _as_read(flow: Flow) -> Flow:
    timing = flow.stands_for
    flow = read_tau_in_steps(lower_thresholds(reset_to_zero(flow)))
    flow = read_if_as_adding(flow)
    if timing is None:
        return flow
    return read_lif_as_subtraction(flow, "step")


def _after(timing: Timing | None) -> str:
    return _SINGLE if timing == "step" else f"{_SINGLE}\n{_RESET}"


SINABS = Reader(
    name="sinabs",
    title="sinabs 3.1.3",
    nir_version="1.0.4",
    dt=1.0,
    folds=(
        lambda flow: write_subtraction_as_lif(flow, "step"),
        write_padded_pools_as_convolutions,
        write_average_as_sum,
        fold_scales,
        lambda flow: set_gain(flow, "step"),
        fold_resting_potential,
        sort_edges,
    ),
    dialect=(raise_thresholds, write_tau_in_steps, write_linear_as_affine),
    structure=_structure,
    as_read=_as_read,
    load="import nir\nimport torch\nfrom sinabs.nir import from_nir\n"
    "network = from_nir(nir.read({path}), batch_size={samples})  # as many as in x",
    run=_RUN,
    after=_after,
    help="a file of its own: tau in steps, -1 / ln(beta)",
)
