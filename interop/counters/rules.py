"""What each rule by which counters differ makes in operations, out of this project's counts alone.

A chain goes from this project's figure to another's, rule by rule; where it does not end at what
the other says, something is not explained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from mpo_snn.evaluation.fanout import synaptic_fan_out
from mpo_snn.evaluation.neurobench import EnteringValues
from mpo_snn.evaluation.roles import POOLING, Role
from mpo_snn.graph.geometry import pooling_window
from mpo_snn.graph.inline import inline
from mpo_snn.graph.kinds import kind_of
from mpo_snn.graph.shapes import infer_shapes

from .cases import BATCH, CountedCase

Steps = list[tuple[str, int]]

OF_A_NEURON = 6
"""Additions that SpikingJelly counts for one membrane of a LIF in one timestep; one less in the
first, because a membrane that is zero leaks nothing."""


@dataclass(frozen=True)
class Counted:
    """One synaptic node, summed over all samples.

    Attributes:
        role: what enters it.
        once: MACs where what is constant in time is computed once.
        every_step: MACs at every timestep.
        dense: products of one dense evaluation at every timestep, without padding.
        padded: the same with padding.
        synops: of spikes, zero weights left out.
        synops_dense: of spikes, zero weights counted.
        meets: nonzero values times nonzero weights, where all values of a timestep are 0, 1 or -1;
            and where they are not.
        meets_all: nonzero values times all weights, in the same two parts.
    """

    role: Role
    once: int
    every_step: int
    dense: int
    padded: int
    synops: int
    synops_dense: int
    meets: tuple[int, int]
    meets_all: tuple[int, int]


class Counts:
    """All counts of one case."""

    def __init__(self, case: CountedCase) -> None:
        """Evaluate the case."""
        self.graph = case.graph()
        self.evaluation, self.entering = case.evaluate()
        self.samples = self.evaluation.activity.samples
        self.nodes = list(_nodes(self))

    def total(self, figure: str, *roles: Role) -> int:
        """A figure summed over the nodes of these roles; over all where none is given."""
        return sum(getattr(n, figure) for n in self.nodes if not roles or n.role in roles)


def _nodes(counts: Counts) -> Iterator[Counted]:
    flat = inline(counts.graph)
    shapes = infer_shapes(flat).outputs
    entering: EnteringValues = counts.entering
    steps = counts.samples * counts.evaluation.activity.timesteps
    for name, count in counts.evaluation.synapses.items():
        node, values = flat.nodes[name], (entering.binary[name], entering.other[name])
        shape = tuple(values[0].shape)
        meets, meets_all = (
            _products(synaptic_fan_out(node, shape, convention), values)
            for convention in ("nonzero", "dense")
        )
        positions = math.prod(shapes[name][1:])
        yield Counted(
            role=count.input_role,
            once=count.mac_once * counts.samples,
            every_step=count.mac_every_step * counts.samples,
            dense=count.dense_mac * steps,
            padded=int(np.size(node.weight)) * positions * steps,
            synops=count.synops,
            synops_dense=count.synops_dense,
            meets=meets,
            meets_all=meets_all,
        )


def _products(fan_out: Tensor, values: tuple[Tensor, Tensor]) -> tuple[int, int]:
    binary, other = (int((fan_out * part).sum()) for part in values)
    return binary, other


@dataclass(frozen=True)
class Chain:
    """From this project's figure to another's.

    Attributes:
        figure: what is counted, summed over all samples.
        ours: by this project's rules.
        steps: what each rule adds; those that add nothing are left out.
        theirs: what the other said.
    """

    figure: str
    ours: int
    steps: Steps
    theirs: int

    @property
    def unexplained(self) -> int:
        """What is left after all rules."""
        return self.theirs - self.ours - sum(added for _, added in self.steps)


def neurobench_chains(counts: Counts, told: dict[str, Any]) -> list[Chain]:
    """Every operation that NeuroBench counts."""
    theirs = {
        name: round(value * counts.samples)
        for name, value in told["results"]["SynapticOperations"].items()
    }
    analog = [n for n in counts.nodes if n.role == "analog"]
    graded = [n for n in counts.nodes if n.role == "graded"]
    binary_input = sum(n.meets[0] for n in analog)
    mac = [
        (
            "every timestep, though the image stays",
            counts.total("every_step") - counts.total("once"),
        ),
        ("zero pixels left out", sum(sum(n.meets_all) - n.every_step for n in analog)),
        ("zero weights left out", sum(sum(n.meets) - sum(n.meets_all) for n in analog)),
        ("an image of 0 and 1 is taken for spikes", -binary_input),
        ("pooled spikes are values: one product each", sum(n.meets[1] for n in graded)),
    ]
    ac = [
        ("pooled spikes are values, not spikes", -sum(n.synops for n in graded)),
        ("pools that are all 0 or 1", sum(n.meets[0] for n in graded)),
        ("an image of 0 and 1 is taken for spikes", binary_input),
    ]
    once = counts.total("dense") // counts.evaluation.activity.timesteps
    dense = [("every timestep", counts.total("dense") - once)]
    return [
        _chain("MAC", counts.total("once"), mac, theirs["Effective_MACs"]),
        _chain("AC", counts.total("synops"), ac, theirs["Effective_ACs"]),
        _chain("dense", once, dense, theirs["Dense"]),
    ]


def spikingjelly_chains(counts: Counts, told: dict[str, Any]) -> list[Chain]:
    """Every operation that SpikingJelly counts, and additions that are no synapses'."""
    theirs = told["results"]
    analog = [n for n in counts.nodes if n.role == "analog"]
    spikes_alone = [n for n in analog if n.meets[1] == 0]
    mac = [
        (
            "every timestep, though the image stays",
            counts.total("every_step") - counts.total("once"),
        ),
        ("padding counted", sum(n.padded - n.dense for n in analog)),
        ("an image of 0 and 1 is taken for spikes", -sum(n.padded for n in spikes_alone)),
        (
            "pooled spikes are values: the dense layer, padding too",
            counts.total("padded", "graded"),
        ),
    ]
    synops = [
        (
            "zero weights counted",
            counts.total("synops_dense", "spikes") - counts.total("synops", "spikes"),
        ),
        ("pooled spikes are values, not spikes", -counts.total("synops", "graded")),
        ("an image of 0 and 1 is taken for spikes", sum(n.meets_all[0] for n in spikes_alone)),
    ]
    activity = counts.evaluation.activity
    membranes = sum(layer.membranes for layer in counts.evaluation.layers) * counts.samples
    ac = [
        *synops,
        ("the neurons' own additions", membranes * (OF_A_NEURON * activity.timesteps - 1)),
        ("average pools: every value but one of a window", _pooled(counts)),
        ("additions of the counter itself", _of_the_counter(counts)),
    ]
    return [
        _chain("MAC", counts.total("once"), mac, theirs["mac"]),
        _chain("SynOps", counts.total("synops"), synops, theirs["synop"]),
        _chain("AC", counts.total("synops"), ac, theirs["ac"]),
    ]


