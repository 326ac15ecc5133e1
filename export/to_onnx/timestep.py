"""One timestep of a scheduled NIR graph in ONNX operators, states in and states out.

A value of the step before, as loops read it (`mpo_snn.graph.loops`), is what the stateless tail of
the loop makes of what its nodes with state gave then. Only the latter is a state: for a membrane
without threshold its own, for a spiking neuron or Delay one more, `name.spikes` or `name.value`.
All states are zero before the first step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import nir

from mpo_snn.errors import GraphError
from mpo_snn.graph.inline import inline
from mpo_snn.graph.kinds import is_spiking, is_stateful, kind_of
from mpo_snn.graph.loops import Source
from mpo_snn.graph.order import Step, schedule
from mpo_snn.graph.shapes import infer_shapes

from .neurons import Shape, state_shapes, write_update
from .operations import write_operation
from .writer import Scope, Writer

_SILENT = ("I", "LI", "CubaLI")
"""Kinds that give their membrane, so that its state is what they gave before."""


@dataclass
class Values:
    """What a written step gives, by names of values.

    Attributes:
        output: the value of the Output.
        states: state -> its value after the step.
        spikes: spiking node -> its spikes.
        membranes: spiking node -> its membrane before reset; for a Threshold, its input.
        values: every step -> its value.
    """

    output: str = ""
    states: dict[str, str] = field(default_factory=dict)
    spikes: dict[str, str] = field(default_factory=dict)
    membranes: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


class Timestep:
    """A graph that is ready to be written, step by step.

    Args:
        graph: has passed `mpo_snn.graph.check`.
        dt: timestep in seconds.

    Attributes:
        states: name of each state -> its shape without batch, in the order of the graph.
        input_shape: that of the input without batch.
        output_shape: that of the output without batch.
    """

    def __init__(self, graph: nir.NIRGraph, dt: float) -> None:
        """Order the graph and find its states."""
        self.dt = dt
        flat = inline(graph)
        self.nodes, self.shapes = flat.nodes, infer_shapes(flat).outputs
        self.steps: dict[str, Step] = {step.name: step for step in schedule(flat).steps}
        (self.input,), (self.output,) = flat.inputs, flat.outputs
        self.input_shape, self.output_shape = self.shapes[self.input], self.shapes[self.output]
        self.source_of = {target: source for source, target in flat.edges}
        self.states: dict[str, Shape] = {}
        self.own: dict[str, list[str]] = {}
        """Node with state -> its states."""
        self.earlier: dict[tuple[str, int], str] = {}
        """(node with state, k) -> the state that holds its value of k steps ago."""
        for name, step in self.steps.items():
            if is_stateful(self.nodes[step.node]):
                shapes = state_shapes(name, self.nodes[name], self.shapes[name], dt)
                self.own[name] = [self._new_state(s, shape) for s, shape in shapes.items()]
        for step in self.steps.values():
            for source in step.sources:
                if source.delayed:
                    self._remember(source.name, 1)

    @property
    def spiking(self) -> list[str]:
        """The nodes that spike, in the order in which they run."""
        return [name for name in self.steps if name in self.nodes and is_spiking(self.nodes[name])]

    @property
    def kept(self) -> list[str]:
        """States that others than their own node's membrane equation read."""
        lines = [s for name, own in self.own.items() if self._kind(name) == "Delay" for s in own]
        return [*lines, *self.earlier.values()]

    def timeless(self) -> list[str]:
        """Steps without state or spikes that depend on the input alone."""
        found: list[str] = []
        for name, step in self.steps.items():
            node = self.nodes[step.node]
            if is_stateful(node) or is_spiking(node):
                continue
            if all(source.name in found and not source.delayed for source in step.sources):
                found.append(name)
        return found

    def write(
        self,
        writer: Writer,
        x: str,
        states: Mapping[str, str | None],
        suffix: str = "",
        known: Mapping[str, str] | None = None,
    ) -> Values:
        """Write one step.

        Args:
            writer: takes the nodes and parameters.
            x: the input of the step.
            states: every state before the step; None, unless it is `kept`, for one at rest.
            suffix: ends the name of every value.
            known: values of steps that are not to be written again.
        """
        return _Writing(self, writer, states, suffix, dict(known or {})).run(x)

    def _kind(self, step: str) -> str:
        return kind_of(self.nodes[self.steps[step].node])

    def _new_state(self, name: str, shape: Shape) -> str:
        while name in self.states:
            name += "'"
        self.states[name] = shape
        return name

    def _remember(self, name: str, k: int) -> None:
        """Give every node with state behind a value of k steps ago a state that holds it."""
        if name == self.input:
            raise GraphError(f"cannot write the loop behind '{name}' as ONNX: it delays the Input.")
        node = self.nodes[self.steps[name].node]
        if not is_stateful(node):
            for source in self.steps[name].sources:
                self._remember(source.name, k + source.delayed)
            return
        for age in range(1, k + 1):
            if (name, age) in self.earlier:
                continue
            if age == 1 and kind_of(node) in _SILENT:
                self.earlier[name, age] = self.own[name][0]
                continue
            kind = "spikes" if is_spiking(node) else "value"
            wanted = f"{name}.{kind}" if age == 1 else f"{name}.{kind}.{age}_ago"
            self.earlier[name, age] = self._new_state(wanted, self.shapes[name])


