"""A scheduled graph with the operations of its nodes, and its values before the first timestep.

Values have shape [T, B, *features]. A value that is the same in all steps of a chunk may have a
time axis of length 1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .layer import Layer
from .loops import Source
from .ops import Operation
from .order import Schedule, Step

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Program:
    """A schedule with the operations of its nodes.

    Args:
        schedule: what is evaluated in which order.
        operations: what a stateless node does to [N, *features].
        layers: the nodes with state.
        shapes: the output shape of each node.
        spiking: the nodes that can be recorded.
        resets: the nodes that see spikes as they were fired (`mpo_snn.graph.resets`).
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
    resets: Collection[str]
    input: str
    output: str
    dtype: torch.dtype
    device: torch.device
    exported: frozenset[str] = field(init=False)
    expiring: tuple[tuple[str, ...], ...] = field(init=False)
    reset_by: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Find which values leave their group, when each was read last, and what resets read."""
        exported = {self.output}
        last: dict[str, int] = {}
        for index, group in enumerate(self.schedule.groups):
            own = {step.name for step in group.steps}
            read = {source.name for step in group.steps for source in step.sources}
            exported |= read - own
            last.update(dict.fromkeys(own | read, index))
        last.pop(self.output)
        reset_by = (
            source.name
            for step in self.schedule.steps
            if step.node in self.resets
            for source in step.sources
        )
        object.__setattr__(self, "reset_by", frozenset(reset_by))
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


def add_up(sources: Sequence[Source], now: Values, previous: Values | None = None) -> Tensor | None:
    """The sum of what a node reads; None if it reads nothing.

    Args:
        sources: of the node.
        now: values of this timestep, or of a chunk of them.
        previous: those of the timestep before, which delayed sources take.
    """
    total = None
    for source in sources:
        value = (
            previous[source.name] if source.delayed and previous is not None else now[source.name]
        )
        total = value if total is None else total + value
    return total


def before_first_step(program: Program, batch: int) -> Values:
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
            total = add_up(step.sources, values)
            assert total is not None, f"{name!r} has no input"
            values[name] = program.operations[step.node](total)
    return {
        name: values[name].expand(batch, *values[name].shape[1:])
        for name in program.schedule.delayed
    }
