"""The kinds of NIR nodes that can be read, checked and simulated, and what sets them apart.

A kind is the name of the node's class in `nir`, which is also what a NIR file stores.
"""

from __future__ import annotations

from typing import Any, Final

NEURON_ARRAYS: Final[dict[str, tuple[str, ...]]] = {
    "I": ("r",),
    "LI": ("tau", "r", "v_leak"),
    "IF": ("r", "v_threshold", "v_reset"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
}
"""The parameters of each neuron kind, one value a neuron."""

ELEMENTWISE_ARRAYS: Final[dict[str, tuple[str, ...]]] = {
    "Scale": ("scale",),
    "Threshold": ("threshold",),
    "Delay": ("delay",),
    **NEURON_ARRAYS,
}
"""The parameters of every kind that treats each element of its input by itself."""

ARRAYS: Final[dict[str, tuple[str, ...]]] = {
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Conv1d": ("weight", "bias"),
    "Conv2d": ("weight", "bias"),
    **ELEMENTWISE_ARRAYS,
}
"""The real-valued parameters of every kind that has some."""

TIME_CONSTANTS: Final[dict[str, tuple[str, ...]]] = {
    "LI": ("tau",),
    "LIF": ("tau",),
    "CubaLI": ("tau_syn", "tau_mem"),
    "CubaLIF": ("tau_syn", "tau_mem"),
}
"""The parameters that are time constants in seconds."""

STATEFUL: Final = frozenset({*NEURON_ARRAYS, "Delay"})
"""The kinds that remember something from one timestep to the next."""

SPIKING: Final = frozenset({"IF", "LIF", "CubaLIF", "Threshold"})
"""The kinds whose output is 0 or 1."""

SUPPORTED: Final = (
    "Input",
    "Output",
    "Affine",
    "Linear",
    "Conv1d",
    "Conv2d",
    "AvgPool2d",
    "SumPool2d",
    "Flatten",
    "Scale",
    "Threshold",
    "Delay",
    "I",
    "LI",
    "IF",
    "LIF",
    "CubaLI",
    "CubaLIF",
    "NIRGraph",
)
"""Every kind that is understood, in the order in which messages list them."""


def kind_of(node: Any) -> str:
    """Return the kind of a node: the name of its class."""
    return type(node).__name__


def is_stateful(node: Any) -> bool:
    """Tell whether the node remembers something from one timestep to the next."""
    return kind_of(node) in STATEFUL


def is_spiking(node: Any) -> bool:
    """Tell whether the node's output is 0 or 1."""
    return kind_of(node) in SPIKING
