"""Running a scheduled graph over consecutive chunks of timesteps.

Values have shape [T, B, *features]. A value that is the same in all steps of a chunk may have a
time axis of length 1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .loops import Source
from .neurons import Layer, State
from .ops import Operation
from .order import Group, Schedule, Step
from .record import Recorder

Values = dict[str, Tensor]
Transmit = Callable[[str, Tensor, int], Tensor]
"""What becomes of spikes on their way to others: takes the name of the node that fired, its spikes
[T, B, *features] and the timestep of the first of them; called in the order of time."""
Watch = Callable[[str, Tensor, int], None]
"""Is shown what enters each node but the Input: takes the node's name, the values
[T, B, *features], and how many timesteps each of these stands for; called in the order of time."""


@dataclass(frozen=True)
class Program:
    """A schedule with the operations of its nodes.

    Args:
        schedule: what is evaluated in which order.
        operations: what a stateless node does to [N, *features].
        layers: the nodes with state.
        shapes: the output shape of each node.
        spiking: the nodes that can be recorded.
        input: the name of the Input.
        output: the name of the Output.
        dtype: the precision of all values.
        device: where all values are.
    """

    schedule: Schedule
    operations: Mapping[str, Operation]
    layers: Mapping[str, Layer]
    shapes: Mapping[str, tuple[int, ...]]
    spiking: Collection[str]
    input: str
    output: str
    dtype: torch.dtype
    device: torch.device
    exported: frozenset[str] = field(init=False)
    expiring: tuple[tuple[str, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Find which values leave their group, and after which group each is not needed."""
        exported = {self.output}
        last: dict[str, int] = {}
        for index, group in enumerate(self.schedule.groups):
            own = {step.name for step in group.steps}
            read = {source.name for step in group.steps for source in step.sources}
            exported |= read - own
            last.update(dict.fromkeys(own | read, index))
        last.pop(self.output)
        object.__setattr__(self, "exported", frozenset(exported))
        object.__setattr__(
            self,
            "expiring",
            tuple(
                tuple(name for name, end in last.items() if end == index)
                for index in range(len(self.schedule.groups))
            ),
        )

    def timeless(self, forced: Collection[str]) -> frozenset[str]:
        """Return the steps with the same value in every timestep if the input has.

        These are stateless and depend on the input alone. What is recorded or forced is left out:
        it belongs to a chunk.
        """
        found: set[str] = set()
        for step in (group.steps[0] for group in self.schedule.groups if not group.is_loop):
            if (
                step.name not in self.layers
                and step.name not in self.spiking
                and step.name not in forced
                and all(source.name in found for source in step.sources)
            ):
                found.add(step.name)
        return frozenset(found)

    def fold(self, step: Step, x: Tensor) -> Tensor:
        """Apply a stateless node to [T, B, *features]."""
        y = self.operations[step.node](x.flatten(0, 1))
        return y.reshape(*x.shape[:2], *y.shape[1:])


