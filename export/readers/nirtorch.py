"""nirtorch 2.6 with a map of one's own from every node kind to torch.

Its default map leaves the bias of an Affine random, flattens the batch axis, drops the padding of
sum pools and has no neurons: give it `nirtorch_map.py` or the like. What a loop
feeds back comes one step late as a whole, so a bias behind the loop's neuron must move. What
enters the Output from several nodes it gives back one by one, not added up.
"""

from __future__ import annotations

from mpo_snn.export.foldings.edge_order import sort_edges
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.foldings.loops import move_loop_bias
from mpo_snn.export.foldings.one_output import join_output
from mpo_snn.graph.kinds import SUPPORTED

from . import wiring
from .finding import Finding
from .reader import STEP_BY_STEP, Reader


def _structure(flow: Flow) -> list[Finding]:
    return [
        *wiring.unknown_kinds(flow, SUPPORTED, "fails"),
        *wiring.late_loops(flow),
        *wiring.split_outputs(flow),
    ]


NIRTORCH = Reader(
    name="nirtorch",
    title="nirtorch 2.6",
    nir_version="1.0.8",
    dt=None,
    folds=(move_loop_bias, join_output, sort_edges),
    dialect=(),
    structure=_structure,
    as_read=lambda flow: flow,
    load="import sys\nimport nirtorch\nimport torch\n"
    "sys.path.append({folder})  # nirtorch_map.py was written beside the file\n"
    "from nirtorch_map import full_map\n"
    "network = nirtorch.nir_to_torch({path}, full_map(dt={dt!r}))",
    run=STEP_BY_STEP,
    beside=("nirtorch_map.py",),
)
