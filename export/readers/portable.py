"""One file for three readers: exact in snnTorch, norse and SpikingJelly at once.

r = 1 with threshold / r, one tau and one threshold per layer, v_leak and v_reset 0, IF as a LIF
without leak, sum pools, no Scale, no Flatten, feedback without bias and with a neutral node, edges
with the longest way first; dt = 1e-4. Only a membrane exactly at its threshold differs, in
SpikingJelly, which fires there.
"""

from __future__ import annotations

from dataclasses import replace

from mpo_snn.export.foldings.dense_as_convolution import write_dense_as_convolution
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.foldings.gain import set_gain
from mpo_snn.export.foldings.loops import add_neutral_nodes, move_loop_bias
from mpo_snn.export.foldings.no_leak import write_if_as_lif
from mpo_snn.export.foldings.one_threshold import fold_threshold
from mpo_snn.export.foldings.one_way import drop_zero_layers, put_branches_in_order
from mpo_snn.export.foldings.pools import (
    write_average_as_sum,
    write_padded_pools_as_convolutions,
)
from mpo_snn.export.foldings.resting import fold_resting_potential
from mpo_snn.export.foldings.scales import fold_scales

from .finding import Finding
from .norse import NORSE
from .reader import Reader
from .snntorch import DT, SNNTORCH
from .spikingjelly import SPIKINGJELLY

MEMBERS = (SNNTORCH, NORSE, SPIKINGJELLY)


def _structure(flow: Flow) -> list[Finding]:
    readers: dict[Finding, list[str]] = {}
    for reader in MEMBERS:
        for finding in reader.findings(flow):
            readers.setdefault(finding, []).append(reader.title.split()[0])
    # What one reader refuses about a layer is why another runs that layer otherwise.
    failing = {f.node for f in readers if f.severity == "fails"}
    return [
        replace(f, what=f"{f.what} ({', '.join(names)})")
        for f, names in readers.items()
        if f.severity == "fails" or f.node not in failing
    ]


PORTABLE = Reader(
    name="portable",
    title="snnTorch, norse, SpikingJelly",
    nir_version="1.0.8",
    dt=DT,
    folds=(
        write_padded_pools_as_convolutions,
        write_average_as_sum,
        fold_scales,
        write_dense_as_convolution,
        write_if_as_lif,
        lambda flow: set_gain(flow, "one"),
        fold_resting_potential,
        fold_threshold,
        move_loop_bias,
        add_neutral_nodes,
        put_branches_in_order,
    ),
    dialect=(),
    structure=_structure,
    as_read=drop_zero_layers,
    load="",
    run="",
    members=MEMBERS,
)