class Execution:
    """One pass of a program through time, chunk by chunk.

    Args:
        program: what to run.
        batch: the number of samples.
        recorder: takes the spikes and membranes.
        forced: values [T, B, *features] that the others see in place of a node's own.
        transmit: what becomes of spikes on their way; None: they arrive as they are.
        watch: is shown what enters each node.
        is_constant: whether the input is the same in every timestep.
    """

    def __init__(
        self,
        program: Program,
        batch: int,
        recorder: Recorder,
        forced: Mapping[str, Tensor],
        transmit: Transmit | None = None,
        watch: Watch | None = None,
        *,
        is_constant: bool,
    ) -> None:
        """Set all states and delayed values to those before the first step."""
        self.program = program
        self.batch = batch
        self.recorder = recorder
        self.forced = forced
        self.transmit = transmit
        self.watch = watch
        self.states: dict[str, State] = {
            name: layer.start(batch) for name, layer in program.layers.items()
        }
        self.previous = _before_first_step(program, batch)
        self.timeless = program.timeless(forced) if is_constant else frozenset()
        self.kept: Values = {}
        """The values of timeless steps that others read, from the first chunk on."""

    def advance(self, x: Tensor, start: int, stop: int) -> Tensor:
        """Run the steps `start` to `stop` on their input and return the value of the Output."""
        values = dict(self.kept)
        for group, expiring in zip(
            self.program.schedule.groups, self.program.expiring, strict=True
        ):
            if group.is_loop:
                self._run_loop(group, values, start, stop)
            elif start == 0 or group.steps[0].name not in self.timeless:
                self._run_single(group.steps[0], x, values, start, stop)
            for name in expiring:
                values.pop(name, None)
        return values[self.program.output]

    def _run_single(self, step: Step, x: Tensor, values: Values, start: int, stop: int) -> None:
        total = x if step.name == self.program.input else _add_up(step.sources, values)
        assert total is not None, f"{step.name!r} has no input"
        if step.name != self.program.input:
            is_timeless = step.name in self.timeless
            shown_for = self.recorder.timesteps if is_timeless else stop - start
            self._show(step, total, shown_for // len(total))
        layer = self.program.layers.get(step.name)
        if layer is not None:
            keep_v = self.recorder.keeps_v and step.name in self.program.spiking
            value, v = layer.scan(total, self.states[step.name], stop - start, keep_v=keep_v)
        else:
            value, v = self.program.fold(step, total), total
        self.recorder.add(step.name, value, v, start, stop)
        forced = self._forced(step.name, start, stop)
        if forced is not None:
            value = forced
        elif self.transmit is not None and step.node in self.program.spiking:
            value = self.transmit(step.name, value.expand(stop - start, *value.shape[1:]), start)
        values[step.name] = value
        if step.name in self.timeless and self._is_read_in_time(step.name):
            self.kept[step.name] = values[step.name]

    def _run_loop(self, group: Group, values: Values, start: int, stop: int) -> None:
        """Do all steps of a loop for one timestep after the other."""
        own = {step.name for step in group.steps}
        inner = {
            s.name: [source for source in s.sources if source.name in own] for s in group.steps
        }
        outer: Values = {}
        for step in group.steps:
            total = _add_up([s for s in step.sources if s.name not in own], values)
            if total is not None:
                outer[step.name] = total.expand(stop - start, *total.shape[1:])
        tapes = {step.name: self._tape(step, start, stop) for step in group.steps}
        for t in range(stop - start):
            now: Values = {}
            for step in group.steps:
                total = _add_up(inner[step.name], now, self.previous)
                if step.name in outer:
                    total = outer[step.name][t] if total is None else total + outer[step.name][t]
                assert total is not None, f"{step.name!r} has no input"
                self._show(step, total[None], 1)
                value = self._evaluate(step, total, tapes[step.name], t)
                tape = tapes[step.name]
                if tape.forced is not None:
                    value = tape.forced[t]
                elif self.transmit is not None and tape.arrives is not None:
                    value = self.transmit(step.name, value[None], start + t)[0]
                    tape.arrives[t] = value
                now[step.name] = value
            self.previous.update((name, now[name]) for name in own & self.previous.keys())
        for name, tape in tapes.items():
            if tape.value is not None:
                self.recorder.add(name, tape.value, tape.v, start, stop)
            seen = next((x for x in (tape.forced, tape.arrives) if x is not None), tape.value)
            if name in self.program.exported and seen is not None:
                values[name] = seen

    def _show(self, step: Step, total: Tensor, repeats: int) -> None:
        if self.watch is not None and step.clone_of is None:
            self.watch(step.node, total, repeats)

    def _tape(self, step: Step, start: int, stop: int) -> _Tape:
        forced = self._forced(step.name, start, stop)
        recorded = step.name in self.program.spiking
        shape = (stop - start, self.batch, *self.program.shapes[step.node])
        tape = _Tape(forced=forced)
        if recorded or (step.name in self.program.exported and forced is None):
            tape.value = torch.empty(shape, dtype=self.program.dtype, device=self.program.device)
        if recorded and self.recorder.keeps_v:
            tape.v = torch.empty(shape, dtype=self.program.dtype, device=self.program.device)
        if recorded and self.transmit is not None:
            tape.arrives = torch.empty(shape, dtype=self.program.dtype, device=self.program.device)
        return tape

    def _evaluate(self, step: Step, total: Tensor, tape: _Tape, t: int) -> Tensor:
        """Evaluate one node in one timestep of a loop."""
        layer = self.program.layers.get(step.name)
        v = None if tape.v is None else tape.v[t]
        if layer is not None:
            value = torch.empty_like(total) if tape.value is None else tape.value[t]
            layer.advance(layer.drive(total), self.states[step.name], value, v)
            return value
        value = self.program.operations[step.node](total)
        if tape.value is not None:
            tape.value[t] = value
        if v is not None:
            v.copy_(total)
        return value

    def _forced(self, name: str, start: int, stop: int) -> Tensor | None:
        forced = self.forced.get(name)
        if forced is None:
            return None
        return forced[start:stop].to(dtype=self.program.dtype, device=self.program.device)

    def _is_read_in_time(self, name: str) -> bool:
        return name == self.program.output or any(
            source.name == name and step.name not in self.timeless
            for step in self.program.schedule.steps
            for source in step.sources
        )


@dataclass
class _Tape:
    """A node of a loop over one chunk; what nobody asks for is left out.

    Args:
        forced: what the others see in place of the node's own value.
        value: its own value.
        v: its membrane before reset.
        arrives: what others see of its own value, where spikes change on their way.
    """

    forced: Tensor | None = None
    arrives: Tensor | None = None
    value: Tensor | None = None
    v: Tensor | None = None


def _add_up(
    sources: Sequence[Source], now: Values, previous: Values | None = None
) -> Tensor | None:
    total = None
    for source in sources:
        value = (
            previous[source.name] if source.delayed and previous is not None else now[source.name]
        )
        total = value if total is None else total + value
    return total


def _before_first_step(program: Program, batch: int) -> Values:
    """Return the delayed values of step -1: what a tail makes of nodes with state that are at 0."""
    steps = {step.name: step for step in program.schedule.steps}
    needed: set[str] = set()
    waiting = list(program.schedule.delayed)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            if name not in program.layers:
                waiting.extend(source.name for source in steps[name].sources)
    values: Values = {}
    for name, step in steps.items():
        if name not in needed:
            continue
        if name in program.layers:
            values[name] = program.layers[name].zeros(1)
        else:
            total = _add_up(step.sources, values)
            assert total is not None, f"{name!r} has no input"
            values[name] = program.operations[step.node](total)
    return {
        name: values[name].expand(batch, *values[name].shape[1:])
        for name in program.schedule.delayed
    }
