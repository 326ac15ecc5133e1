"""A network in the integers of hardware in fixed point, and its run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.errors import DeployError

from .fixed_point import limits
from .fixed_point_core import FixedPointFormat, FixedPointNeurons, FixedPointState
from .fixed_point_scale import beta_of, is_shifted
from .layers import INPUT, ChipGraph, Layer
from .places import LayerPlace, source_place
from .project import project, targets_of
from .quantized import IntegerRun, LayerError, LayerOnGrid
from .way_names import way_names


@dataclass(frozen=True)
class FixedPointLayer:
    """A layer in integers.

    Attributes:
        real: the layer that it stands for.
        scale: units of the hardware for one of the network.
        weights: int64, one for every projection, of its shape.
        neurons: parameters, of the layer's shape.
    """

    real: Layer
    scale: float
    weights: tuple[Tensor, ...]
    neurons: FixedPointNeurons

    def on_grid(self, chosen: FixedPointFormat) -> LayerOnGrid:
        """The rounded values in units of the network.

        A threshold that is higher by 1 because the hardware compares with `>=` is given halfway
        between the whole numbers that it separates.
        """
        threshold = self.neurons.threshold.double()
        if is_shifted(self.real, chosen):
            threshold = threshold - 0.5
        lowest = limits(chosen.state_bits)[0] / self.scale
        facts = {"scale": self.scale, "leak": chosen.leak, "compare": chosen.compare}
        return LayerOnGrid(
            weights=tuple(weight.double() / self.scale for weight in self.weights),
            bias=self.neurons.bias.double() / self.scale,
            threshold=threshold / self.scale,
            beta=beta_of(self.neurons.leak, chosen),
            alpha=None,
            lower=lowest if chosen.overflow == "saturate" else None,
            facts=facts,
        )


@dataclass(frozen=True)
class FixedPointNetwork:
    """All layers in integers; an `IntegerNetwork`.

    Attributes:
        graph: the network in real numbers.
        format: of the hardware.
        layers: in the graph's order.
        errors: what rounding did to each.
    """

    graph: ChipGraph
    format: FixedPointFormat
    layers: tuple[FixedPointLayer, ...]
    errors: tuple[LayerError, ...]

    @property
    def delay(self) -> int:
        """None: layers run one after another within a step."""
        return 0

    def run(self, events: Tensor) -> IntegerRun:
        """Run input events, int64 (T, B, *input_shape), from rest; layers add no delay.

        `events` of the result: membranes that were `saturated` or `wrapped`.

        Raises:
            DeployError: if they have another shape or type.
        """
        self._require(events)
        timesteps, batch = events.shape[:2]
        states = self.rest(batch)
        totals: dict[str, Tensor] = {}
        output = []
        for fired in self.steps(events, states):
            for name, spikes in fired.items():
                totals[name] = totals.get(name, 0) + spikes.sum(0)
            output.append(fired[self.graph.output.name].flatten(1))
        narrowed = "saturated" if self.format.overflow == "saturate" else "wrapped"
        return IntegerRun(
            output=torch.stack(output),
            spikes={layer.name: int(totals[layer.name].sum()) for layer in self.graph},
            events={narrowed: sum(state.narrowed for state in states.values())},
            synaptic_events=sum(
                targets_of(projection, weight, totals[projection.source][None])
                for layer in self.layers
                for projection, weight in zip(layer.real.projections, layer.weights, strict=True)
            ),
            updates=sum(layer.size for layer in self.graph) * timesteps * batch,
        )

    def record(self, events: Tensor) -> dict[str, Tensor]:
        """See `IntegerNetwork.record`; the state is `LAYER.v`, the membrane behind the step."""
        self._require(events)
        kept: dict[str, list[Tensor]] = {}
        states = self.rest(events.shape[1])
        for fired in self.steps(events, states):
            for name, state in states.items():
                kept.setdefault(f"{name}.spikes", []).append(fired[name])
                kept.setdefault(f"{name}.v", []).append(state.v)
        return {name: torch.stack(values) for name, values in kept.items()}

    def rest(self, batch: int) -> dict[str, FixedPointState]:
        """States of all layers, by name, before a run of so many samples."""
        return {
            layer.real.name: FixedPointState(self.format, layer.neurons, batch)
            for layer in self.layers
        }

    def steps(
        self, events: Tensor, states: dict[str, FixedPointState]
    ) -> Iterator[dict[str, Tensor]]:
        """The timesteps one by one.

        Args:
            events: (T, B, *input_shape).
            states: of `rest`; they advance with every step.

        Yields:
            spikes of the input and of every layer in this step, (B, *shape), by name.
        """
        batch = events.shape[1]
        fired = {layer.name: events.new_zeros(batch, *layer.shape) for layer in self.graph}
        for given in events:
            fired = {**fired, INPUT: given}
            for layer in self.layers:
                fired[layer.real.name] = states[layer.real.name].step(_current(layer, fired))
            yield fired

    def tensors(self) -> dict[str, Tensor]:
        """Weights, leaks, thresholds and biases of every layer; a weight is named by its source.

        A design without leaks or biases has no tensors of them.
        """
        found: dict[str, Tensor] = {}
        ways = way_names(layer.real for layer in self.layers)
        for layer in self.layers:
            for way, weight in zip(ways[layer.real.name], layer.weights, strict=True):
                found[f"{way}.weight"] = narrowest(weight)
            for part, values in self._parameters(layer).items():
                found[f"{layer.real.name}.{part}"] = narrowest(values)
        return found

    def places(self) -> tuple[LayerPlace, ...]:
        """See `IntegerNetwork.places`; what leads back acts a step later."""
        found, ahead = [], {INPUT}
        low, high = limits(self.format.state_bits)
        ways = way_names(layer.real for layer in self.layers)
        for layer in self.layers:
            real = layer.real
            sources = (
                source_place(
                    projection,
                    {"weight": f"{way}.weight"},
                    delayed=projection.source not in ahead,
                )
                for way, projection in zip(ways[real.name], real.projections, strict=True)
            )
            found.append(
                LayerPlace(
                    real.name,
                    real.shape,
                    self.format.reset,
                    layer.neurons.most_spikes,
                    low,
                    high,
                    {part: f"{real.name}.{part}" for part in self._parameters(layer)},
                    tuple(sources),
                )
            )
            ahead.add(real.name)
        return tuple(found)

    def _parameters(self, layer: FixedPointLayer) -> dict[str, Tensor]:
        """Of the neurons, by the end of the tensor's name."""
        neurons = layer.neurons
        found = {"threshold": neurons.threshold}
        if self.format.bias:
            found["bias"] = neurons.bias
        if self.format.leak != "none":
            found[f"leak_{self.format.leak}"] = neurons.leak
        return found

    def on_grid(self) -> dict[str, LayerOnGrid]:
        """The rounded values of every layer in units of the network."""
        return {layer.real.name: layer.on_grid(self.format) for layer in self.layers}

    def _require(self, events: Tensor) -> None:
        shape = self.graph.input_shape
        if events.dtype != torch.int64 or tuple(events.shape[2:]) != shape:
            raise DeployError(
                f"cannot run events of shape {tuple(events.shape)} and type {events.dtype};"
                f" expected int64 of shape (T, B, {', '.join(map(str, shape))})."
            )


def _current(layer: FixedPointLayer, fired: dict[str, Tensor]) -> Tensor:
    """The exact sum of weights that the spikes reach, (B, *shape)."""
    batch = len(fired[INPUT])
    total = torch.zeros(batch, *layer.real.shape, dtype=torch.float64)
    for projection, weight in zip(layer.real.projections, layer.weights, strict=True):
        total += project(projection, weight.double(), fired[projection.source])
    return total.to(torch.int64)


def narrowest(values: Tensor) -> Tensor:
    """The same whole numbers in the narrowest signed type that holds them."""
    largest = max(int(values.max()), -int(values.min()) - 1) if values.numel() else 0
    for dtype in (torch.int8, torch.int16, torch.int32):
        if largest <= torch.iinfo(dtype).max:
            return values.to(dtype)
    return values
