r"""A NIR graph as layers of neurons (`mpo_snn.deploy.layers`), or what stands in the way.

With the step dt, NIR's membrane is :math:`v = \beta v + g x`. In units of its gain it has a unit
gain and the threshold :math:`\theta / g`; a synapse likewise. What NIR cannot state of a neuron
stands in the file's metadata (`mpo_snn.graph.neuron_behaviour`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np
import torch
from numpy.typing import NDArray

from mpo_snn.graph.inline import inline
from mpo_snn.graph.kinds import kind_of
from mpo_snn.graph.neuron_behaviour import NeuronBehaviour, ResetKind
from mpo_snn.graph.ops import per_element
from mpo_snn.graph.shapes import infer_shapes
from mpo_snn.importer.neurons import NeuronOptions, read_neuron
from mpo_snn.neurons import MPONeuron

from .finding import Finding
from .layer_wiring import LayerWiring
from .layers import INPUT, ChipGraph, Layer, Projection
from .linear_path import NoPath, bias_of, fold_path, scale_behind
from .port_names import names_beside_ports, renamed
from .unit_gain import largest, unit_gain_layer

Array = NDArray[np.float64]
EVENTS = ("counts", "rows", "rate", "latency", "frames")
"""Encodings that show whole numbers of events."""
RESETS: tuple[ResetKind, ...] = ("zero", "subtract")
"""What neurons of chips do at a spike."""
_RESET_WORDS: dict[ResetKind, str] = {"zero": "a reset to 0", "subtract": "a reset by subtraction"}
MOST = 1e30
"""Largest number in a layer: some chips' tools count in float32."""


@dataclass(frozen=True)
class ReadGraph:
    """What was read.

    Attributes:
        layers: all of them, findings or not, so that the rules of a chip can be told along with
            what no chip has; None where one could not be read.
        findings: what no chip has.
        neurons: every layer whose neurons could be read, in order; without projections and bias
            where these could not be, so that at least its neurons can be held against a chip.
        output: name of the layer whose spikes are the answer; None where none is.
    """

    layers: ChipGraph | None
    findings: tuple[Finding, ...]
    neurons: tuple[Layer, ...] = ()
    output: str | None = None

    @property
    def graph(self) -> ChipGraph | None:
        """The layers; None where there are findings."""
        return None if self.findings else self.layers


def read_layers(
    graph: nir.NIRGraph,
    dt: float,
    timesteps: int,
    encoding: str,
    readout: str = "spike_count",
    behaviour: Mapping[str, NeuronBehaviour] | None = None,
    resets: Sequence[ResetKind] = RESETS,
) -> ReadGraph:
    """Read a checked graph (`mpo_snn.graph.check`).

    Layers called `input` or `output` get another name (`mpo_snn.deploy.port_names`).

    Args:
        graph: is not changed.
        dt: timestep in seconds.
        timesteps: T.
        encoding: of the input.
        readout: of the output.
        behaviour: of the nodes that spike, by name; NIR's own for those that are absent.
        resets: those that the chip has. Where a subtraction is none of them, it is no finding here
            that one comes late: the chip's rules refuse it as it is.
    """
    return _Reading(graph, dt, behaviour or {}, resets).read(timesteps, encoding, readout)


