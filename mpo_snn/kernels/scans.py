"""The scans over time, each behind one function that chooses the backend."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from mpo_snn.errors import RecipeError
from mpo_snn.kernels import BACKENDS, COMPILED, default_backend, is_installed
from mpo_snn.kernels.in_place import lif_scan_in_place
from mpo_snn.kernels.in_place_synapse import synapse_scan_in_place
from mpo_snn.kernels.sampled import Found, how_of, how_sampled, sample_of
from mpo_snn.lif import InputGain, LIFParameters, lif_scan_reference
from mpo_snn.membrane import Sample, observe
from mpo_snn.membrane_record import MembraneRecord
from mpo_snn.synapse import synapse_scan_reference


def lif_scan(
    current: Tensor, p: LIFParameters, backend: str | None = None
) -> tuple[Tensor, Tensor]:
    """Run a layer over all timesteps: spikes and membrane before reset, (time, batch, *features).

    Args:
        current: input in volt, (time, batch, *features); a time stride of 0 marks a constant.
        p: parameters of the layer.
        backend: one of `BACKENDS`; None takes the fastest that the device has for the layer.

    Returns:
        spikes and membrane; the membrane in the precision of the parameters or a higher one, the
        spikes likewise, or (`numba`, `triton`) in that of the current.

    Raises:
        RecipeError: if the backend is unknown, or cannot run the layer.
    """
    backend = _choose(current, p, backend)
    if backend in COMPILED:
        found: Found = _compiled(backend).scan(current, p, how_of(p, True))
        assert found.v is not None, "a membrane that was wanted is there"
        return found.spk, found.v
    current = current.to(torch.promote_types(current.dtype, p.beta.dtype))
    if backend == "in_place":
        return lif_scan_in_place(current, p)
    return lif_scan_reference(current, p)


def lif_spikes(current: Tensor, p: LIFParameters, backend: str | None = None) -> Tensor:
    """The spikes of `lif_scan` alone: compiled backends do not even write the membrane then."""
    chosen = _choose(current, p, backend)
    if chosen in COMPILED:
        found: Found = _compiled(chosen).scan(current, p, how_of(p, False))
        return found.spk
    return lif_scan(current, p, backend)[0]


def lif_scan_sampled(
    current: Tensor,
    p: LIFParameters,
    record: MembraneRecord,
    want_membrane: bool = True,
    backend: str | None = None,
) -> tuple[Tensor, Tensor | None, Sample]:
    """`lif_scan` with the sample that a record takes of it.

    Args:
        current: as in `lif_scan`.
        p: as in `lif_scan`.
        record: says which statistics; it is not changed.
        want_membrane: whether the membrane must be there; without, it may be None.
        backend: as in `lif_scan`.
    """
    chosen = _choose(current, p, backend)
    if chosen in COMPILED:
        how = how_sampled(current, p, record, want_membrane)
        found: Found = _compiled(chosen).scan(current, p, how)
        return found.spk, found.v if want_membrane else None, sample_of(found, current, how)
    spk, v = lif_scan(current, p, backend)
    return spk, v, record.sample(*observe(v, spk, p, record.statistic, record.power))


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
        return synapse_scan_reference(x, alpha, input_gain)
    return synapse_scan_in_place(x, alpha, input_gain)


def _choose(current: Tensor, p: LIFParameters, backend: str | None) -> str:
    """The backend that runs a layer."""
    wanted = backend or default_backend(current.device.type)
    if wanted not in BACKENDS:
        raise RecipeError(f"unknown LIF backend '{wanted}': choose one of {', '.join(BACKENDS)}.")
    if not p.fires_once:
        if backend in (None, "reference"):
            return "reference"
        raise RecipeError(
            f"cannot run a layer on the backend {backend}: its neurons fire several times in a step"
            " or have a lowest membrane. Use reference, or leave the backend out."
        )
    if wanted not in COMPILED:
        return wanted
    reason = _why_not(wanted, current, p)
    if reason is None:
        return wanted
    if backend is None:
        return "in_place"
    raise RecipeError(f"cannot run a layer on the backend {wanted}: {reason}. Use in_place.")


def _compiled(backend: str) -> Any:
    """The module of a compiled backend."""
    if backend == "numba":
        from mpo_snn.kernels import numba_lif

        return numba_lif
    from mpo_snn.kernels import triton_lif

    return triton_lif


def _why_not(backend: str, current: Tensor, p: LIFParameters) -> str | None:
    """Why a compiled backend cannot run a layer, or None."""
    device = current.device.type
    if backend == "numba":
        if not is_installed("numba"):
            return "the package numba is not installed (pip install 'mpo-snn[fast]')"
        if device != "cpu":
            return f"it is for CPUs, the input is on {device}"
    else:
        if not is_installed("triton"):
            return "the package triton is not installed"
        if device != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
            return f"it needs a CUDA device, the input is on {device}"
    reason: str | None = _compiled(backend).why_not(current, p)
    return reason
