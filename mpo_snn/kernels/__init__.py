"""The scans over time, each behind one function, by backends that give the same spikes.

`reference` is the definition (`mpo_snn.lif`, `mpo_snn.synapse`); `in_place` is plain torch, several
times faster; `numba` is compiled for CPUs, faster still, and saves the input alone; `triton` is for
GPUs. Neurons that fire several times in a step (`mpo_snn.multi_spike`) have the definition alone.
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from mpo_snn.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from mpo_snn.kernels.sampled import Found, How
    from mpo_snn.lif import InputGain, LIFParameters
    from mpo_snn.membrane import Sample
    from mpo_snn.membrane_record import MembraneRecord

BACKENDS = ("numba", "in_place", "triton", "reference")
COMPILED = ("numba", "triton")


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
        from mpo_snn.kernels.sampled import how_of

        found = _compiled(backend)(current, p, how_of(p, True))
        assert found.v is not None, "a membrane that was wanted is there"
        return found.spk, found.v
    import torch

    current = current.to(torch.promote_types(current.dtype, p.beta.dtype))
    if backend == "in_place":
        from mpo_snn.kernels.in_place import lif_scan_in_place

        return lif_scan_in_place(current, p)
    from mpo_snn.lif import lif_scan_reference

    return lif_scan_reference(current, p)


def lif_spikes(current: Tensor, p: LIFParameters, backend: str | None = None) -> Tensor:
    """The spikes of `lif_scan` alone: compiled backends do not even write the membrane then."""
    chosen = _choose(current, p, backend)
    if chosen in COMPILED:
        from mpo_snn.kernels.sampled import how_of

        return _compiled(chosen)(current, p, how_of(p, False)).spk
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
        from mpo_snn.kernels.sampled import how_sampled, sample_of

        how = how_sampled(current, p, record, want_membrane)
        found = _compiled(chosen)(current, p, how)
        return found.spk, found.v if want_membrane else None, sample_of(found, current, how)
    from mpo_snn.membrane import observe

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
        from mpo_snn.synapse import synapse_scan_reference

        return synapse_scan_reference(x, alpha, input_gain)
    from mpo_snn.kernels.in_place_synapse import synapse_scan_in_place

    return synapse_scan_in_place(x, alpha, input_gain)


def counts_in_one_pass(u: Tensor) -> bool:
    """Whether the device has a kernel for the share of U in a band (`triton_statistics`)."""
    import torch

    if u.device.type != "cuda" or torch.compiler.is_compiling() or not _has_triton():
        return False
    from mpo_snn.kernels.triton_layout import is_dense

    return is_dense(u)


def default_backend(device: str) -> str:
    """The backend that a device's layers run on unless one is asked for."""
    if device == "cuda" and _has_triton():
        return "triton"
    return "numba" if device == "cpu" and _has_numba() else "in_place"


def _compiled(backend: str) -> Callable[[Tensor, LIFParameters, How], Found]:
    """The scan of a compiled backend."""
    if backend == "numba":
        from mpo_snn.kernels.numba_lif import scan as scan_numba

        return scan_numba
    from mpo_snn.kernels.triton_lif import scan as scan_triton

    return scan_triton


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
    if wanted not in _WHY_NOT:
        return wanted
    reason = _WHY_NOT[wanted](current, p)
    if reason is None:
        return wanted
    if backend is None:
        return "in_place"
    raise RecipeError(f"cannot run a layer on the backend {wanted}: {reason}. Use in_place.")


def _why_not_numba(current: Tensor, p: LIFParameters) -> str | None:
    if not _has_numba():
        return "the package numba is not installed (pip install 'mpo-snn[fast]')"
    if current.device.type != "cpu":
        return f"it is for CPUs, the input is on {current.device.type}"
    from mpo_snn.kernels.numba_lif import why_not

    return why_not(current, p)


def _why_not_triton(current: Tensor, p: LIFParameters) -> str | None:
    if not _has_triton():
        return "the package triton is not installed"
    if current.device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return f"it needs a CUDA device, the input is on {current.device.type}"
    from mpo_snn.kernels.triton_lif import why_not

    return why_not(current, p)


def _has_triton() -> bool:
    return _is_installed("triton")


def _has_numba() -> bool:
    return _is_installed("numba")


_installed: dict[str, bool] = {}


def _is_installed(package: str) -> bool:
    """Asked for at every scan; no `functools.cache`, which `torch.compile` warns of."""
    if package not in _installed:
        _installed[package] = importlib.util.find_spec(package) is not None
    return _installed[package]


_WHY_NOT = {"numba": _why_not_numba, "triton": _why_not_triton}
