"""Running a program over consecutive chunks of timesteps; values are those of `program`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .layer import State
from .order import Group, Step
from .program import Program, Values, add_up, before_first_step
from .record import Recorder

Transmit = Callable[[str, Tensor, int], Tensor]
"""What becomes of spikes on their way to others: takes the name of the node that fired, its spikes
[T, B, *features] and the timestep of the first of them; called in the order of time. A neuron's own
reset (`mpo_snn.graph.resets`) is no such way."""
Watch = Callable[[str, Tensor, int], None]
"""Is shown what enters each node but the Input: takes the node's name, the values
[T, B, *features], and how many timesteps each of these stands for; called in the order of time."""


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
        self.previous = before_first_step(program, batch)
        self.previous_fired = self.previous if transmit is None else dict(self.previous)
        """The delayed values as resets see them, before anything became of spikes on their way."""
        self.timeless = program.timeless(forced) if is_constant else frozenset()
        self.kept: Values = {}
        """The values of timeless steps that others read, from the first chunk on."""

    def advance(self, x: Tensor, start: int, stop: int) -> Tensor:
        """Run the steps `start` to `stop` on their input and return the value of the Output."""
        values = dict(self.kept)
        fired = values if self.transmit is None else {}
        for group, expiring in zip(
            self.program.schedule.groups, self.program.expiring, strict=True
        ):
            if group.is_loop:
                self._run_loop(group, values, fired, start, stop)
            elif start == 0 or group.steps[0].name not in self.timeless:
                self._run_single(group.steps[0], x, values, fired, start, stop)
            for name in expiring:
                values.pop(name, None)
        return values[self.program.output]

    def _run_single(
        self, step: Step, x: Tensor, values: Values, fired: Values, start: int, stop: int
    ) -> None:
        seen = fired if step.node in self.program.resets else values
        total = x if step.name == self.program.input else add_up(step.sources, seen)
        assert total is not None, f"{step.name!r} has no input"
        if step.name != self.program.input:
            is_timeless = step.name in self.timeless
            shown_for = self.recorder.timesteps if is_timeless else stop - start
            self._show(step, total, shown_for // len(total))
        layer = self.program.layers.get(step.name)
        if layer is not None:
            keep_v = self.recorder.keeps_v and step.name in self.program.spiking
            counts = self.recorder.counts.get(step.name)
            value, v = layer.scan(
                total, self.states[step.name], stop - start, keep_v=keep_v, counts=counts
            )
        else:
            value, v = self.program.fold(step, total), total
        self.recorder.add(step.name, value, v, start, stop, counted=layer is not None)
        forced = self._forced(step.name, start, stop)
        if forced is not None:
            value = forced
        if step.name in self.program.reset_by:
            fired[step.name] = value
        if forced is None and self.transmit is not None and step.node in self.program.spiking:
            value = self.transmit(step.name, value.expand(stop - start, *value.shape[1:]), start)
        values[step.name] = value
        if step.name in self.timeless and self._is_read_in_time(step.name):
            self.kept[step.name] = value

    def _run_loop(self, group: Group, values: Values, fired: Values, start: int, stop: int) -> None:
        """Do all steps of a loop for one timestep after the other."""
        own = {step.name for step in group.steps}
        inner = {
            s.name: [source for source in s.sources if source.name in own] for s in group.steps
        }
        outer: Values = {}
        for step in group.steps:
            total = add_up([s for s in step.sources if s.name not in own], values)
            if total is not None:
                outer[step.name] = total.expand(stop - start, *total.shape[1:])
        tapes = {step.name: self._tape(step, start, stop) for step in group.steps}
        for t in range(stop - start):
            now: Values = {}
            now_fired = now if self.transmit is None else {}
            for step in group.steps:
                if step.node in self.program.resets:
                    total = add_up(inner[step.name], now_fired, self.previous_fired)
                else:
                    total = add_up(inner[step.name], now, self.previous)
                if step.name in outer:
                    total = outer[step.name][t] if total is None else total + outer[step.name][t]
                assert total is not None, f"{step.name!r} has no input"
                self._show(step, total[None], 1)
                tape = tapes[step.name]
                value = self._evaluate(step, total, tape, t)
                if tape.forced is not None:
                    value = tape.forced[t]
                now_fired[step.name] = value
                if tape.arrives is not None and self.transmit is not None:
                    value = self.transmit(step.name, value[None], start + t)[0]
                    tape.arrives[t] = value
                now[step.name] = value
            delayed = own & self.previous.keys()
            self.previous.update((name, now[name]) for name in delayed)
            self.previous_fired.update((name, now_fired[name]) for name in delayed)
        for name, tape in tapes.items():
            if tape.value is not None:
                self.recorder.add(name, tape.value, tape.v, start, stop)
            if name in self.program.reset_by and tape.fired is not None:
                fired[name] = tape.fired
            if name in self.program.exported and tape.seen is not None:
                values[name] = tape.seen

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
        if recorded and forced is None and self.transmit is not None:
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

    @property
    def fired(self) -> Tensor | None:
        """What its own reset sees."""
        return self.value if self.forced is None else self.forced

    @property
    def seen(self) -> Tensor | None:
        """What the others see."""
        return self.fired if self.arrives is None else self.arrives
