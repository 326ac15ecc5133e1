r"""SpikingJelly 2.0.0: `import_from_nir(path, dt=..., step_mode="s")`.

It refuses what it cannot run exactly: tau, r, threshold, v_reset and v_leak must each be one value
per layer; r is 1 or tau / dt (LIF), 1 / dt (IF), tau_mem / dt with w_in = tau_syn / dt (CubaLIF);
tau > dt; v_leak = v_reset, 0 in a CubaLIF. It fires at :math:`v \ge \theta`, and v starts at
v_reset.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mpo_snn.export.foldings.above_threshold import lower_thresholds, raise_thresholds
from mpo_snn.export.foldings.edge_order import sort_edges
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.foldings.gain import set_gain
from mpo_snn.export.foldings.loops import move_loop_bias
from mpo_snn.export.foldings.one_tau import join_split_layers, split_by_tau
from mpo_snn.export.foldings.one_threshold import fold_threshold
from mpo_snn.export.foldings.pools import write_padded_pools_as_convolutions
from mpo_snn.export.foldings.resting import fold_resting_potential
from mpo_snn.export.foldings.scales import fold_scales

from . import wiring
from .finding import Finding
from .reader import STEP_BY_STEP, Reader

KINDS = (
    "Affine",
    "Linear",
    "Conv1d",
    "Conv2d",
    "AvgPool2d",
    "SumPool2d",
    "Flatten",
    "IF",
    "LIF",
    "CubaLIF",
)
_FIELDS = {
    "IF": ("r", "v_threshold", "v_reset"),
    "LIF": ("tau", "r", "v_threshold", "v_reset", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "w_in", "v_threshold", "v_reset", "v_leak"),
}
_HELP = {
    "tau": "one leak per layer (neuron.granularity layer)",
    "tau_mem": "one leak per layer (neuron.granularity layer)",
    "tau_syn": "one leak per layer (neuron.granularity layer)",
    "v_threshold": "one threshold per layer (neuron.granularity layer)",
}


def _structure(flow: Flow) -> list[Finding]:
    findings = [
        *wiring.unknown_kinds(flow, KINDS, "fails"),
        *wiring.padded_pools(flow, "SumPool2d"),
        *wiring.late_loops(flow),
    ]
    for kind, fields in _FIELDS.items():
        mixed = wiring.mixed_values(flow, kind, *fields)
        findings += [
            Finding(name, f"its neurons differ in {field}", "fails", _HELP.get(field, ""))
            for name, field in mixed
        ]
        for name in set(flow.named(kind)) - {name for name, _ in mixed}:
            findings += _values(name, kind, flow.nodes[name], flow.dt)
    return findings


def _values(name: str, kind: str, node: Any, dt: float) -> list[Finding]:
    value = {field: float(np.ravel(getattr(node, field))[0]) for field in _FIELDS[kind]}
    findings = []
    if kind == "IF" and not _is(value["r"], 1.0 / dt):
        findings.append(Finding(name, f"r is not 1 / dt, {1 / dt:g}", "fails"))
    if kind == "LIF":
        if not value["tau"] / dt > 1.0:
            findings.append(Finding(name, "tau is not above dt", "fails", "a leak beta above 0"))
        if not _is(value["r"], 1.0) and not _is(value["r"], value["tau"] / dt):
            findings.append(Finding(name, "r is neither 1 nor tau / dt", "fails"))
        if not _is(value["v_leak"], value["v_reset"]):
            findings.append(Finding(name, "v_leak is not v_reset", "fails"))
    if kind == "CubaLIF":
        if not _is(value["r"], value["tau_mem"] / dt):
            findings.append(Finding(name, "r is not tau_mem / dt", "fails"))
        if not _is(value["w_in"], value["tau_syn"] / dt):
            findings.append(Finding(name, "w_in is not tau_syn / dt", "fails"))
        if not _is(value["v_leak"], 0.0):
            findings.append(Finding(name, "v_leak is not 0", "fails"))
    if value["v_reset"] != 0.0:
        findings.append(Finding(name, "starts at v_reset, not at 0", "different", "reset to 0"))
    return findings


def _is(value: float, expected: float) -> bool:
    return bool(np.isclose(value, expected, rtol=1e-6, atol=1e-12))


def _as_read(flow: Flow) -> Flow:
    return join_split_layers(lower_thresholds(flow))


SPIKINGJELLY = Reader(
    name="spikingjelly",
    title="SpikingJelly 2.0.0",
    nir_version="1.0.8",
    dt=None,
    folds=(
        fold_scales,
        write_padded_pools_as_convolutions,
        lambda flow: set_gain(flow, "step"),
        fold_resting_potential,
        fold_threshold,
        move_loop_bias,
    ),
    dialect=(raise_thresholds, split_by_tau, sort_edges),
    structure=_structure,
    as_read=_as_read,
    load="import torch\nfrom spikingjelly.activation_based.nir_exchange import import_from_nir\n"
    'network = import_from_nir({path}, dt={dt!r}, step_mode="s")',
    run=STEP_BY_STEP,
)
