"""A network as Loihi holds it, and its run in the chip's integers.

All neurons advance together. A spike of one timestep acts in the next one, wherever it comes from:
the input of step t reaches the first layers at step t + 1, and a layer that is d hops away answers
it at step t + d. The run therefore takes T + D steps, D being the hops to the output, and hands the
output back with these D steps taken off. Biases act from step 0 on, as on the chip: a layer d hops
away from the input has its bias alone for d steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .layers import INPUT, ChipGraph, Layer
from .loihi_core import LoihiNeurons, LoihiState
from .loihi_errors import layer_error
from .loihi_format import POINT, alpha_of, beta_of
from .places import LayerPlace, source_place
from .project import project, targets_of
from .quantized import IntegerRun, LayerOnGrid
from .way_names import way_names


@dataclass(frozen=True)
class StoredWeight:
    """Weights of a projection.

    Attributes:
        mantissa: even, int64, in the shape of the projection's weight.
        exponent: of all of them.
    """

    mantissa: Tensor
    exponent: int

    @property
    def values(self) -> Tensor:
        """Weights in units of the membrane, int64."""
        return self.mantissa * (1 << (POINT + self.exponent))


@dataclass(frozen=True)
class LoihiLayer:
    """A layer in the chip's numbers.

    Attributes:
        real: the layer that it stands for.
        scale: units of the chip's membrane for one unit of the network's.
        weights: one for every projection.
        neurons: int64, flat.
        bias_mantissa: of every neuron.
        bias_exponent: of every neuron.
        clipped: values that the format did not hold.
    """

    real: Layer
    scale: float
    weights: tuple[StoredWeight, ...]
    neurons: LoihiNeurons
    bias_mantissa: Tensor
    bias_exponent: Tensor
    clipped: int

    def on_grid(self) -> LayerOnGrid:
        """The rounded values in units of the network.

        Thresholds are given halfway to the next whole number, so that a membrane that meets one
        does not pass it by the rounding of floats.
        """
        real, shape = self.real, self.real.shape
        return LayerOnGrid(
            weights=tuple(weight.values / self.scale for weight in self.weights),
            bias=self.neurons.bias.reshape(shape) / self.scale,
            threshold=(self.neurons.threshold.reshape(shape) + 0.5) / self.scale,
            beta=beta_of(self.neurons.decay_v).reshape(shape),
            alpha=None if real.alpha is None else alpha_of(self.neurons.decay_u).reshape(shape),
            lower=None,
            facts={
                "scale": self.scale,
                "weight_exponents": [weight.exponent for weight in self.weights],
                "v_min": self.neurons.v_min,
                "v_max": self.neurons.v_max,
            },
        )

    def on_chip(self) -> Layer:
        """The layer with the leak of the current that the chip has."""
        return replace(self.real, alpha=self.on_grid().alpha)


class LoihiNetwork:
    """All layers in the chip's numbers; an `IntegerNetwork`.

    Attributes:
        graph: the network that they stand for.
        layers: in its order.
        errors: what rounding did to each.
    """

    def __init__(self, graph: ChipGraph, layers: tuple[LoihiLayer, ...]) -> None:
        """Take the layers of a graph."""
        self.graph, self.layers = graph, layers
        hops = graph.depth()
        self.errors = tuple(layer_error(layer, hops[layer.real.name]) for layer in layers)

    @property
    def delay(self) -> int:
        """D, the hops from the input to the output."""
        return self.graph.depth()[self.graph.output.name]

    def run(self, events: Tensor) -> IntegerRun:
        """Run input events, int64 (T, B, *input_shape), from rest; T + D steps of the chip.

        `events` of the result: `overflows` of sums and currents, `clamped` membranes, `input events
        above 1`, which the chip would have to be sent as so many spikes.
        """
        delay = self.delay
        weights = self._weights()
        sums: dict[str, Tensor] = {}
        output = []
        states = self.rest(events.shape[1])
        for step, fired in enumerate(self.steps(events, states)):
            for name, spikes in fired.items():
                sums[name] = sums.get(name, 0) + spikes.double().sum(0)
            if step >= delay:
                output.append(fired[self.graph.output.name].flatten(1).to(torch.int64))
        return IntegerRun(
            output=torch.stack(output),
            spikes={layer.real.name: int(sums[layer.real.name].sum()) for layer in self.layers},
            events={
                "overflows": sum(state.overflows for state in states.values()),
                "clamped": sum(state.clamped for state in states.values()),
                "input events above 1": int((events > 1).sum()),
            },
            synaptic_events=sum(
                targets_of(projection, weight, sums[projection.source][None])
                for layer, stored in zip(self.layers, weights, strict=True)
                for projection, weight in zip(layer.real.projections, stored, strict=True)
            ),
            updates=sum(layer.real.size for layer in self.layers)
            * events.shape[1]
            * (len(events) + delay),
        )

    def record(self, events: Tensor) -> dict[str, Tensor]:
        """See `IntegerNetwork.record`: T + D steps of `LAYER.u`, the current, and `LAYER.v`."""
        kept: dict[str, list[Tensor]] = {}
        states = self.rest(events.shape[1])
        for fired in self.steps(events, states):
            for layer in self.graph:
                state = states[layer.name]
                parts = {"spikes": fired[layer.name].to(torch.int64), "u": state.u, "v": state.v}
                for part, value in parts.items():
                    shaped = value.reshape(-1, *layer.shape)
                    kept.setdefault(f"{layer.name}.{part}", []).append(shaped)
        return {name: torch.stack(values) for name, values in kept.items()}

    def rest(self, batch: int) -> dict[str, LoihiState]:
        """States of all layers, by name, before a run of so many samples."""
        return {one.real.name: LoihiState(one.neurons, batch, one.real.size) for one in self.layers}

    def steps(self, events: Tensor, states: dict[str, LoihiState]) -> Iterator[dict[str, Tensor]]:
        """The T + D steps of the chip, one by one.

        Args:
            events: (T, B, *input_shape).
            states: of `rest`; they advance with every step.

        Yields:
            spikes that leave the input and every layer in this step, (B, *shape), by name.
        """
        timesteps, batch = events.shape[:2]
        weights = self._weights()
        arriving = {one.name: torch.zeros(batch, *one.shape) for one in self.graph}
        arriving[INPUT] = torch.zeros(batch, *self.graph.input_shape)
        for step in range(timesteps + self.delay):
            fired = {INPUT: events[step] if step < timesteps else torch.zeros_like(events[0])}
            for layer, stored in zip(self.layers, weights, strict=True):
                total = torch.zeros(batch, *layer.real.shape, dtype=torch.float64)
                for projection, weight in zip(layer.real.projections, stored, strict=True):
                    total += project(projection, weight, arriving[projection.source])
                spikes = states[layer.real.name].step(total.flatten(1).to(torch.int64))
                fired[layer.real.name] = spikes.reshape(batch, *layer.real.shape)
            yield fired
            arriving = fired

    def _weights(self) -> list[list[Tensor]]:
        """Stored weights in units of the membrane, float64, which holds their sums exactly."""
        return [[weight.values.double() for weight in layer.weights] for layer in self.layers]

    def tensors(self) -> dict[str, Tensor]:
        """Mantissas, exponents and decays of every layer; a projection is named by its source."""
        named: dict[str, Any] = {}
        ways = way_names(layer.real for layer in self.layers)
        for layer in self.layers:
            name, neurons = layer.real.name, layer.neurons
            for way, weight in zip(ways[name], layer.weights, strict=True):
                named[f"{way}.weight_mantissa"] = weight.mantissa.to(torch.int16)
                named[f"{way}.weight_exponent"] = torch.tensor(weight.exponent, dtype=torch.int8)
            named |= {
                f"{name}.threshold_mantissa": (neurons.threshold >> POINT).to(torch.int32),
                f"{name}.bias_mantissa": layer.bias_mantissa.to(torch.int16),
                f"{name}.bias_exponent": layer.bias_exponent.to(torch.int8),
                f"{name}.decay_u": neurons.decay_u.to(torch.int16),
                f"{name}.decay_v": neurons.decay_v.to(torch.int16),
            }
        return named

    def places(self) -> tuple[LayerPlace, ...]:
        """See `IntegerNetwork.places`; every spike acts a step later, those of the input too."""
        ways = way_names(layer.real for layer in self.layers)
        return tuple(self._place(layer, ways[layer.real.name]) for layer in self.layers)

    def _place(self, layer: LoihiLayer, ways: tuple[str, ...]) -> LayerPlace:
        real, neurons = layer.real, layer.neurons
        parts = ("threshold_mantissa", "bias_mantissa", "bias_exponent", "decay_u", "decay_v")
        sources = []
        for way, projection in zip(ways, real.projections, strict=True):
            names = {part: f"{way}.{part}" for part in ("weight_mantissa", "weight_exponent")}
            sources.append(source_place(projection, names, delayed=True))
        return LayerPlace(
            real.name,
            real.shape,
            "zero",
            1,
            neurons.v_min,
            neurons.v_max,
            {part: f"{real.name}.{part}" for part in parts},
            tuple(sources),
        )

    def on_grid(self) -> dict[str, LayerOnGrid]:
        """The rounded values of every layer in units of the network."""
        return {layer.real.name: layer.on_grid() for layer in self.layers}
