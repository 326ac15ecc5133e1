"""The scan of `mpo_snn.lif` on a CPU, compiled: what it can run, and its place in autograd.

What it computes is in `numba_scan`, the loops in `numba_forward` and `numba_backward`; for
`torch.compile` the same is a registered operator, `lif_op`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpo_snn.kernels.numba_layout import layout_of
from mpo_snn.kernels.numba_scan import KINDS, Prepared, prepare, run_backward, run_forward
from mpo_snn.kernels.sampled import (
    Found,
    Given,
    How,
    how_of,
    how_sampled,
    sample_of,
    without_gradient,
)
from mpo_snn.lif import LIFParameters
from mpo_snn.membrane import Sample
from mpo_snn.membrane_record import MembraneRecord


def why_not(current: Tensor, p: LIFParameters) -> str | None:
    """Why these kernels cannot run a layer, or None."""
    if callable(p.surrogate):
        return "its surrogate is a function (spike_grad)"
    if current.dtype not in KINDS:
        return f"its input is {str(current.dtype).removeprefix('torch.')}"
    if any(x.dtype != torch.float32 for x in (p.beta, p.threshold, p.slope, p.scale)):
        return "its parameters are not float32"
    if current.numel() == 0:
        return "its input is empty"
    if layout_of(current) is None:
        return "its input is not dense in memory"
    return None


def lif_scan_numba(current: Tensor, p: LIFParameters) -> tuple[Tensor, Tensor]:
    """Spikes and membrane of all timesteps; see `lif_scan_reference`."""
    spk, v, *_ = _scan(current, p, how_of(p, True))
    assert v is not None, "a membrane that was wanted is there"
    return spk, v


def lif_spikes_numba(current: Tensor, p: LIFParameters) -> Tensor:
    """The spikes alone."""
    return _scan(current, p, how_of(p, False)).spk


def lif_scan_numba_sampled(
    current: Tensor, p: LIFParameters, record: MembraneRecord, want_membrane: bool
) -> tuple[Tensor, Tensor | None, Sample]:
    """Spikes, membrane if it is wanted, and the sample that a record takes of them."""
    how = how_sampled(current, p, record, want_membrane)
    found = _scan(current, p, how)
    return found.spk, found.v if want_membrane else None, sample_of(found, current, how)


def _scan(current: Tensor, p: LIFParameters, how: How) -> Found:
    arguments = (current, p.beta, p.threshold, p.slope, p.scale)
    if torch.compiler.is_compiling():
        from mpo_snn.kernels.lif_op import lif_scan

        return Found(*lif_scan(*arguments, *how))
    return Found(*_Scan.apply(*arguments, how))  # type: ignore[no-untyped-call]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        beta: Tensor,
        threshold: Tensor,
        slope: Tensor,
        scale: Tensor,
        how: How,
    ) -> Found:
        ctx.set_materialize_grads(False)
        p = prepare(beta, threshold, slope, scale, how)
        found = run_forward(current, p, how)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(current, found.mean, *p)
            ctx.how = how
            ctx.mark_non_differentiable(*without_gradient(found))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        current, mean, *p = ctx.saved_tensors
        given = Given(*grads[:4])
        needs = ctx.needs_input_grad[:3]
        found = run_backward(current, Prepared(*p), mean, given, needs, ctx.how)
        return *found, None, None, None
