"""Rounds a network for hardware in fixed point (`mpo_snn.deploy.fixed_point_scale`)."""

from __future__ import annotations

import torch
from torch import Tensor

from mpo_snn.errors import DeployError
from mpo_snn.profiles.chip import ChipProfile

from .fixed_point import limits, round_half_even
from .fixed_point_core import FixedPointFormat, FixedPointNeurons, fixed_point_format
from .fixed_point_network import FixedPointLayer, FixedPointNetwork
from .fixed_point_rules import arithmetic_findings
from .fixed_point_scale import beta_of, is_shifted, layer_scale, round_leak, round_threshold
from .layers import ChipGraph, Layer
from .quantized import LayerError, UnfitError
from .real_run import Reach, run_real


def quantize_fixed_point(
    graph: ChipGraph, profile: ChipProfile, calibration: Tensor | None = None
) -> FixedPointNetwork:
    """Round every layer.

    Args:
        graph: the network.
        profile: of the family `fixed_point`.
        calibration: events, (T, B, *input_shape), that say how far membranes go; used only where
            they wrap. Without them they may, and the run counts how often.

    Raises:
        DeployError: if the arithmetic of the hardware is not that of the network; limits on its
            size are `check_fixed_point`'s and no matter here.
        UnfitError: if membranes go so far that a scale for them leaves thresholds nothing.
    """
    chosen = fixed_point_format(profile)
    findings = [str(finding) for layer in graph for finding in arithmetic_findings(layer, profile)]
    if findings:
        raise DeployError(f"cannot quantize for {profile.title}", findings)
    needs_reach = calibration is not None and chosen.overflow == "wrap"
    reach = run_real(graph, calibration).reach if needs_reach and calibration is not None else {}
    layers = tuple(_quantize(layer, chosen, reach.get(layer.name)) for layer in graph)
    _require_thresholds(layers, chosen, profile)
    return FixedPointNetwork(
        graph, chosen, layers, tuple(_error(layer, chosen, bool(reach)) for layer in layers)
    )


def _require_thresholds(
    layers: tuple[FixedPointLayer, ...], chosen: FixedPointFormat, profile: ChipProfile
) -> None:
    lost = [
        f"a threshold of {float(layer.real.threshold.min()):.4g} of '{layer.real.name}' becomes 0"
        f" units, so far do its membranes go on calibration data: give them more than"
        f" {chosen.state_bits} bits, or let them saturate."
        for layer in layers
        if int(layer.neurons.threshold.min()) - int(is_shifted(layer.real, chosen)) < 1
    ]
    if lost:
        raise UnfitError(f"cannot deploy to {profile.name}", lost)


def _quantize(layer: Layer, chosen: FixedPointFormat, reach: Reach | None) -> FixedPointLayer:
    scale = layer_scale(layer, chosen, reach)
    lowest, highest = limits(chosen.weight_bits)
    neurons = FixedPointNeurons(
        leak=round_leak(layer.beta, chosen),
        threshold=round_threshold(layer, chosen, scale),
        bias=round_half_even(layer.bias * scale).clamp(*limits(chosen.state_bits)),
        most_spikes=layer.most_spikes,
    )
    weights = tuple(
        round_half_even(projection.weight * scale).clamp(lowest, highest)
        for projection in layer.projections
    )
    return FixedPointLayer(layer, scale, weights, neurons)


def _error(layer: FixedPointLayer, chosen: FixedPointFormat, is_calibrated: bool) -> LayerError:
    real, scale, neurons = layer.real, layer.scale, layer.neurons
    none = torch.zeros(0, dtype=torch.float64)
    wanted = torch.cat([none, *(scale * p.weight.flatten() for p in real.projections)])
    stored = torch.cat([none, *(weight.double().flatten() for weight in layer.weights)])
    bias = scale * real.bias
    clipped = int((round_half_even(wanted) != stored).sum())
    clipped += int((round_half_even(bias) != neurons.bias).sum())
    threshold = neurons.threshold - int(is_shifted(real, chosen))
    relative = (threshold / (scale * real.threshold) - 1.0).abs()
    off, size = (stored - wanted).abs(), float(wanted.norm())
    notes = []
    if chosen.overflow == "wrap" and not is_calibrated:
        notes.append("without calibration data membranes may wrap")
    if is_shifted(real, chosen):
        notes.append("threshold higher by 1: the hardware fires at it, the network above it")
    return LayerError(
        layer=real.name,
        scale=scale,
        weight_error=float(off.norm()) / size if size else 0.0,
        largest_error=float(off.max()) if off.numel() else 0.0,
        dead_weights=int(((stored == 0) & (wanted != 0)).sum()),
        weights=wanted.numel(),
        saturated=clipped,
        threshold=float(relative.max()),
        decay=float((beta_of(neurons.leak, chosen) - real.beta).abs().max()),
        note="; ".join(notes),
    )