class _Writing:
    """One step on its way into the writer."""

    def __init__(
        self,
        timestep: Timestep,
        writer: Writer,
        states: Mapping[str, str | None],
        suffix: str,
        known: dict[str, str],
    ) -> None:
        self.timestep, self.writer, self.states, self.suffix = timestep, writer, states, suffix
        self.now = known
        self.past: dict[tuple[str, int], str] = {}
        self.result = Values(values=self.now)

    def run(self, x: str) -> Values:
        step_by_name, result = self.timestep.steps, self.result
        for name, step in step_by_name.items():
            if name in self.now:
                continue
            total = x if name == self.timestep.input else self._sum(step.sources, 0, name)
            self.now[name] = self._evaluate(step, total)
        for (name, age), state in self.timestep.earlier.items():
            if state not in result.states:
                value = self.now[name] if age == 1 else self._state(name, age - 1)
                result.states[state] = value
        result.output = self.now[self.timestep.output]
        return result

    def _evaluate(self, step: Step, total: str) -> str:
        node, shape = self.timestep.nodes[step.node], self.timestep.shapes[step.node]
        scope = Scope(self.writer, step.node, step.name, self.suffix)
        v = total
        if is_stateful(node):
            own = self.timestep.own[step.node]
            before = [self.states[state] for state in own]
            update = write_update(scope, node, total, before, shape, self.timestep.dt)
            value, v = update.value, update.v
            self.result.states.update(zip(own, update.states, strict=True))
        else:
            value = write_operation(scope, node, total, self._input_shape(step))
        if is_spiking(node) and step.clone_of is None:
            self.result.spikes[step.name], self.result.membranes[step.name] = value, v
        return value

    def _value(self, source: Source, k: int) -> str:
        """What a source gave k steps ago, seen from the step that reads it."""
        k += source.delayed
        name = source.name
        if k == 0:
            return self.now[name]
        step = self.timestep.steps[name]
        node = self.timestep.nodes[step.node]
        if is_stateful(node):
            return self._state(name, k)
        if (name, k) not in self.past:
            label = f"{name}.before" if k == 1 else f"{name}.{k}_before"
            scope = Scope(self.writer, step.node, label, self.suffix)
            total = self._sum(step.sources, k, label)
            self.past[name, k] = write_operation(scope, node, total, self._input_shape(step))
        return self.past[name, k]

    def _state(self, name: str, age: int) -> str:
        state = self.states[self.timestep.earlier[name, age]]
        assert state is not None, "what is read from outside is given"
        return state

    def _sum(self, sources: tuple[Source, ...], k: int, label: str) -> str:
        total, *rest = [self._value(source, k) for source in sources]
        for summand in rest:
            total = self.writer.node("Add", [total, summand], f"{label}.sum{self.suffix}")
        return total

    def _input_shape(self, step: Step) -> Shape:
        return self.timestep.shapes[self.timestep.source_of.get(step.node, step.node)]
