r"""A network in Xylo's integers: one scale per neuron, and a bit shift for all.

Neuron j has the scale :math:`s_j = 127 / \max |w|` over everything that reaches it, so that its
weights fill eight bits; its threshold is :math:`\theta s_j 2^{n}`, its bias likewise, of 16 bits.
The shift n of the weights gives the state n more bits, and with them leaks that round less: it is
the largest with which nothing saturates on the calibration events. (The vendor's quantizer has one
scale for all neurons and no shift.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.profiles.chip import ChipProfile

from .dense import as_dense, dense_matrix
from .fixed_point import limits, round_half_even
from .layers import ChipGraph, Layer
from .places import LayerPlace
from .quantized import IntegerRun, LayerError, LayerOnGrid
from .xylo_check import dash_of
from .xylo_clock import xylo_activity
from .xylo_core import MOST_INPUT_EVENTS, XyloNetwork, XyloNeurons, run_xylo
from .xylo_layout import Population, lay_out
from .xylo_places import layer_places

MOST_SHIFT = 7
"""Bits by which weights are shifted at most; beyond, thresholds of 16 bits are used up."""


@dataclass(frozen=True)
class _Bits:
    weight: int
    threshold: int
    bias: int
    dash: int

    @classmethod
    def of(cls, profile: ChipProfile) -> _Bits:
        names = ("weight", "threshold", "bias", "dash")
        return cls(*(int(profile.value(f"format.{name}_bits")) for name in names))


@dataclass(frozen=True)
class _Rounded:
    """A population in integers, with the scale of each neuron before the shift."""

    neurons: XyloNeurons
    weights: Tensor
    scale: Tensor


class XyloIntegers:
    """The integer network (`mpo_snn.deploy.quantized.IntegerNetwork`).

    Attributes:
        network: what is loaded into the chip.
        shift: bits by which all weights are shifted.
        delay: steps by which the output comes late: hops behind the first take one each.
        errors: what rounding did, layer by layer.
    """

    def __init__(self, graph: ChipGraph, profile: ChipProfile, shift: int) -> None:
        """Round a graph that `check_xylo` has nothing against, with a given shift."""
        self.graph, self.shift = as_dense(graph), shift
        graph, self._bits = self.graph, _Bits.of(profile)
        self._layout = lay_out(graph)
        layout = self._layout
        into = torch.cat([layout.weights_in, layout.weights_rec])
        self._hidden = self._round(layout.hidden, into)
        self._output = self._round(layout.output, layout.weights_out)
        inputs = len(layout.weights_in)
        self.network = XyloNetwork(
            weights_in=self._hidden.weights[:inputs, :, None],
            weights_rec=self._hidden.weights[inputs:, :, None],
            weights_out=self._output.weights,
            hidden=self._hidden.neurons,
            output=self._output.neurons,
            shift_in=shift,
            shift_rec=shift,
            shift_out=shift,
        )
        self.delay = graph.depth()[graph.output.name] - 1
        self.errors = tuple(self._error(layer) for layer in graph)

    def run(self, events: Tensor) -> IntegerRun:
        """See `IntegerNetwork.run`."""
        timesteps, batch = events.shape[:2]
        late = self.delay
        flat = events.flatten(2).to(torch.int64)
        run = run_xylo(self.network, self._lasting(events))
        spikes = {}
        for layer in self.graph:
            place = self._layout.places[layer.name]
            fired = run.output if layer is self.graph.output else run.hidden[:, :, place]
            spikes[layer.name] = int(fired.sum())
        reached = (flat.clamp(max=MOST_INPUT_EVENTS), self.network.weights_in[:, :, 0])
        inner = torch.cat([self.network.weights_rec[:, :, 0], self.network.weights_out], 1)
        total = sum(
            int((n.sum((0, 1)) * (w != 0).sum(1)).sum()) for n, w in (reached, (run.hidden, inner))
        )
        neurons = sum(layer.size for layer in self.graph)
        return IntegerRun(
            output=run.output[late:].reshape(timesteps, batch, *self.graph.output.shape),
            spikes=spikes,
            events={"saturated": run.saturated, "dropped input events": run.dropped_events},
            synaptic_events=total,
            updates=neurons * (timesteps + late) * batch,
            activity=xylo_activity(flat, run.hidden),
        )

    def record(self, events: Tensor) -> dict[str, Tensor]:
        """See `IntegerNetwork.record`; states: `LAYER.i`, the current, and `LAYER.v`."""
        run, found = run_xylo(self.network, self._lasting(events), keep_i=True), {}
        assert run.i_hidden is not None and run.i_output is not None
        for layer in self.graph:
            place = self._layout.places[layer.name]
            inner = (run.hidden, run.i_hidden[..., 0], run.v_hidden)
            outer = (run.output, run.i_output[..., 0], run.v_output)
            parts = outer if layer is self.graph.output else inner
            for name, part in zip(("spikes", "i", "v"), parts, strict=True):
                shown = part[:, :, place].reshape(*part.shape[:2], *layer.shape)
                found[f"{layer.name}.{name}"] = shown
        return found

    def _lasting(self, events: Tensor) -> Tensor:
        """Flat events, and silence for as many steps as the output comes late."""
        flat = events.flatten(2).to(torch.int64)
        return torch.cat([flat, flat.new_zeros(self.delay, *flat.shape[1:])])

    def tensors(self) -> dict[str, Tensor]:
        """See `IntegerNetwork.tensors`."""
        found = {
            "weights_in": self.network.weights_in.to(torch.int8),
            "weights_rec": self.network.weights_rec.to(torch.int8),
            "weights_out": self.network.weights_out.to(torch.int8),
            "weight_shift": torch.tensor(self.shift, dtype=torch.int8),
        }
        for name, neurons in (("hidden", self.network.hidden), ("output", self.network.output)):
            found |= {
                f"{name}.dash_mem": neurons.dash_mem.to(torch.uint8),
                f"{name}.dash_syn": neurons.dash_syn.to(torch.uint8),
                f"{name}.threshold": neurons.threshold.to(torch.int16),
                f"{name}.bias": neurons.bias.to(torch.int16),
            }
        return found

    def places(self) -> tuple[LayerPlace, ...]:
        """See `IntegerNetwork.places`."""
        return layer_places(self.graph, self._layout)

    def on_grid(self) -> dict[str, LayerOnGrid]:
        """See `IntegerNetwork.on_grid`."""
        return {layer.name: self._on_grid(layer) for layer in self.graph}

    def _round(self, real: Population, weights: Tensor) -> _Rounded:
        """Integers of a population; weights (sources, N)."""
        low, high = limits(self._bits.weight)
        largest = weights.abs().amax(0)
        scale = torch.where(largest > 0, high / largest, torch.ones_like(largest))
        most = limits(self._bits.threshold)[1]
        scale = torch.minimum(scale, most / (real.threshold * 2.0**self.shift))
        unit = scale * 2.0**self.shift
        bias = round_half_even(real.bias * unit)
        return _Rounded(
            XyloNeurons(
                dash_mem=dash_of(real.beta, self._bits.dash),
                dash_syn=dash_of(real.alpha, self._bits.dash)[:, None],
                threshold=round_half_even(real.threshold * unit).clamp(1, most),
                bias=bias.clamp(*limits(self._bits.bias)),
            ),
            round_half_even(weights * scale).clamp(low, high),
            scale,
        )

    def _rounded(self, layer: Layer) -> tuple[_Rounded, slice, Population]:
        is_output = layer is self.graph.output
        real = self._layout.output if is_output else self._layout.hidden
        return self._output if is_output else self._hidden, self._layout.places[layer.name], real

    def _matrices(self, layer: Layer) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each projection, what the chip has of it and what it should be, (out, in)."""
        assert layer.alpha is not None
        rounded, place, _ = self._rounded(layer)
        alpha = layer.alpha.flatten()[:, None]
        for projection in layer.projections:
            wanted = dense_matrix(projection)
            scale = rounded.scale[place][:, None]
            whole = round_half_even(wanted / alpha * scale).clamp(*limits(self._bits.weight))
            yield whole / scale * alpha, wanted

    def _error(self, layer: Layer) -> LayerError:
        assert layer.alpha is not None
        rounded, place, real = self._rounded(layer)
        scale, unit = rounded.scale[place], rounded.scale[place] * 2.0**self.shift
        pairs = list(self._matrices(layer))
        square = sum(float((a - b).square().sum()) for a, b in pairs)
        size = sum(float(b.square().sum()) for _, b in pairs)
        alpha = layer.alpha.flatten()[:, None]
        off = [((a - b) / alpha * scale[:, None]).abs().max() for a, b in pairs]
        threshold = rounded.neurons.threshold[place] / unit
        bias = round_half_even(real.bias[place] * unit)
        leaks = {
            "mem": (real.beta, rounded.neurons.dash_mem),
            "syn": (real.alpha, rounded.neurons.dash_syn[:, 0]),
        }
        decay = max(
            float((leak[place] - (1 - torch.exp2(-dash[place].double()))).abs().max())
            for leak, dash in leaks.values()
        )
        return LayerError(
            layer=layer.name,
            scale=float(unit.median()),
            weight_error=(square / size) ** 0.5 if size else 0.0,
            largest_error=float(max(off)) if off else 0.0,
            dead_weights=sum(int(((b != 0) & (a == 0)).sum()) for a, b in pairs),
            weights=sum(int((b != 0).sum()) for _, b in pairs),
            saturated=int((bias != rounded.neurons.bias[place]).sum()),
            threshold=float((threshold / real.threshold[place] - 1).abs().max()),
            decay=decay,
            note=f"a scale per neuron, {float(unit.min()):.4g} to {float(unit.max()):.4g};"
            f" weights shifted by {self.shift} bit{'s' * (self.shift != 1)}",
        )

    def _on_grid(self, layer: Layer) -> LayerOnGrid:
        rounded, place, _ = self._rounded(layer)
        unit = rounded.scale[place] * 2.0**self.shift
        neurons = rounded.neurons
        return LayerOnGrid(
            weights=tuple(
                matrix.reshape(projection.weight.shape)
                for (matrix, _), projection in zip(
                    self._matrices(layer), layer.projections, strict=True
                )
            ),
            bias=(neurons.bias[place] / unit).reshape(layer.shape),
            threshold=(neurons.threshold[place] / unit).reshape(layer.shape),
            beta=(1 - torch.exp2(-neurons.dash_mem[place].double())).reshape(layer.shape),
            alpha=(1 - torch.exp2(-neurons.dash_syn[place, 0].double())).reshape(layer.shape),
            lower=None,
            facts={"weight_shift": self.shift, "scale": unit.tolist()},
        )


def quantize_xylo(
    graph: ChipGraph, profile: ChipProfile, calibration: Tensor | None = None
) -> XyloIntegers:
    """Round a network that `check_xylo` has nothing against.

    Args:
        graph: the network.
        profile: of family xylo.
        calibration: events, (T, B, *input_shape), which decide the shift; None shifts by nothing.
    """
    if calibration is None:
        return XyloIntegers(graph, profile, 0)
    full = limits(int(profile.value("format.weight_bits")))[1]
    best = XyloIntegers(graph, profile, 0)
    for shift in range(1, MOST_SHIFT + 1):
        tried = XyloIntegers(graph, profile, shift)
        if _is_narrowed(tried, full) or tried.run(calibration).events["saturated"]:
            break
        best = tried
    return best


def _is_narrowed(tried: XyloIntegers, full: int) -> bool:
    """Whether the range of the thresholds left weights less than theirs."""
    network = tried.network
    inner = torch.cat([network.weights_in, network.weights_rec])[..., 0]
    largest = [weights.abs().amax(0) for weights in (inner, network.weights_out)]
    return any(bool(((most < full) & (most > 0)).any()) for most in largest)
