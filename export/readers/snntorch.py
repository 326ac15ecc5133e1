r"""snnTorch 1.0.0: `snntorch.import_nir.import_from_nir`.

A LIF becomes a Leaky with :math:`\beta = 1 - dt/\tau`, dt = 1e-4, gain 1 and reset to zero, with
its threshold divided by the first distinct value of :math:`r\,dt/\tau` in the layer. v_reset is
ignored. One threshold per layer. A CubaLIF needs r = tau_mem / dt; w_in goes into its threshold.

A reset by subtraction is no LIF of NIR; it is had by setting it on each imported Leaky.
"""

from __future__ import annotations

import numpy as np

from mpo_snn.export.foldings.dense_as_convolution import write_dense_as_convolution
from mpo_snn.export.foldings.edge_order import sort_edges
from mpo_snn.export.foldings.flow import Flow, Timing, with_fields
from mpo_snn.export.foldings.gain import set_gain
from mpo_snn.export.foldings.loops import add_neutral_nodes, move_loop_bias
from mpo_snn.export.foldings.no_leak import write_if_as_lif
from mpo_snn.export.foldings.one_threshold import fold_threshold
from mpo_snn.export.foldings.pools import write_padded_pools_as_convolutions
from mpo_snn.export.foldings.resting import fold_resting_potential
from mpo_snn.export.foldings.scales import fold_scales
from mpo_snn.export.foldings.subtraction import (
    read_lif_as_subtraction,
    reset_to_zero,
    write_subtraction_as_lif,
)

from . import wiring
from .finding import Finding
from .reader import STEP_BY_STEP, Reader

DT = 1e-4
KINDS = (
    "Affine",
    "Linear",
    "Conv1d",
    "Conv2d",
    "AvgPool2d",
    "SumPool2d",
    "Flatten",
    "LIF",
    "CubaLIF",
)
_AFTER: dict[Timing | None, str] = {
    None: "",
    "next": """\
from snntorch import Leaky
for neuron in network.modules():
    if isinstance(neuron, Leaky):
        neuron.reset_mechanism, neuron.reset_delay = "subtract", True
        neuron.state_function = neuron._base_sub""",
    "step": """\
import torch
from snntorch import Leaky
for neuron in network.modules():
    if isinstance(neuron, Leaky):
        neuron.reset_mechanism, neuron.reset_delay = "subtract", False
        neuron.state_function, neuron.mem_reset = neuron._base_int, torch.zeros_like""",
}


_RESET = """\
from snntorch import SpikingNeuron
for neuron in network.modules():
    if isinstance(neuron, SpikingNeuron):
        neuron.reset_mem()  # states stay between calls: None is no reset

"""


def _structure(flow: Flow) -> list[Finding]:
    findings = [
        *wiring.unknown_kinds(flow, (*KINDS, "IF"), "fails"),
        *wiring.flattened_batches(flow),
        *wiring.padded_pools(flow, "SumPool2d"),
        *wiring.late_loops(flow),
        *wiring.two_node_loops(flow),
        *(
            Finding(
                name,
                "IF becomes a leaky neuron whose output breaks the next layer",
                "fails",
                "write it as a LIF with tau = dt 2^60",
            )
            for name in flow.named("IF")
        ),
    ]
    for name in flow.named("LIF", "CubaLIF"):
        node = flow.nodes[name]
        threshold = node.v_threshold
        if flow.kind(name) == "CubaLIF":
            threshold = threshold / (node.w_in * DT / node.tau_syn)
            if not np.allclose(node.r, node.tau_mem / DT):
                findings.append(Finding(name, "r is not tau_mem / 1e-4", "fails"))
        if np.unique(np.float32(threshold)).size > 1:
            findings.append(
                Finding(
                    name,
                    "its neurons have different thresholds",
                    "fails",
                    "one threshold per layer (neuron.granularity layer)",
                )
            )
        if not np.allclose(node.v_leak, 0.0):
            findings.append(Finding(name, "v_leak is not 0", "fails", "v_leak as a bias in front"))
    return findings


def _as_read(flow: Flow) -> Flow:
    timing = flow.stands_for
    flow = reset_to_zero(flow)
    for name in flow.named("LIF"):
        node = flow.nodes[name]
        gain = node.r * DT / node.tau
        scale = 1.0 if np.allclose(gain, 1.0) else np.unique(gain)[0]
        steps = node.tau / DT
        flow = flow.with_node(
            name,
            with_fields(node, tau=steps * flow.dt, r=steps, v_threshold=node.v_threshold / scale),
        )
    for name in flow.named("CubaLIF"):
        node = flow.nodes[name]
        times = {key: getattr(node, key) * (flow.dt / DT) for key in ("tau_syn", "tau_mem")}
        flow = flow.with_node(name, with_fields(node, **times))
    if timing is None:
        return flow
    return read_lif_as_subtraction(flow, timing)


SNNTORCH = Reader(
    name="snntorch",
    title="snnTorch 1.0.0",
    nir_version="1.0.8",
    dt=DT,
    folds=(
        lambda flow: write_subtraction_as_lif(flow, "next", "step"),
        fold_scales,
        write_padded_pools_as_convolutions,
        write_dense_as_convolution,
        write_if_as_lif,
        lambda flow: set_gain(flow, "step"),
        fold_resting_potential,
        fold_threshold,
        move_loop_bias,
        add_neutral_nodes,
        sort_edges,
    ),
    dialect=(),
    structure=_structure,
    as_read=_as_read,
    load="import nir\nimport torch\nfrom snntorch.import_nir import import_from_nir\n"
    "network = import_from_nir(nir.read({path}))",
    run=_RESET + STEP_BY_STEP,
    after=_AFTER.__getitem__,
    help="reset to 0, r = tau / dt, dt = 1e-4",
)
