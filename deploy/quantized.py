"""What a quantizer leaves, and what a run in a chip's integers gives, alike for all chips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from mpo_snn.errors import DeployError

from .layers import ChipGraph
from .places import LayerPlace


class UnfitError(DeployError):
    """Only rounding or running shows that the chip cannot do what the network does."""


@dataclass(frozen=True)
class LayerError:
    """What rounding did to a layer.

    Attributes:
        layer: its name.
        scale: units of the chip for one unit of the network's membrane.
        weight_error: root mean square of rounded minus real weights, relative to that of the
            weights.
        largest_error: largest of |rounded - real| weights, in units of the chip.
        dead_weights: weights that were not zero and are now.
        weights: weights in all.
        saturated: values that the format clipped.
        threshold: |rounded - real| threshold, relative, the largest.
        decay: |rounded - real| leak per step, absolute, the largest (synapse and membrane).
        note: what else was changed, for people; may be empty.
    """

    layer: str
    scale: float
    weight_error: float
    largest_error: float
    dead_weights: int
    weights: int
    saturated: int
    threshold: float
    decay: float
    note: str = ""


@dataclass(frozen=True)
class IntegerRun:
    """What a run in the chip's integers gave.

    Attributes:
        output: spikes of the last layer, (T, B, outputs), delays of the chip taken off: timestep t
            is the answer to timestep t of the input.
        spikes: of each layer, summed over time and samples.
        events: what the chip does without a word, counted: `saturated`, `overflows`, ...
        synaptic_events: spikes times the synapses that each reaches, summed over all layers.
        updates: neurons times timesteps times samples.
        activity: what else the family's model of time needs, counted.
    """

    output: Tensor
    spikes: Mapping[str, int]
    events: Mapping[str, int]
    synaptic_events: int
    updates: int
    activity: Mapping[str, int] = field(default_factory=dict)


class IntegerNetwork(Protocol):
    """A network in the numbers that a chip is loaded with.

    Attributes:
        graph: its layers in real numbers, in the form that the chip holds them.
        errors: what rounding did to each.
    """

    @property
    def graph(self) -> ChipGraph:
        """Its layers."""
        ...

    @property
    def errors(self) -> tuple[LayerError, ...]:
        """One for every layer, in their order."""
        ...

    @property
    def delay(self) -> int:
        """Steps that the chip takes longer than the input, by which its output comes late."""
        ...

    def run(self, events: Tensor) -> IntegerRun:
        """Run input events, int64 (T, B, *input_shape), from rest."""
        ...

    def record(self, events: Tensor) -> dict[str, Tensor]:
        """The same run, every step of the chip kept: `LAYER.spikes` and the layer's states.

        Steps that the chip takes longer than the input are in it. Each is int64,
        (steps, B, *shape of the layer).
        """
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Everything that is loaded, by name, in the narrowest integer type that holds it."""
        ...

    def places(self) -> tuple[LayerPlace, ...]:
        """Where the layers lie in the tensors, in the order in which they run."""
        ...

    def on_grid(self) -> dict[str, LayerOnGrid]:
        """Per layer: the rounded values, back in the units of the network."""
        ...


@dataclass(frozen=True)
class LayerOnGrid:
    """A layer with the values that the chip has, in units of the network.

    Attributes:
        weights: one for every projection, in its shape.
        bias: of shape `shape` of the layer.
        threshold: likewise.
        beta: likewise.
        alpha: likewise; None without a synapse.
        lower: the lowest membrane; None if there is none.
        facts: what else a reader of the file should know (scale, shifts, exponents).
    """

    weights: tuple[Tensor, ...]
    bias: Tensor
    threshold: Tensor
    beta: Tensor
    alpha: Tensor | None
    lower: float | None
    facts: Mapping[str, Any] = field(default_factory=dict)
