"""Simulating a NIR graph in discrete time, batched, on any torch device.

The equations of the nodes are in `mpo_snn.graph.neurons`, the place of a loop's delay in
`mpo_snn.graph.loops`. What has no loop runs over many timesteps at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import nir
import torch
from torch import Tensor

from mpo_snn.errors import GraphError, ShapeError

from .by_density import ByDensity, operation_by_density
from .check import check_graph
from .chip_neurons import ChipNeurons, known_behaviour
from .execute import Execution, Transmit, Watch
from .fan_out import FanOut
from .inline import inline
from .kinds import is_spiking, is_stateful
from .layer import Layer
from .metadata import behaviour_of
from .neurons import layer
from .ops import Operation, operation
from .order import schedule
from .precision import check_range, every_digit
from .program import Program
from .record import Record, Recorder
from .resets import own_resets
from .shapes import infer_shapes

CHUNK_BYTES = 256 * 2**20
"""How much the values of one chunk may take if all were kept, where the caller does not say."""
NEAR_BYTES = 128 * 2**20
"""How much the values of a run may take on a CPU to be near: beyond, layers wait for memory."""


@dataclass(frozen=True)
class Simulation:
    """What a simulation gave.

    Args:
        output: the value of the Output, shape [T, B, *output_shape].
        counts: spikes of each spiking node, added up over time and samples, float64, shape
            [*shape]; empty if nothing was recorded.
        sample_counts: spikes of each spiking node, added up over time and neurons, float64, [B].
        driven: what spikes of each spiking node drive, added up over time and neurons, float64,
            [B, K] with K sums as `fan_out` of `Simulator.run` says; K is 0 for nodes without.
        spikes: the spikes themselves, shape [T, B, *shape], where they were recorded; bool, or for
            nodes that fire several times in a step their number, int16.
        v: the membrane before reset, shape [T, B, *shape], where it was recorded; for a Threshold,
            its input.
        timesteps: T.
        samples: B.
    """

    output: Tensor
    counts: dict[str, Tensor]
    sample_counts: dict[str, Tensor]
    driven: dict[str, Tensor]
    spikes: dict[str, Tensor]
    v: dict[str, Tensor]
    timesteps: int
    samples: int


class Simulator:
    """A NIR graph, ready to run.

    Args:
        graph: is not changed; later changes to it have no effect. What its neurons do beyond NIR
            is read from its metadata (`mpo_snn.graph.neuron_behaviour`).
        dt: the step in seconds; NIR graphs are continuous in time and do not state one.
        dtype: the precision of all states and values, float32 or float64.
        device: where they are.
        events: let convolutions go over to events while their input is sparse, in float32 on the
            CPU (`mpo_snn.graph.by_density`).

    Raises:
        GraphError: if the graph does not make sense (`mpo_snn.graph.check`), dt is not a positive
            number or does not fit the graph's time constants and delays.
    """

    def __init__(
        self,
        graph: nir.NIRGraph,
        dt: float,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        *,
        events: bool = False,
    ) -> None:
        """Check, order and discretise the graph."""
        if dtype not in (torch.float32, torch.float64):
            raise GraphError(f"cannot simulate in {dtype}, expected torch.float32 or torch.float64")
        check_graph(graph, dt)
        self.dt = dt
        self.dtype = dtype
        self.device = torch.device(device)
        self.flat = inline(graph)
        self.schedule = schedule(self.flat)
        self.node_shapes = infer_shapes(self.flat).outputs
        (self._input,), (self._output,) = self.flat.inputs, self.flat.outputs
        self.input_shape = self.node_shapes[self._input]
        self.output_shape = self.node_shapes[self._output]
        self.spiking = [
            step.node
            for step in self.schedule.steps
            if step.clone_of is None and is_spiking(self.flat.nodes[step.node])
        ]
        self.behaviour = known_behaviour(behaviour_of(graph), self.flat, self.spiking)
        incoming = {target: source for source, target in self.flat.edges}
        layers: dict[str, Layer] = {}
        operations: dict[str, Operation] = {}
        for name, node in self.flat.nodes.items():
            if is_stateful(node):
                shape, beyond = self.node_shapes[name], self.behaviour.get(name)
                if beyond is None:
                    layers[name] = layer(node, dt, shape, dtype, self.device)
                else:
                    layers[name] = ChipNeurons(node, beyond, dt, shape, dtype, self.device)
            else:
                shape = self.node_shapes[incoming.get(name, name)]
                operations[name] = (
                    operation_by_density(node, shape)
                    if events and dtype == torch.float32 and self.device.type == "cpu"
                    else operation(node, shape, dtype, self.device)
                )
        self._program = Program(
            self.schedule,
            operations,
            layers,
            self.node_shapes,
            self.spiking,
            own_resets(self.flat).keys(),
            self._input,
            self._output,
            dtype,
            self.device,
        )

    @property
    def on_events(self) -> list[str]:
        """The nodes that have run on events so far."""
        operations = self._program.operations.items()
        return [
            name
            for name, operation in operations
            if isinstance(operation, ByDensity) and operation.has_run_on_events
        ]

    def samples_near(self, timesteps: int) -> int | None:
        """With how many samples a run is fastest on a CPU; None elsewhere: the more the better."""
        if self.device.type != "cpu":
            return None
        return max(1, NEAR_BYTES // (timesteps * self._bytes_of_step()))

    @torch.no_grad()
    def run(
        self,
        x: Tensor,
        *,
        record: Record = "none",
        forced: Mapping[str, Tensor] | None = None,
        transmit: Transmit | None = None,
        watch: Watch | None = None,
        fan_out: Mapping[str, FanOut] | None = None,
        chunk: int | None = None,
    ) -> Simulation:
        """Run the graph from silence.

        Args:
            x: the input, shape [T, B, *input_shape], any real type and device. With stride 0 in
                time (`sample.expand(T, ...)`) it is known to be constant, and what only depends on
                it and has no state is computed once.
            record: "none"; "counts" of spikes, in memory that does not grow with T; "spikes", which
                includes the counts; "membrane", which includes both.
            forced: for some spiking nodes, spikes of shape [T, B, *shape] that everything
                downstream sees, loops included, in place of the node's own. The node itself goes on
                from its own spikes, and these are what is recorded.
            transmit: what becomes of spikes on their way from any spiking node to others, loops
                included; what is recorded, and what a reset by subtraction sees
                (`mpo_snn.graph.resets`), is what was fired.
            watch: is shown what enters each node, once where a loop evaluates it twice.
            fan_out: for some spiking nodes, how much a spike of each neuron counts for in K sums
                (`Simulation.driven`).
            chunk: how many timesteps are handled at once; states are carried on, so the result is
                the same for any number, up to the order in which torch adds up a product with
                another number of rows. None chooses by memory.

        Raises:
            ShapeError: if x or a forced value does not have its shape.
            GraphError: if `forced` names a node that is not spiking, `record` is unknown or `chunk`
                is smaller than 1; if `transmit` is given and a loop evaluates a spiking node twice;
                if a membrane or the output is infinite or NaN at the end.
        """
        timesteps, batch = self._check_input(x)
        forced = self._check_forced(forced or {}, timesteps, batch)
        if chunk is None:
            chunk = self._chunk(batch)
        elif chunk < 1:
            raise GraphError(f"cannot run {chunk} timesteps at once, expected at least 1")
        shapes = {name: self.node_shapes[name] for name in self.spiking}
        several = [name for name, beyond in self.behaviour.items() if beyond.most_spikes > 1]
        recorder = Recorder(
            record, shapes, timesteps, batch, self.dtype, self.device, several, fan_out
        )
        is_constant = timesteps == 1 or x.stride(0) == 0
        if transmit is not None:
            self._check_no_clone_fires()
        execution = Execution(
            self._program, batch, recorder, forced, transmit, watch, is_constant=is_constant
        )
        output = torch.empty(
            timesteps, batch, *self.output_shape, dtype=self.dtype, device=self.device
        )
        with every_digit(self.device):
            for start in range(0, timesteps, chunk):
                stop = min(start + chunk, timesteps)
                part = x[:1] if is_constant else x[start:stop]
                part = part.to(dtype=self.dtype, device=self.device)
                output[start:stop] = execution.advance(part, start, stop)
        ends = [(name, kept) for name, state in execution.states.items() for kept in state.tensors]
        check_range([*ends, (self._output, output)], self.dtype)
        return Simulation(
            output,
            {name: counts.of_neurons for name, counts in recorder.counts.items()},
            {name: counts.of_samples for name, counts in recorder.counts.items()},
            {name: counts.driven for name, counts in recorder.counts.items()},
            recorder.spikes,
            recorder.v,
            timesteps,
            batch,
        )

    def _check_no_clone_fires(self) -> None:
        twice = [s.clone_of for s in self.schedule.steps if s.clone_of in self.spiking]
        if twice:
            raise GraphError(
                f"cannot change spikes on their way from {', '.join(map(repr, twice))}: a loop"
                " evaluates it a second time, on other values"
            )

    def _chunk(self, batch: int) -> int:
        return max(1, CHUNK_BYTES // (batch * self._bytes_of_step()))

    def _bytes_of_step(self) -> int:
        """Of all values of one sample at one timestep."""
        return self.dtype.itemsize * sum(math.prod(shape) for shape in self.node_shapes.values())

    def _check_input(self, x: Tensor) -> tuple[int, int]:
        if x.ndim < 2 or x.shape[2:] != self.input_shape or 0 in x.shape[:2]:
            expected = ", ".join(["T >= 1", "B >= 1", *map(str, self.input_shape)])
            raise ShapeError(
                f"cannot run the graph on an input of shape {tuple(x.shape)}: its Input "
                f"{self._input!r} takes [{expected}]"
            )
        return x.shape[0], x.shape[1]

    def _check_forced(
        self, forced: Mapping[str, Tensor], timesteps: int, batch: int
    ) -> Mapping[str, Tensor]:
        clones = {step.clone_of for step in self.schedule.steps}
        for name, value in forced.items():
            if name not in self.spiking:
                raise GraphError(
                    f"cannot force {name!r}: it is no spiking node, expected one of {self.spiking}"
                )
            if name in clones:
                raise GraphError(
                    f"cannot force {name!r}: a loop evaluates it a second time, on other values"
                )
            expected = (timesteps, batch, *self.node_shapes[name])
            if tuple(value.shape) != expected:
                raise ShapeError(
                    f"cannot force {name!r} to values of shape {tuple(value.shape)}, "
                    f"expected {expected}"
                )
        return forced
