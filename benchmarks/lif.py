"""The LIF layers that are compared: ours, snnTorch's loop, SpikingJelly's multi-step node.

All have beta 0.5 (so that the other way of writing the leak, v - v / tau, rounds alike), unit
input gain, a detached reset and a sigmoid surrogate of slope 4, so that spikes and gradients can
be held against `mpo_snn.lif.lif_scan_reference`. Where a reset by subtraction takes place differs:
ours and snnTorch's one step later, SpikingJelly's in the step of the spike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from mpo_snn.kernels import BACKENDS
from mpo_snn.leaky import MPOLeaky
from mpo_snn.lif import ResetTiming
from mpo_snn.membrane_record import MembraneRecord
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings

BETA, THRESHOLD, SLOPE = 0.5, 1.0, 4.0
STATISTICS = "statistics"
"""Beside the spikes all that a record of the membrane has of a layer (moments of the layer and of
every neuron, rho, coverage, density), and backward the gradients by spikes, mean and squared
deviations: what the kernels do."""
METHODS = {
    "MPO": MPOSettings(lambda_dist=0.01),
    "whole method": MPOSettings(lambda_dist=0.01, height="stabilised", neuron_gain=True),
}
"""What trains: moments of the layer, L_Dist with its gradient, regularizer and step of MPO; and
that with what else there is: moments, and a gain, of every neuron, and heights."""
ResetKind = Literal["zero", "subtract"]


@dataclass(frozen=True)
class Variant:
    """One way to run a LIF layer over all timesteps.

    Attributes:
        spikes: spikes of a current, both (time, batch, *features).
        train: forward and backward of a current with the gradient of its spikes; the current's
            gradient is in its `grad` afterwards.
        reference: makes the variant that it must equal.
        is_ours: whether it is this project's.
        statistics: whether it takes statistics of the membrane, by itself or for MPO.
        kernel_tensors: how many tensors of the size of the current a training step reads and writes
            in kernels of its own, which are launched past torch's dispatcher.
    """

    spikes: Callable[[Tensor], Tensor]
    train: Callable[[Tensor, Tensor], None]
    reference: Callable[[], Variant]
    is_ours: bool = False
    statistics: bool = False
    kernel_tensors: int = 0


def builders(reset: ResetKind, device: str) -> dict[str, Callable[[], Variant]]:
    """Every variant by its name; building one raises ImportError where the library is missing."""
    found: dict[str, Callable[[], Variant]] = {
        "snntorch loop": lambda: _snntorch_loop(reset, device),
        "spikingjelly multi-step": lambda: _spikingjelly_multi_step(reset, device),
    }
    for backend in BACKENDS:
        found[f"mpo-snn {backend}"] = lambda backend=backend: _ours(reset, device, backend)
        if backend == "reference":
            continue
        found[f"mpo-snn {backend} + {STATISTICS}"] = lambda backend=backend: _with_statistics(
            reset, device, backend
        )
        for name, settings in METHODS.items():
            found[f"mpo-snn {backend} + {name}"] = lambda backend=backend, settings=settings: (
                _with_mpo(reset, device, backend, settings)
            )
    return found


def _ours(
    reset: ResetKind, device: str, backend: str, timing: ResetTiming | None = None
) -> Variant:
    layer = _layer(reset, device, backend, timing)
    return replace(
        _variant(layer.scan_spikes, lambda: _ours(reset, device, "reference", timing)),
        is_ours=True,
        kernel_tensors=_kernel_tensors(backend),
    )


def _with_statistics(reset: ResetKind, device: str, backend: str) -> Variant:
    layer = _layer(reset, device, backend, None)
    layer.record = record = MembraneRecord("mean", gamma=1.0)
    by_m2 = torch.tensor(0.5, device=device)
    by_mean: Tensor | None = None

    def train(x: Tensor, grad: Tensor) -> None:
        nonlocal by_mean
        spk = layer.scan_spikes(x)
        (sample,) = record.take_sequences()
        if by_mean is None:  # as large as the gradient of a spike, for the check of equality
            by_mean = torch.tensor(float(sample.layer.count), device=device)
        found = (spk, sample.layer.mean, sample.layer.m2)
        torch.autograd.backward(found, (grad, by_mean, by_m2))

    return Variant(
        layer.scan_spikes,
        train,
        lambda: _with_statistics(reset, device, "reference"),
        is_ours=True,
        statistics=True,
        kernel_tensors=_kernel_tensors(backend),
    )


def _with_mpo(reset: ResetKind, device: str, backend: str, settings: MPOSettings) -> Variant:
    layer = _layer(reset, device, backend, None)
    mpo = MPO(layer, settings)

    def train(x: Tensor, grad: Tensor) -> None:
        spk = layer.scan_spikes(x)
        torch.autograd.backward((spk, mpo.regularizer()), (grad, None))
        mpo.step()

    return Variant(
        layer.scan_spikes,
        train,
        lambda: _with_mpo(reset, device, "reference", settings),
        is_ours=True,
        statistics=True,
        kernel_tensors=_kernel_tensors(backend),
    )


def _kernel_tensors(backend: str) -> int:
    """Current and spikes forward; current and both gradients backward."""
    return 5 if backend in ("triton", "numba") else 0


def _layer(reset: ResetKind, device: str, backend: str, timing: ResetTiming | None) -> MPOLeaky:
    return MPOLeaky(
        BETA,
        THRESHOLD,
        reset=reset,
        reset_timing=timing or ("next" if reset == "subtract" else "step"),
        input_gain="unit",
        width=1.0 / SLOPE,
        width_form="scale",
        backend=backend,
    ).to(device)


def _snntorch_loop(reset: ResetKind, device: str) -> Variant:
    """`reset_mechanism="zero"` resets one step later here, which gives the same spikes."""
    import snntorch
    from snntorch import surrogate

    layer: Any = snntorch.Leaky(
        BETA, THRESHOLD, spike_grad=surrogate.sigmoid(slope=SLOPE), reset_mechanism=reset
    ).to(device)

    def spikes(x: Tensor) -> Tensor:
        mem, steps = layer.reset_mem(), []
        for step in x:
            spk, mem = layer(step, mem)
            steps.append(spk)
        return torch.stack(steps)

    return _variant(spikes, lambda: _ours(reset, device, "reference"))


def _spikingjelly_multi_step(reset: ResetKind, device: str) -> Variant:
    """The library chooses its own kernel for the device."""
    from spikingjelly.activation_based import neuron, surrogate

    layer = neuron.LIFNode(
        tau=1.0 / (1.0 - BETA),
        decay_input=False,
        v_threshold=THRESHOLD,
        v_reset=0.0 if reset == "zero" else None,
        surrogate_function=surrogate.Sigmoid(alpha=SLOPE),
        detach_reset=True,
        step_mode="m",
    ).to(device)

    def spikes(x: Tensor) -> Tensor:
        layer.reset()
        result: Tensor = layer(x)
        return result

    return _variant(spikes, lambda: _ours(reset, device, "reference", "step"))


def _variant(spikes: Callable[[Tensor], Tensor], reference: Callable[[], Variant]) -> Variant:
    return Variant(spikes, lambda x, grad: spikes(x).backward(grad.to(x.dtype)), reference)