def _pooled(counts: Counts) -> int:
    """Additions of average pools that look at no value: kernel size less one, for every window."""
    flat = inline(counts.graph)
    shapes = infer_shapes(flat).outputs
    steps = counts.samples * counts.evaluation.activity.timesteps
    return sum(
        math.prod(shapes[name]) * (math.prod(pooling_window(node).kernel) - 1) * steps
        for name, node in flat.nodes.items()
        if kind_of(node) in POOLING
    )


def _of_the_counter(counts: Counts) -> int:
    """What SpikingJelly adds up to find the fan-out of convolutions, and counts as the network's.

    One value for each group and position, less one for each call.
    """
    flat = inline(counts.graph)
    shapes = infer_shapes(flat).outputs
    steps = counts.samples * counts.evaluation.activity.timesteps
    calls = math.ceil(counts.samples / BATCH)
    return sum(
        flat.nodes[name].groups * math.prod(shapes[name][1:]) * steps - calls
        for name, node in zip(counts.evaluation.synapses, counts.nodes, strict=True)
        if kind_of(flat.nodes[name]) == "Conv2d" and node.meets[1] == 0
    )


def _chain(figure: str, ours: int, steps: Steps, theirs: int) -> Chain:
    return Chain(figure, ours, [(rule, added) for rule, added in steps if added], theirs)
