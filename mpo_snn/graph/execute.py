"""Running a scheduled graph over consecutive chunks of timesteps.

Values have shape [T, B, *features]. A value that is the same in all steps of a chunk may have a
time axis of length 1.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .neurons import Layer, State
from .ops import Operation
from .order import Group, Schedule, Source, Step
from .record import Recorder

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Program:
    """A schedule with the operations of its nodes.

    Args:
        schedule: what is evaluated in which order.
        operations: what a stateless node does to [N, *features].
        layers: the nodes with state.
        spiking: the nodes that are recorded.
        input: the name of the Input.
        output: the name of the Output.
    """

    schedule: Schedule
    operations: Mapping[str, Operation]
    layers: Mapping[str, Layer]
    spiking: Container[str]
    input: str
    output: str
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

    def timeless(self, forced: Container[str]) -> frozenset[str]:
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
        return self.operations[step.node](x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Execution:
    """One pass of a program through time, chunk by chunk.

    Args:
        program: what to run.
        batch: the number of samples.
        recorder: takes the spikes and membranes.
        forced: values [T, B, *features] that the others see in place of a node's own.
        is_constant: whether the input is the same in every timestep.
    """

    def __init__(
        self,
        program: Program,
        batch: int,
        recorder: Recorder,
        forced: Mapping[str, Tensor],
        *,
        is_constant: bool,
    ) -> None:
        """Set all states and delayed values to those before the first step."""
        self.program = program
        self.recorder = recorder
        self.forced = forced
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
        layer = self.program.layers.get(step.name)
        if layer is not None:
            keep_v = self.recorder.keeps_v and step.name in self.program.spiking
            value, v = layer.scan(total, self.states[step.name], stop - start, keep_v=keep_v)
        else:
            value, v = self.program.fold(step, total), total
        self.recorder.add(step.name, value, v, start, stop)
        values[step.name] = self._seen(step.name, value, start, stop)
        if step.name in self.timeless and self._is_read_in_time(step.name):
            self.kept[step.name] = values[step.name]

    def _run_loop(self, group: Group, values: Values, start: int, stop: int) -> None:
        """Do all steps of a loop for one timestep after the other."""
        own = {step.name for step in group.steps}
        outer: Values = {}
        inner: dict[str, tuple[Source, ...]] = {}
        for step in group.steps:
            inner[step.name] = tuple(source for source in step.sources if source.name in own)
            total = _add_up([s for s in step.sources if s.name not in own], values)
            if total is not None:
                outer[step.name] = total.expand(stop - start, *total.shape[1:])
        tapes = _Tapes(self, group, start, stop)
        for t in range(stop - start):
            now: Values = {}
            for step in group.steps:
                total = _add_up(inner[step.name], now, self.previous)
                if step.name in outer:
                    total = outer[step.name][t] if total is None else total + outer[step.name][t]
                assert total is not None, f"{step.name!r} has no input"
                now[step.name] = tapes.write(t, step, total)
            self.previous.update((name, now[name]) for name in own & self.previous.keys())
        tapes.close(values)

    def _seen(self, name: str, value: Tensor, start: int, stop: int) -> Tensor:
        forced = self.forced.get(name)
        return value if forced is None else forced[start:stop].to(value)

    def _is_read_in_time(self, name: str) -> bool:
        return name == self.program.output or any(
            source.name == name and step.name not in self.timeless
            for step in self.program.schedule.steps
            for source in step.sources
        )


class _Tapes:
    """The values of a loop over one chunk: what is recorded, and what others read after it."""

    def __init__(self, execution: Execution, group: Group, start: int, stop: int) -> None:
        self.execution = execution
        self.start, self.stop = start, stop
        self.outputs: Values = {}
        self.membranes: Values = {}
        self.forced: Values = {}
        program, recorder = execution.program, execution.recorder
        for step in group.steps:
            ...
