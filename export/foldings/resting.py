r"""The resting potential as a bias, for readers that have none.

:math:`v \mathrel{+}= \frac{dt}{\tau}(v_\text{leak} - v + r x)` is the same with v_leak = 0 and
:math:`x + v_\text{leak} / r`. In a CubaLIF the bias would have to pass the synapse, which takes
time to fill: it stays as it is.
"""

from __future__ import annotations

import numpy as np

from .flow import Flow, with_fields
from .weights import bias_input


def fold_resting_potential(flow: Flow) -> Flow:
    """The flow without v_leak in its LIF neurons, wherever weights can take it as a bias."""
    for name in flow.named("LIF"):
        node = flow.nodes[name]
        if not bool(np.any(node.v_leak)) or bool((node.r == 0).any()):
            continue
        late = [a for a, b in flow.back_edges if b == name]
        biased = bias_input(flow, name, node.v_leak / node.r, behind=late)
        if biased is not None:
            rested = with_fields(node, v_leak=np.zeros_like(node.v_leak))
            flow = biased.with_node(name, rested).noting(
                f"v_leak of '{name}' into the bias in front"
            )
    return flow
