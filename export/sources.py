"""Two things that can be driven with the same input and show every spike: networks and graphs."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import nir
import torch
from torch import Tensor

from mpo_snn.errors import ExportError
from mpo_snn.graph.ops import per_element
from mpo_snn.graph.simulate import Simulator
from mpo_snn.unroll import Unrolled

from .recording import Recording


class NetworkSource:
    """A trained network, in eval mode, run by `Unrolled`.

    Raises:
        ExportError: if it is not unrolled; in `run`, if it does not take such samples.
    """

    def __init__(self, network: Unrolled, title: str = "network") -> None:
        """Keep copies in each precision; the network is not touched."""
        if not isinstance(network, Unrolled):
            raise ExportError(
                f"cannot compare {type(network).__name__}: it runs one timestep; give"
                " NetworkSource(Unrolled(network, timesteps))."
            )
        self.title = title
        self._network = network
        self._copies: dict[torch.dtype, Unrolled] = {}

    def layers(self) -> list[str]:
        """Names of the neuron layers, without one that is read out by its membrane alone."""
        return list(self._network.spiking)

    def limit(self, dtype: torch.dtype) -> int | None:
        """See `Source.limit`."""
        return None

    @torch.no_grad()
    def run(self, x: Tensor, dtype: torch.dtype) -> Recording:
        """See `Source.run`."""
        if dtype not in self._copies:
            self._copies[dtype] = copy.deepcopy(self._network).to(dtype).eval()
        spikes: dict[str, Tensor] = {}
        v: dict[str, Tensor] = {}

        network = self._copies[dtype]
        neurons = network.spiking

        def observe(name: str, spk: Tensor, membrane: Tensor) -> None:
            if name not in neurons:
                return
            kind = torch.int16 if neurons[name].most_spikes > 1 else torch.bool
            spikes[name], v[name] = spk.to(kind), neurons[name].in_units_of_nir(membrane)

        try:
            output = network(_cast(x, dtype), observe=observe)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise ExportError(
                f"cannot run {self.title} on samples that are {tuple(x.shape[2:])} at one timestep:"
                f" {reason}."
            ) from error
        return Recording(spikes, v, output)


class GraphSource:
    """A NIR graph, run by the project's own simulator.

    Args:
        graph: the graph.
        dt: timestep in seconds.
        spiking: layer name -> node that spikes; None takes the nodes' own names.
        title: what messages call it.
        units: layer -> what its membrane must be multiplied by to be in volt of the reference,
            per neuron; a file may state a layer in other units.

    Raises:
        ExportError: if a named node is not a spiking node of the graph.
    """

    def __init__(
        self,
        graph: nir.NIRGraph,
        dt: float,
        spiking: dict[str, str] | None = None,
        title: str = "graph",
        units: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Build simulators when they are first needed."""
        self.title, self.graph, self.dt = title, graph, dt
        self._units = dict(units or {})
        self._simulators: dict[torch.dtype, Simulator] = {}
        found = self.simulator(torch.float64).spiking
        self.spiking = spiking or {name: name for name in found}
        lost = [f"layer '{a}' -> node '{b}'" for a, b in self.spiking.items() if b not in found]
        if lost:
            raise ExportError(
                f"cannot compare {title}: {', '.join(lost)} is named in its metadata but does not"
                f" spike in the graph, which has {', '.join(found) or 'no spiking node'}."
            )

    def layers(self) -> list[str]:
        """Names of the layers, in the order in which their nodes run."""
        order = {node: i for i, node in enumerate(self.simulator(torch.float64).spiking)}
        return sorted(self.spiking, key=lambda layer: order[self.spiking[layer]])

    def simulator(self, dtype: torch.dtype) -> Simulator:
        """The simulator in a precision."""
        if dtype not in self._simulators:
            self._simulators[dtype] = Simulator(self.graph, self.dt, dtype=dtype)
        return self._simulators[dtype]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Replayable.shapes`."""
        shapes = self.simulator(torch.float64).node_shapes
        return {layer: shapes[self.spiking[layer]] for layer in self.layers()}

    @property
    def neurons(self) -> int:
        """See `Replayable.neurons`."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def limit(self, dtype: torch.dtype) -> int | None:
        """See `Source.limit`."""
        return None

    def run(self, x: Tensor, dtype: torch.dtype) -> Recording:
        """See `Source.run`."""
        return self._record(x, dtype, None)

    def replay(self, x: Tensor, dtype: torch.dtype, reference: Recording) -> Recording:
        """See `Replayable.replay`."""
        return self._record(x, dtype, self.forced(reference)).like(reference)

    def forced(self, reference: Recording) -> dict[str, Tensor]:
        """The reference's spikes by node of this graph, in the node's shape."""
        shapes = self.simulator(torch.float64).node_shapes
        nodes = {layer: self.spiking[layer] for layer in reference.spikes}
        return {
            node: reference.spikes[layer].reshape(*reference.spikes[layer].shape[:2], *shapes[node])
            for layer, node in nodes.items()
        }

    def thresholds(self) -> dict[str, Tensor]:
        """See `Replayable.thresholds`."""
        simulator = self.simulator(torch.float64)
        values = {}
        for layer, name in self.spiking.items():
            node = simulator.flat.nodes[name]
            value = node.threshold if hasattr(node, "threshold") else node.v_threshold
            spread = per_element(value, simulator.node_shapes[name]).copy()
            values[layer] = torch.from_numpy(spread) * self.unit(layer)
        return values

    def membrane_bounds(
        self, x: Tensor, reference: Recording, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """See `Replayable.membrane_bounds`."""
        from .rounding import membrane_bounds

        return membrane_bounds(self, x, reference, dtype)

    def output_bounds(self, x: Tensor, reference: Recording, dtype: torch.dtype) -> Tensor:
        """See `Replayable.output_bounds`."""
        from .rounding import output_bounds

        return output_bounds(self, x, reference, dtype)

    def unit(self, layer: str) -> Tensor | float:
        """What one unit of a layer's membrane in this graph is in the units of the recording."""
        return self._units.get(layer, 1.0)

    def _record(self, x: Tensor, dtype: torch.dtype, forced: dict[str, Tensor] | None) -> Recording:
        simulator = self.simulator(dtype)
        x = _cast(shaped(x, simulator.input_shape), dtype)
        run = simulator.run(x, record="membrane", forced=forced)
        return Recording(
            {layer: run.spikes[node] for layer, node in self.spiking.items()},
            {layer: self._v(run.v[node], layer) for layer, node in self.spiking.items()},
            run.output,
        )

    def _v(self, v: Tensor, layer: str) -> Tensor:
        return v * self._units[layer].to(v) if layer in self._units else v


def shaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The input as a graph whose Input is flat takes it; any other misfit is left to be told."""
    if len(shape) != 1 or x.shape[2:] == shape or x[0, 0].numel() != shape[0]:
        return x
    if x.stride(0) == 0:
        return x[0].flatten(1).expand(x.shape[0], -1, -1)
    return x.flatten(2)


def _cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The input in a precision, constant in time as before."""
    if x.shape[0] > 1 and x.stride(0) == 0:
        return x[0].to(dtype).expand(x.shape)
    return x.to(dtype)
