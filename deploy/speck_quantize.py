"""A network in the integers of Speck: one scale per layer (`mpo_snn.deploy.speck_scale`).

Every layer gets a lowest membrane, its own where it has one. Without any, the vendor's tool takes
-32768 in units of the network, whose scale leaves no weights; here it is as low as membranes get on
calibration data, at least -threshold, and at most what 16 bits hold at the scale of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.errors import DeployError
from mpo_snn.profiles.chip import ChipProfile

from .layers import INPUT, ChipGraph, Layer
from .places import LayerPlace, SourcePlace
from .project import targets_of
from .quantized import IntegerRun, LayerError, LayerOnGrid
from .real_run import Reach, run_real
from .speck_convolution import Convolution, NoConvolution, as_convolution, map_of, weights_of
from .speck_core import SpeckLayer, run_speck
from .speck_rules import neuron_findings, recurrence_findings
from .speck_scale import Bits, Scale, layer_scale, scale_of, scaled

SMALL_GAP = 2.0**-10
"""Of a unit, below a threshold that is subtracted: after 1024 spikes it would be a whole one."""


@dataclass(frozen=True)
class SpeckNetwork:
    """What the cores of Speck are loaded with; an `IntegerNetwork`.

    Attributes:
        graph: the network in real numbers.
        layers: in integers.
        lower: lowest membrane of each layer, in its own units.
        scales: of each layer.
        errors: what rounding did.
    """

    graph: ChipGraph
    layers: tuple[SpeckLayer, ...]
    lower: tuple[float, ...]
    scales: tuple[Scale, ...]
    errors: tuple[LayerError, ...]

    @property
    def delay(self) -> int:
        """None: layers run one after another within a step."""
        return 0

    def run(self, events: Tensor) -> IntegerRun:
        """Run input events, int64 (T, B, *input_shape), from rest, in the step simulation.

        Raises:
            DeployError: if they have another shape or type.
        """
        run = run_speck(self.layers, self.as_maps(events))
        spikes = {name: int(fired.sum()) for name, fired in run.spikes.items()}
        batch = events.shape[0] * events.shape[1]
        return IntegerRun(
            output=run.spikes[self.layers[-1].name].flatten(2),
            spikes=spikes,
            events={"membranes beyond 16 bits": run.beyond},
            synaptic_events=self.synaptic_events({INPUT: events, **run.spikes}),
            updates=batch * sum(layer.size for layer in self.graph),
        )

    def record(self, events: Tensor) -> dict[str, Tensor]:
        """See `IntegerNetwork.record`; the state is `LAYER.v`, the membrane behind the step."""
        run = run_speck(self.layers, self.as_maps(events), keep_v=True)
        found = {}
        for layer in self.graph:
            for part, values in (("spikes", run.spikes), ("v", run.v)):
                kept = values[layer.name]
                found[f"{layer.name}.{part}"] = kept.reshape(*kept.shape[:2], *layer.shape)
        return found

    def as_maps(self, events: Tensor) -> Tensor:
        """Input events as (T, B, channels, height, width)."""
        shape = self.graph.input_shape
        if events.dtype != torch.int64 or tuple(events.shape[2:]) != shape:
            raise DeployError(
                f"cannot run events of shape {tuple(events.shape)} and type {events.dtype};"
                f" expected int64 of shape (T, B, {', '.join(map(str, shape))})."
            )
        return events.reshape(*events.shape[:2], *map_of(shape))

    def synaptic_events(self, spikes: dict[str, Tensor]) -> int:
        """Spikes times the weights other than 0 that each reaches."""
        total = 0
        for layer, quantized in zip(self.graph, self.layers, strict=True):
            weights = weights_of(layer, as_convolution(layer), quantized.weight)
            for projection, weight in zip(layer.projections, weights, strict=True):
                fired = spikes[projection.source].reshape(-1, *projection.source_shape)
                total += targets_of(projection, weight, fired)
        return total

    def tensors(self) -> dict[str, Tensor]:
        """Weights and biases as int8, thresholds and lowest membranes as int16."""
        found: dict[str, Tensor] = {}
        for layer in self.layers:
            found |= {
                f"{layer.name}.weight": layer.weight.to(torch.int8),
                f"{layer.name}.bias": layer.bias.to(torch.int8),
                f"{layer.name}.threshold": torch.tensor(layer.threshold, dtype=torch.int16),
                f"{layer.name}.lower": torch.tensor(layer.lower, dtype=torch.int16),
            }
        return found

    def places(self) -> tuple[LayerPlace, ...]:
        """See `IntegerNetwork.places`; all sources are convolutions of maps, and share a tensor."""
        found = []
        for layer, quantized in zip(self.graph, self.layers, strict=True):
            sources = (
                SourcePlace(
                    source.name,
                    map_of(projection.source_shape),
                    {"weight": f"{layer.name}.weight"},
                    "convolution",
                    source.pool,
                    quantized.stride,
                    quantized.padding,
                    delayed=False,
                    channels=(
                        source.shift,
                        source.shift + map_of(projection.pooled_shape)[0],
                    ),
                )
                for source, projection in zip(quantized.sources, layer.projections, strict=True)
            )
            found.append(
                LayerPlace(
                    layer.name,
                    layer.shape,
                    quantized.reset,
                    quantized.most_spikes,
                    quantized.lower,
                    None,
                    {part: f"{layer.name}.{part}" for part in ("threshold", "bias", "lower")},
                    tuple(sources),
                )
            )
        return tuple(found)

    def on_grid(self) -> dict[str, LayerOnGrid]:
        """The rounded values, back in the units of the network.

        The chip fires at the threshold, real neurons above it, and thirds of a unit are no exact
        floats: thresholds are given a little lower, between the whole numbers that they separate.
        """
        found = {}
        for layer, quantized, scale in zip(self.graph, self.layers, self.scales, strict=True):
            weights = weights_of(layer, as_convolution(layer), quantized.weight.double())
            bias = quantized.bias.double().reshape(-1, *[1] * (len(layer.shape) - 1))
            gap = 0.5 if layer.reset == "zero" and layer.most_spikes == 1 else SMALL_GAP
            found[layer.name] = LayerOnGrid(
                weights=tuple(weight / scale.factor for weight in weights),
                bias=(bias / scale.factor).expand(layer.shape).clone(),
                threshold=torch.full_like(
                    layer.threshold, (quantized.threshold - gap) / scale.factor
                ),
                beta=torch.ones_like(layer.beta),
                alpha=None,
                lower=quantized.lower / scale.factor,
                facts={
                    "scale": scale.factor,
                    "bound_by": scale.bound_by,
                    "threshold": quantized.threshold,
                },
            )
        return found


def quantize_speck(
    graph: ChipGraph, profile: ChipProfile, calibration: Tensor | None = None
) -> SpeckNetwork:
    """Round every layer; sizes that no core holds are `check_speck`'s and no matter here.

    Args:
        graph: the network.
        profile: of the chip.
        calibration: events, (T, B, *input_shape), for lowest membranes; needed only where the
            network has none.

    Raises:
        DeployError: if the arithmetic of the chip is not that of the network.
    """
    findings = [line for layer in graph for line in _obstacles(graph, layer)]
    if findings:
        raise DeployError(f"cannot quantize for {profile.title}", findings)
    missing = any(layer.lower is None for layer in graph)
    reach = run_real(graph, calibration).reach if missing and calibration is not None else {}
    bits, parts = bits_of(profile), []
    for layer in graph:
        convolution = as_convolution(layer)
        lower, note = lowest_membrane(layer, convolution, bits, reach.get(layer.name))
        parts.append((*_quantize(layer, convolution, lower, bits, note), lower))
    _require_thresholds(graph, [layer for layer, _, _, _ in parts])
    layers, scales, errors, lowest = zip(*parts, strict=True)
    return SpeckNetwork(graph, layers, lowest, scales, errors)


def _obstacles(graph: ChipGraph, layer: Layer) -> Iterator[str]:
    yield from map(str, neuron_findings(layer))
    yield from map(str, recurrence_findings(graph, layer))
    try:
        as_convolution(layer)
    except NoConvolution as error:
        yield str(error)


def bits_of(profile: ChipProfile) -> Bits:
    """Formats of a profile."""
    return Bits(*(profile.value(f"format.{key}_bits") for key in ("weight", "bias", "state")))


def lowest_membrane(
    layer: Layer, convolution: Convolution, bits: Bits, reach: Reach | None
) -> tuple[float, str]:
    """The lowest membrane that a layer gets, in its own units, and a note where it had none.

    Args:
        layer: in real numbers.
        convolution: of it.
        bits: of the chip.
        reach: what it reached on calibration data, if there are any.
    """
    if layer.lower is not None:
        return layer.lower, ""
    threshold = float(layer.threshold.max())
    lowest = -threshold if reach is None else min(-threshold, reach.v_low)
    others = min(scale_of(convolution.weight, bits.weight), scale_of(layer.bias, bits.bias))
    lower = max(lowest, -(2 ** (bits.state - 1)) / others) if others < float("inf") else lowest
    lower = min(lower, -threshold)
    if reach is None:
        return lower, f"lowest membrane set to -threshold, {lower:.4g}, without calibration data"
    said = "-threshold" if lowest == -threshold else "the lowest of calibration"
    if lower > lowest:
        said = f"the end of {bits.state} bits; calibration reached {lowest:.4g}"
    return lower, f"lowest membrane set to {lower:.4g}, {said}"


def _quantize(
    layer: Layer, convolution: Convolution, lower: float, bits: Bits, note: str
) -> tuple[SpeckLayer, Scale, LayerError]:
    threshold = float(layer.threshold.flatten()[0])
    bias = layer.bias.flatten(1)[:, 0] if layer.bias.dim() > 1 else layer.bias
    scale = layer_scale(convolution.weight, bias, threshold, lower, bits)
    weight = scaled(convolution.weight, scale)
    both = scaled(torch.tensor((lower, threshold)), scale)
    quantized = SpeckLayer(
        name=layer.name,
        sources=convolution.sources,
        weight=weight,
        bias=scaled(bias, scale),
        threshold=int(both[1]),
        lower=int(both[0]),
        stride=convolution.stride,
        padding=convolution.padding,
        most_spikes=layer.most_spikes if layer.most_spikes < 2 ** (bits.state - 1) - 1 else None,
        reset=layer.reset,
    )
    real = convolution.weight
    gap = weight.double() / scale.factor - real
    error = LayerError(
        layer=layer.name,
        scale=scale.factor,
        weight_error=_root_mean_square(gap) / (_root_mean_square(real) or 1.0),
        largest_error=float((weight - real * scale.factor).abs().max()),
        dead_weights=int(((weight == 0) & (real != 0)).sum()),
        weights=weight.numel(),
        saturated=0,
        threshold=abs(quantized.threshold / scale.factor / threshold - 1.0),
        decay=0.0,
        note=note,
    )
    return quantized, scale, error


def _root_mean_square(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _require_thresholds(graph: ChipGraph, layers: list[SpeckLayer]) -> None:
    findings = [
        f"{layer.name}: a threshold of {float(real.threshold.max()):.4g} becomes 0 units; allowed"
        " is 1 or more: train with smaller weights or a larger threshold"
        for real, layer in zip(graph, layers, strict=True)
        if layer.threshold < 1
    ]
    if findings:
        raise DeployError("cannot quantize for Speck", findings)