class _Reading:
    def __init__(
        self,
        graph: nir.NIRGraph,
        dt: float,
        behaviour: Mapping[str, NeuronBehaviour],
        resets: Sequence[ResetKind],
    ) -> None:
        flat = inline(graph)
        names = names_beside_ports(flat)
        behaviour = {names.get(name, name): one for name, one in behaviour.items()}
        self.flat = renamed(flat, names)
        self.shapes = infer_shapes(self.flat).outputs
        self.wiring = LayerWiring(self.flat)
        self.behaviour, self.resets = behaviour, resets
        self.neurons: list[Layer] = []
        self.options = NeuronOptions(dt, torch.float64, False, False, "sigmoid", 0.5)
        self.findings = [
            Finding("network", line, "IF, LIF and CubaLIF neurons", "train with such neurons")
            for line in self.wiring.without_shown()
        ]

    def read(self, timesteps: int, encoding: str, readout: str) -> ReadGraph:
        if readout == "last":
            self._find(
                self.wiring.end,
                "the answer is read off the last timestep",
                "counts of spikes over all timesteps",
                "train with --readout spike_count",
            )
        if encoding not in EVENTS:
            self._find(
                self.wiring.start,
                f"input of encoding {encoding}, analog values",
                f"whole numbers of events: encoding {', '.join(EVENTS)}",
                "train with --encoding counts, or on frames of events",
            )
        membranes = self.wiring.membranes_shown()
        if membranes:
            self._find(
                self.wiring.end,
                f"an output that is the membrane of '{membranes[0]}'",
                "spikes, which are all that chips give",
                "return the spikes of that layer first and count them (--readout spike_count)",
            )
            return ReadGraph(None, tuple(self.findings))
        output = self._output()
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            layers = [self._layer(name) for name in self.wiring.order(output)]
        finally:
            torch.set_default_dtype(default)
        found, whole = tuple(layer for layer in layers if layer is not None), None
        if output is not None and len(found) == len(layers):
            shown = encoding if encoding in EVENTS else EVENTS[0]
            whole = ChipGraph(found, self.shapes[self.wiring.start], timesteps, shown)
        return ReadGraph(whole, tuple(self.findings), tuple(self.neurons), output)

    def _find(self, where: str, found: str, allowed: str, fix: str) -> None:
        self.findings.append(Finding(where, found, allowed, fix))

    def _refuse(self, where: str, error: NoPath) -> None:
        self._find(where, error.found, error.allowed, error.fix)

    def _output(self) -> str | None:
        try:
            return self.wiring.output()
        except NoPath as error:
            self._refuse(self.wiring.end, error)
            return None

    def _layer(self, name: str) -> Layer | None:
        nodes, shape = self.wiring.neurons[name], self.shapes[name]
        read = read_neuron(nodes, self.flat.nodes, shape, self.options)
        for line in read.findings:
            self._find(
                name, line, "thresholds above 0, reset to 0 or by subtraction", "retrain it so"
            )
        bias = read.offset * np.ones(shape)
        projections, has_bias = self._projections(name, bias)
        if read.layer is None:
            return None
        if projections is None:
            bias = np.zeros(shape)
        layer = unit_gain_layer(name, shape, projections or (), read.layer, bias)
        most = largest(layer)
        if most > MOST:
            self._find(
                name,
                f"values of up to {most:.3g}",
                f"weights, biases and thresholds of up to {MOST:.0e}",
                "divide all of a layer by the same number, which changes no spike",
            )
            return None
        if layer.alpha is not None and has_bias and bool(layer.alpha.any()):
            self._find(
                name,
                "a bias in front of a synapse, which filters it",
                "no bias: chips add theirs behind the synapse",
                "train with --network.bias false and --network.normalise false",
            )
        layer, has_reset = self._behaving(layer, read.layer)
        self.neurons.append(layer)
        return layer if has_reset and projections is not None else None

    def _behaving(self, layer: Layer, neuron: MPONeuron) -> tuple[Layer, bool]:
        """The layer with its reset, number of spikes and lowest membrane; whether it has a reset.

        Without one it is given one of the chip's, for the finding is told here.
        """
        given = self.behaviour.get(layer.name)
        if given is not None:
            fires_at = per_element(self._fires_at(layer.name), layer.shape)
            factor = layer.threshold / torch.from_numpy(fires_at.copy())
            lower = None
            if given.lower is not None:
                lower = given.lower * float(factor.flatten()[0])
                if not bool((factor == factor.flatten()[0]).all()):
                    self._find(
                        layer.name,
                        "a lowest membrane, with gains that differ between neurons",
                        "one gain for a layer",
                        "train one leak per layer (--neuron.granularity layer)",
                    )
            layer = replace(layer, reset=given.reset, most_spikes=given.most_spikes, lower=lower)
            return layer, True
        if neuron.reset_kind == "none" and bool(layer.beta.any()):  # else nothing is left to reset
            self._find(
                layer.name,
                "neurons without reset",
                " or ".join(_RESET_WORDS[kind] for kind in self.resets),
                f"train with --neuron.reset {' or '.join(self.resets)}",
            )
            return replace(layer, reset=self.resets[0]), False
        is_late = neuron.reset_kind == "subtract" and neuron.reset_timing == "next"
        if is_late and "subtract" in self.resets:
            self._find(
                layer.name,
                "a reset one step after the spike",
                "a reset in the step of the spike",
                "train with --neuron.reset_timing step",
            )
        kind: ResetKind = "subtract" if neuron.reset_kind == "subtract" else "zero"
        return replace(layer, reset=kind), True

    def _fires_at(self, name: str) -> Any:
        node = self.flat.nodes[name]
        return node.threshold if kind_of(node) == "Threshold" else node.v_threshold

    def _projections(self, name: str, bias: Array) -> tuple[tuple[Projection, ...] | None, bool]:
        """What drives a layer; biases on the way, each once, are added to `bias`."""
        shape, found, has_bias = self.shapes[name], [], bool(bias.any())
        try:
            ways = self.wiring.ways_into(name)
        except NoPath as error:
            self._refuse(self.wiring.neurons[name].entry, error)
            return None, has_bias
        counted: set[str] = set()
        for source, way in ways:
            label = INPUT if source == self.wiring.start else source
            steps = [(node, self.flat.nodes[node]) for node in way]
            try:
                found.append(fold_path(label, self.shapes[source], steps, name, shape))
            except NoPath as error:
                self._refuse(way[-1] if way else name, error)
                continue
            for node in way:
                of_node = bias_of(self.flat.nodes[node], self.shapes[node])
                if of_node is None or node in counted or not of_node.any():
                    continue
                counted.add(node)
                has_bias = True
                bias += (of_node * scale_behind(steps, node, self.shapes[node])).reshape(shape)
        return (tuple(found) if len(found) == len(ways) else None), has_bias
