r"""rockpool 3.1.0 (nir 1.0.4): `rockpool.nn.modules.torch.nir.from_nir(graph)`, input (B, T, N).

A LIF does not load (a field is missing); IF, convolutions, pools, Flatten, Scale and Delay are not
implemented. A CubaLIF is :math:`i \leftarrow \alpha (i + x)`, :math:`v \leftarrow \beta v + i` with
exponential decays and dt guessed as the smallest tau_mem / (1 + r); it fires at
:math:`v \ge \theta` as often as thresholds fit, once if that is set after loading, and subtracts
as many within the step. Nothing resets to zero.
"""

from __future__ import annotations

import numpy as np

from mpo_snn.export.foldings.above_threshold import lower_thresholds, raise_thresholds
from mpo_snn.export.foldings.edge_order import sort_edges
from mpo_snn.export.foldings.flat_input import drop_input_flatten
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.foldings.gain import set_gain
from mpo_snn.export.foldings.hidden_synapse import (
    read_synaptic,
    write_lif_as_synaptic,
    write_small_gain,
)
from mpo_snn.export.foldings.no_leak import write_if_as_lif
from mpo_snn.export.foldings.resting import fold_resting_potential
from mpo_snn.export.foldings.scales import fold_scales
from mpo_snn.export.foldings.subtraction import (
    read_lif_as_subtraction,
    write_subtraction_as_lif,
)

from . import wiring
from .finding import Finding
from .reader import Reader

KINDS = ("Affine", "Linear", "CubaLIF")
_RESET_HELP = "a file for rockpool, trained with neuron.reset subtract and neuron.reset_timing step"
_AFTER = """\
import torch
for layer in network.modules():
    if hasattr(layer, "max_spikes_per_dt"):
        layer.max_spikes_per_dt = torch.tensor(1.0)"""

_RUN = """\
for layer in network.modules():
    if hasattr(layer, "reset_state"):
        layer.reset_state()  # the membranes stay between calls

outputs, state = network(x.transpose(0, 1))  # samples first
outputs = outputs.transpose(0, 1)"""


def _structure(flow: Flow) -> list[Finding]:
    neurons = flow.named("LIF", "IF")
    findings = [
        *wiring.unknown_kinds(flow, (*KINDS, "LIF", "IF"), "fails", _RESET_HELP),
        *wiring.wrong_order(flow),
        *wiring.loops(flow),
        *(
            Finding(
                n,
                f"{flow.kind(n)} does not load",
                "fails",
                "train with neuron.reset subtract, neuron.reset_timing step and a leak",
            )
            for n in neurons
        ),
    ]
    for name in flow.named("CubaLIF"):
        if np.any(flow.nodes[name].v_leak):
            findings.append(
                Finding(
                    name,
                    "v_leak becomes a current of its own",
                    "different",
                    "v_leak as a bias in front",
                )
            )
    return findings


def _as_read(flow: Flow) -> Flow:
    return read_lif_as_subtraction(read_synaptic(lower_thresholds(flow)), "step")


ROCKPOOL = Reader(
    name="rockpool",
    title="rockpool 3.1.0",
    nir_version="1.0.4",
    dt=None,
    folds=(
        drop_input_flatten,
        lambda flow: write_subtraction_as_lif(flow, "step"),
        fold_scales,
        write_if_as_lif,
        lambda flow: set_gain(flow, "step"),
        fold_resting_potential,
        write_small_gain,
        sort_edges,
    ),
    dialect=(raise_thresholds, write_lif_as_synaptic),
    structure=_structure,
    as_read=_as_read,
    load="import nir\nimport torch\nfrom rockpool.nn.modules.torch.nir import from_nir\n"
    "network = from_nir(nir.read({path}))",
    run=_RUN,
    after=lambda timing: _AFTER,
    help="train with neuron.reset subtract and neuron.reset_timing step",
)
