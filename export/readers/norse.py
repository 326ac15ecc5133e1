r"""norse 1.1.0: `norse.torch.from_nir(graph, dt=...)`, whose default dt is 1e-3.

A LIF is :math:`v \mathrel{+}= \frac{dt}{\tau}(x + v_\text{leak} - v)`, from v_leak, reset to 0:
r and v_reset are ignored. An IF adds its input and ignores r. A CubaLIF is as NIR has it but for
v_leak, which acts on its synapse too. Nodes run in depth-first order over the edges as listed; one
node of an unknown kind is dropped without a word, two are an error.
"""

from __future__ import annotations

import numpy as np

from mpo_snn.export.foldings.dense_as_convolution import write_dense_as_convolution
from mpo_snn.export.foldings.flow import Flow, with_fields
from mpo_snn.export.foldings.gain import read_if_as_adding, set_gain
from mpo_snn.export.foldings.loops import move_loop_bias
from mpo_snn.export.foldings.one_way import drop_zero_layers, put_branches_in_order
from mpo_snn.export.foldings.pools import (
    write_average_as_sum,
    write_padded_pools_as_convolutions,
)
from mpo_snn.export.foldings.resting import fold_resting_potential
from mpo_snn.export.foldings.scales import fold_scales
from mpo_snn.export.foldings.subtraction import reset_to_zero

from . import wiring
from .finding import Finding
from .reader import STEP_BY_STEP, Reader

KINDS = ("Affine", "Linear", "Conv2d", "SumPool2d", "Flatten", "IF", "LIF", "CubaLIF")


def _structure(flow: Flow) -> list[Finding]:
    unknown = [n for n in flow.nodes if flow.kind(n) not in ("Input", "Output", *KINDS)]
    findings = [
        *wiring.unknown_kinds(flow, KINDS, "fails" if len(unknown) > 1 else "different"),
        *wiring.flattened_batches(flow),
        *wiring.padded_pools(flow, "SumPool2d"),
        *wiring.wrong_order(flow),
        *wiring.late_loops(flow),
    ]
    for name in flow.named("LIF", "CubaLIF"):
        if np.any(flow.nodes[name].v_leak):
            what = "starts at v_leak, not at 0"
            if flow.kind(name) == "CubaLIF":
                what = "v_leak acts on its synapse too"
            findings.append(Finding(name, what, "different", "v_leak as a bias in front"))
    return findings


def _as_read(flow: Flow) -> Flow:
    flow = drop_zero_layers(reset_to_zero(flow))
    for name in flow.named("LIF"):
        node = flow.nodes[name]
        flow = flow.with_node(name, with_fields(node, r=np.ones_like(node.r)))
    flow = read_if_as_adding(flow)
    return flow


NORSE = Reader(
    name="norse",
    title="norse 1.1.0",
    nir_version="1.0.8",
    dt=None,
    folds=(
        write_padded_pools_as_convolutions,
        write_average_as_sum,
        fold_scales,
        write_dense_as_convolution,
        lambda flow: set_gain(flow, "one"),
        fold_resting_potential,
        move_loop_bias,
        put_branches_in_order,
    ),
    dialect=(),
    structure=_structure,
    as_read=_as_read,
    load="import nir\nimport norse.torch\nimport torch\n"
    "network = norse.torch.from_nir(nir.read({path}), dt={dt!r})  # its own default is 1e-3",
    run=STEP_BY_STEP,
    help="r = 1 with the threshold divided by the old r, reset to 0",
)
