"""The scans over time, each behind one function, by backends that give the same spikes.

`reference` is the definition (`mpo_snn.lif`, `mpo_snn.synapse`); `in_place` is plain torch, several
times faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mpo_snn.errors import RecipeError

if TYPE_CHECKING:
    from torch import Tensor

    from mpo_snn.lif import InputGain, LIFParameters

BACKENDS = ("in_place", "reference")
DEFAULT_BACKEND = "in_place"


def lif_scan(
    current: Tensor, p: LIFParameters, backend: str | None = None
) -> tuple[Tensor, Tensor]:
    """Run a layer over all timesteps: spikes and membrane before reset, (time, batch, *features).

    Args:
        current: input in volt, (time, batch, *features); a time stride of 0 marks a constant.
        p: parameters of the layer.
        backend: one of `BACKENDS`; None takes the fastest that the device has.

    Raises:
        RecipeError: if the backend is unknown.
    """
    return _backend(backend or DEFAULT_BACKEND)(current, p)


def synapse_scan(
    x: Tensor, alpha: Tensor, input_gain: InputGain, backend: str | None = None
) -> Tensor:
    """Synaptic currents of all timesteps in volt, (time, batch, *features) (`mpo_snn.synapse`).

    Args:
        x: input in volt, (time, batch, *features); a time stride of 0 marks a constant.
        alpha: leak of the synapse per step, broadcast against one step of x.
        input_gain: `decay` or `unit`.
        backend: one of `BACKENDS`; None takes the fastest that the device has.
    """
    if backend == "reference":
        from mpo_snn.synapse import synapse_scan_reference

        return synapse_scan_reference(x, alpha, input_gain)
    from mpo_snn.kernels.in_place_synapse import synapse_scan_in_place

    return synapse_scan_in_place(x, alpha, input_gain)


def _backend(name: str) -> Callable[[Tensor, LIFParameters], tuple[Tensor, Tensor]]:
    if name == "in_place":
        from mpo_snn.kernels.in_place import lif_scan_in_place

        return lif_scan_in_place
    if name == "reference":
        from mpo_snn.lif import lif_scan_reference

        return lif_scan_reference
    raise RecipeError(f"unknown LIF backend '{name}': choose one of {', '.join(BACKENDS)}.")
